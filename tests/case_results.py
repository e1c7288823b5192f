"""Case results and run records for tests: both sides of a suite in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.exit_codes import most_severe
from harness.gate.decide import decide
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate
from harness.gate.release import conditions_of, decide_releases
from harness.gate.slices import slices
from harness.runs.record import RunRecord
from harness.runs.run_checkpoint import RunCheckpoint, RunRole
from harness.runs.run_environment import Environment


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


def evidence_of(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    *,
    gate: Gate | None = None,
    **fields: Any,
) -> Evidence:
    """What is known of the suite that the results are of."""
    plain: dict[str, Any] = {
        "suite": candidate[0].suite if candidate else "refunds",
        "golden": candidate[0].golden if candidate else "refunds/v1",
        "checkpoint": candidate[0].checkpoint if candidate else "checkpoint-300",
        "baseline_name": baseline[0].checkpoint if baseline else None,
    }
    return Evidence(candidate=candidate, baseline=baseline, gate=gate or Gate(), **(plain | fields))


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
    evidence = evidence_of(candidate, baseline or None, gate=gate, planned=len(candidate))
    roles: list[tuple[str, RunRole]] = [(ours, "candidate")]
    if theirs is not None:
        roles.append((theirs, "baseline"))
    settled, releases = decide_releases([(evidence, decide(evidence))])
    conditions = conditions_of(releases)
    plain: dict[str, Any] = {
        "created": "2026-03-14T09:26:53Z",
        "environment": Environment(python="3.11.9", seed=0, argv=("pytest", f"--model={ours}")),
        "checkpoints": tuple(
            RunCheckpoint(
                spec=spec,
                name=spec,
                role=role,
                fingerprint=ascii(spec).encode().hex().ljust(64, "0")[:64],
                backend="hf",
                numerics={"device": "cpu", "dtype": "float32"},
            )
            for spec, role in roles
        ),
        "verdicts": settled,
        "releases": releases,
        "slices": slices(evidence),
        "cases": (*candidate, *baseline),
        "conditions": conditions,
        "exit_code": most_severe([condition.code for condition in conditions] or [0]),
        "complete": True,
    }
    return RunRecord(run=run, **(plain | fields))
