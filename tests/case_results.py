"""Case results for tests: both sides of a suite in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.cases import CaseResult, Outcome, Role


def case_result(
    case_id: str, score: float | None, *, role: Role = Role.CANDIDATE, **fields: Any
) -> CaseResult:
    """One result; a score of None is an error."""
    outcome = Outcome.ERROR if score is None else Outcome.PASSED if score >= 0.5 else Outcome.MISSED
    plain: dict[str, Any] = {
        "suite": "refunds",
        "golden": "refunds/v1",
        "test": "test_refund_reply",
        "content_hash": "0" * 64,
        "checkpoint": "checkpoint-300" if role is Role.CANDIDATE else "base",
        "outcome": outcome,
        "samples": () if score is None else (float(score),),
        "outputs": () if score is None else (f"answer of {role} to {case_id}",),
        "config_hash": "1" * 64,
        "input": f"question {case_id}",
    }
    return CaseResult(**(plain | {"case_id": case_id, "role": role} | fields))


def two_sides(
    candidate: Sequence[float | None], baseline: Sequence[float | None], **fields: Any
) -> tuple[list[CaseResult], list[CaseResult]]:
    """Results of both sides, case by case."""
    ours = [case_result(f"case-{i:04}", score, **fields) for i, score in enumerate(candidate)]
    theirs = [
        case_result(f"case-{i:04}", score, role=Role.BASELINE, **fields) for i, score in enumerate(baseline)
    ]
    return ours, theirs


def changed(results: Sequence[CaseResult], index: int, **fields: Any) -> list[CaseResult]:
    """The results with one of them changed."""
    return [replace(result, **fields) if i == index else result for i, result in enumerate(results)]
