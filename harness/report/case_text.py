"""One case of a run in full, as text: what was asked and expected, and what each side answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from harness.case_result import CaseResult, Role
from harness.report import figures
from harness.report.plain_text import harmless_lines, one_line
from harness.report.rerun import rerun_command
from harness.runs.record import RunRecord

__all__ = ["case_lines"]

_INDENT = "    "


def case_lines(record: RunRecord, result: CaseResult, baseline: CaseResult | None) -> Iterator[str]:
    """Yield the lines that tell a case of a candidate, beside the baseline's answer.

    Args:
        record: The session.
        result: The candidate's result.
        baseline: The baseline's result of the same case; None without one.
    """
    about = [f"suite {one_line(result.suite)}", one_line(result.golden), one_line(result.test)]
    if result.cluster not in (None, result.case_id):
        about.append(f"cluster {one_line(str(result.cluster))}")
    about += ["must pass"] if result.must_pass else []
    about += [f"tags {', '.join(map(one_line, result.tags))}"] if result.tags else []
    yield f"{one_line(result.case_id)}: {'; '.join(about)}"
    yield from _block("asked", result.input)
    if result.target is not None:
        target = result.target if isinstance(result.target, str) else json.dumps(result.target)
        yield from _block("expected", target)
    if baseline is not None:
        yield from _side("baseline", baseline)
    yield from _side("candidate", result)
    if result.role is Role.CANDIDATE:
        yield f"ask it again: {one_line(rerun_command(record, result))}"


def _side(role: str, result: CaseResult) -> Iterator[str]:
    facts = [result.outcome.value if result.skipped is None else f"skipped: {one_line(result.skipped)}"]
    if result.score is not None:
        facts.append(f"score {figures.score_percent(result.score)}")
    if result.completion_tokens is not None:
        facts.append(f"{result.completion_tokens} tokens")
    if result.latency_ms is not None:
        facts.append(f"{result.latency_ms:.0f} ms")
    yield f"{role} {one_line(result.checkpoint)}: {', '.join(facts)}"
    for number, output in enumerate(result.outputs, start=1):
        if len(result.outputs) > 1:
            score = result.samples[number - 1] if number <= len(result.samples) else None
            yield f"  sample {number}: {figures.score_percent(score)}"
        yield from _indented(output or "(empty)")
    if not result.outputs:
        yield f"{_INDENT}(no answer)"
    if result.answer is not None:
        yield f"  read as: {one_line(result.answer)}"
    if result.explanation:
        yield f"  why: {one_line(result.explanation)}"


def _block(name: str, text: str) -> Iterator[str]:
    yield f"{name}:"
    yield from _indented(text or "(nothing)")


def _indented(text: str) -> Iterator[str]:
    return (f"{_INDENT}{line}" for line in harmless_lines(text).split("\n"))
