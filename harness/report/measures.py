"""How the cases of each side ended, and how long its answers were: one row per suite × checkpoint."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.report import figures
from harness.runs.record import RunRecord

__all__ = ["Measures", "measures"]

_OUTCOMES = (Outcome.PASSED, Outcome.MISSED, Outcome.INVALID, Outcome.ERROR)


@dataclass(frozen=True)
class Measures:
    """What a side's answers to a suite were like.

    Attributes:
        suite: The suite.
        checkpoint: Spec of the candidate or the baseline.
        role: Which of them it is.
        counts: Cases that passed, missed, were invalid, ended in error.
        characters: Median length of an answer, as text; a dash without one.
        tokens: Median length in tokens, where the backend says it.
        latency: Median time of an answer in milliseconds, where the backend says it.
    """

    suite: str
    checkpoint: str
    role: str
    counts: tuple[int, ...]
    characters: str
    tokens: str
    latency: str


def measures(record: RunRecord) -> list[Measures]:
    """Return one row per suite × checkpoint, the baseline's first within a suite."""
    sides: dict[tuple[str, bool, str], list[CaseResult]] = {}
    for result in record.cases:
        key = (result.suite, result.role is Role.CANDIDATE, result.checkpoint)
        sides.setdefault(key, []).append(result)
    return [
        Measures(
            suite=suite,
            checkpoint=checkpoint,
            role=str(results[0].role),
            counts=tuple(sum(result.outcome is outcome for result in results) for outcome in _OUTCOMES),
            characters=_median([len(result.outputs[0]) for result in results if result.outputs]),
            tokens=_median([r.completion_tokens for r in results if r.completion_tokens is not None]),
            latency=_median([r.latency_ms for r in results if r.latency_ms is not None]),
        )
        for (suite, _, checkpoint), results in sorted(sides.items(), key=lambda pair: pair[0])
    ]


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f}" if values else figures.NOTHING
