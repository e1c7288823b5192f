"""The cases that have no score to compare, by reason: what answers could not be read, and what gave none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.report.plain_text import first_line, one_line, shorten
from harness.runs.record import RunRecord

__all__ = ["Unscored", "unscored", "unscored_lines"]

_KINDS = (Outcome.ERROR, Outcome.INVALID)
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|«[^»]*»|\d+(?:[.,]\d+)*")
"""What differs between cases of one reason: quoted text and numbers."""
_KEY_LENGTH = 120


@dataclass(frozen=True)
class Unscored:
    """Cases of one suite × checkpoint that ended the same way for the same reason.

    Attributes:
        suite: The suite.
        checkpoint: Spec of the candidate or the baseline.
        role: Which of them it is.
        outcome: *error* or *invalid*.
        reason: Why, as the first of them says it; empty where it says nothing.
        cases: The cases, in the record's order.
    """

    suite: str
    checkpoint: str
    role: Role
    outcome: Outcome
    reason: str
    cases: tuple[CaseResult, ...]


def unscored(record: RunRecord) -> list[Unscored]:
    """Return invalid and error cases grouped by reason: errors first, the most frequent reasons first."""
    groups: dict[tuple[str, str, Role, Outcome, str], list[CaseResult]] = {}
    for result in record.cases:
        if result.outcome in _KINDS and result.skipped is None:
            reason = _VARYING.sub("…", (result.explanation or "")[:1000])[:_KEY_LENGTH]
            key = (result.suite, result.checkpoint, result.role, result.outcome, reason)
            groups.setdefault(key, []).append(result)
    found = [
        Unscored(suite, checkpoint, role, outcome, cases[0].explanation or "", tuple(cases))
        for (suite, checkpoint, role, outcome, _), cases in groups.items()
    ]
    return sorted(
        found,
        key=lambda group: (
            group.suite,
            group.role is Role.BASELINE,
            group.checkpoint,
            _KINDS.index(group.outcome),
            -len(group.cases),
        ),
    )


def unscored_lines(record: RunRecord, *, limit: int = 3, width: int = 100) -> list[str]:
    """Return two lines per reason: how many cases and why, and the first of them with its answer.

    Args:
        record: The session.
        limit: Most reasons per suite × checkpoint × outcome; the rest is counted.
        width: Most characters of a line.
    """
    lines: list[str] = []
    by_side: dict[tuple[str, str, Role, Outcome], list[Unscored]] = {}
    for group in unscored(record):
        by_side.setdefault((group.suite, group.checkpoint, group.role, group.outcome), []).append(group)
    for (suite, checkpoint, role, outcome), groups in by_side.items():
        whose = f"{one_line(suite)} × {one_line(checkpoint)}"
        side = " (baseline)" if role is Role.BASELINE else ""
        lines.append(f"{whose}{side}: {sum(len(group.cases) for group in groups)} {_plural(outcome, groups)}")
        for group in groups[:limit]:
            lines.append(f"  {len(group.cases)} × {shorten(group.reason or 'no reason given', width - 8)}")
            lines.append(f"      {_example(group.cases[0], width - 6)}")
        if len(groups) > limit:
            left = sum(len(group.cases) for group in groups[limit:])
            lines.append(f"  {left} × {len(groups) - limit} more reasons")
    return lines


def _plural(outcome: Outcome, groups: Sequence[Unscored]) -> str:
    count = sum(len(group.cases) for group in groups)
    return outcome.value if outcome is Outcome.INVALID or count == 1 else f"{outcome.value}s"


def _example(result: CaseResult, width: int) -> str:
    case = shorten(result.case_id, 40)
    answer = first_line(result.outputs[0], max(width - len(case) - 2, 20)) if result.outputs else ""
    return f"{case}: {answer or '(no answer)'}"
