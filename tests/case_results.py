"""Case results and run records for tests: both sides of a suite in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.exit_codes import most_severe
from harness.gate.decide import Gate, adjust_family, decide, exit_codes, slices
from harness.runs.record import RunRecord


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


def stored_record(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult],
    *,
    run: str = "20260314-092653-5f2c",
    gate: Gate | None = None,
    **fields: Any,
) -> RunRecord:
    """The record of a session that gated one suite on one candidate."""
    ours, theirs = candidate[0].checkpoint, baseline[0].checkpoint if baseline else None
    about: dict[str, Any] = {"suite": candidate[0].suite, "golden": candidate[0].golden, "checkpoint": ours}
    verdict = decide(
        candidate,
        baseline or None,
        gate=gate or Gate(),
        baseline_name=theirs,
        planned=len(candidate),
        **about,
    )
    roles = [(ours, "candidate"), *([(theirs, "baseline")] if theirs is not None else [])]
    settled = adjust_family([verdict])
    plain: dict[str, Any] = {
        "created": "2026-03-14T09:26:53Z",
        "environment": {"python": "3.11.9", "seed": 0, "argv": ["pytest", f"--model={ours}"]},
        "checkpoints": tuple(
            {
                "spec": spec,
                "name": spec,
                "fingerprint": ascii(spec).encode().hex().ljust(64, "0")[:64],
                "role": role,
                "backend": "hf",
                "numerics": {"device": "cpu", "dtype": "float32"},
            }
            for spec, role in roles
        ),
        "verdicts": settled,
        "slices": slices(candidate, baseline or None, **about),
        "cases": (*candidate, *baseline),
        "conditions": (),
        "exit_code": most_severe(exit_codes(settled)),
        "complete": True,
    }
    return RunRecord(run=run, **(plain | fields))
