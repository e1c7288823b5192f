"""A checkpoint that never ends an answer by itself does not pass, whatever its scores."""

from __future__ import annotations

from dataclasses import replace

from case_results import evidence_of, two_sides

from harness.case_result import CaseResult
from harness.gate.decide import decide
from harness.gate.unending import never_stops
from harness.gate.verdict import Status, Verdict

RIGHT = [1.0] * 60


def ending(results: list[CaseResult], reason: str, tokens: int | None = 32) -> list[CaseResult]:
    return [
        replace(result, outputs=("yes",), finish_reasons=(reason,), completion_tokens=tokens)
        for result in results
    ]


def decide_on(ours: list[CaseResult], theirs: list[CaseResult]) -> Verdict:
    return decide(evidence_of(ours, theirs))


def test_a_checkpoint_that_never_stops_fails_beside_one_that_does() -> None:
    ours, theirs = two_sides(RIGHT, RIGHT)
    verdict = decide_on(ending(ours, "length"), ending(theirs, "stop"))
    assert verdict.status is Status.FAILED
    assert any("60 of 60 answers ran to their limit" in reason for reason in verdict.reasons)
    assert decide_on(ending(ours, "stop"), ending(theirs, "length")).status is Status.PASS


def test_beside_a_baseline_that_does_not_stop_either_it_is_doubted() -> None:
    ours, theirs = two_sides(RIGHT, RIGHT)
    verdict = decide_on(ending(ours, "length"), ending(theirs, "length"))
    assert verdict.status is Status.INCONCLUSIVE
    assert any("nor does the baseline" in reason for reason in verdict.reasons)


def test_one_answer_that_stops_is_enough_and_short_limits_are_meant() -> None:
    ours, _ = two_sides(RIGHT, RIGHT)
    cut = ending(ours, "length")
    assert never_stops(cut)
    assert not never_stops([*cut[1:], *ending(ours[:1], "stop")])
    assert not never_stops(ending(ours, "length", tokens=8))
    assert not never_stops(ending(ours, "length", tokens=None))  # one word each
    assert not never_stops(cut[:4])
    assert not never_stops([])
