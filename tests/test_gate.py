"""What the gate says, and that it never passes on evidence that is not there."""

from __future__ import annotations

import inspect
import json
import math
import pickle
import random
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from case_results import case_result, changed, evidence_of, two_sides
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.errors import ConfigurationError, HarnessError, IntegrityError, ScoringError
from harness.exit_codes import ExitCode
from harness.gate.compare_scores import RestOfSuite, compare_scores
from harness.gate.decide import decide, settle
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate, ReleasePolicy
from harness.gate.release import conditions_of, decide_release, decide_releases
from harness.gate.slices import slices
from harness.gate.verdict import Status, Verdict

Decided = tuple[Evidence, Verdict]


def verdict_on(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    gate: Gate | None = None,
    **more: Any,
) -> Verdict:
    return decide(evidence_of(candidate, baseline, gate=gate, **more))


def said(verdict: Verdict) -> str:
    return "; ".join(verdict.reasons)


# --- the policy ----------------------------------------------------------------------------------------


def test_all_problems_of_a_gate_are_told_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Gate(policy="strict", margin=-1, alpha=0.7, min_score=2, min_cases=0, coverage=0)
    for argument in ("policy", "margin", "alpha", "min_score", "min_cases", "coverage"):
        assert f"{argument} must be" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "0.02", None])
def test_a_margin_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="margin"):
        Gate(margin=value)


def test_an_absolute_policy_needs_a_floor() -> None:
    with pytest.raises(ConfigurationError, match="min_score is missing"):
        Gate(policy="absolute")
    assert not Gate(policy="absolute", min_score=0.5).needs_baseline


def test_a_gate_survives_json_and_refuses_what_it_does_not_know() -> None:
    gate = Gate(policy="non-inferior", margin=0.05, min_score=0.6)
    assert Gate.from_dict(json.loads(json.dumps(gate.as_dict()))) == gate
    with pytest.raises(ConfigurationError, match="unknown argument 'margn'"):
        Gate.from_dict({"margn": 0.1})


# --- the four verdicts --------------------------------------------------------------------------------


def test_a_drop_that_is_shown_and_beyond_the_margin_regresses() -> None:
    verdict = verdict_on(*two_sides([1] * 80 + [0] * 20, [1] * 100))
    assert verdict.status is Status.REGRESSED
    assert (verdict.n, verdict.mean, verdict.baseline_mean) == (100, 0.8, 1.0)
    assert verdict.delta == -0.2
    assert (verdict.improved, verdict.worsened) == (0, 20)
    assert verdict.worsened_ids[0] == "case-0080"
    assert "fell by more than the margin of 2 %: −20.0 points" in verdict.reasons[0]


def test_a_drop_within_the_margin_passes_however_certain() -> None:
    scores = [1] * 990 + [0] * 10
    verdict = verdict_on(*two_sides(scores, [1] * 1000))
    assert verdict.p_value is not None
    assert verdict.p_value < 0.01
    assert verdict.status is Status.PASS
    assert verdict_on(*two_sides(scores, [1] * 1000), Gate(margin=0.0)).status is Status.REGRESSED


def test_a_drop_of_exactly_the_margin_is_within_it() -> None:
    ours, theirs = two_sides([0.58] * 50, [0.60] * 50)  # 0.58 - 0.60 is a little below -0.02 in floats
    assert verdict_on(ours, theirs).status is Status.PASS
    assert verdict_on(ours, theirs, Gate(margin=0.019)).status is Status.REGRESSED


def test_a_drop_that_may_be_chance_passes_and_says_what_is_ruled_out() -> None:
    verdict = verdict_on(*two_sides([1] * 96 + [0] * 4, [1] * 95 + [0] + [1] * 4))
    assert verdict.status is Status.PASS
    assert "no drop is shown, and one of more than 7.8 points is ruled out" in said(verdict)
    assert verdict.largest_drop_left == pytest.approx(0.078, abs=0.001)
    assert verdict.minimum_detectable_drop == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_cases_for_any_proof_never_pass(count: int) -> None:
    """One case, lost: neither a proven drop nor a pass."""
    verdict = verdict_on(*two_sides([0] * count, [1] * count))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.minimum_detectable_drop is None
    assert "a drop of 10 % is not ruled out" in said(verdict)
    assert verdict_on(*two_sides([1] * count, [1] * count)).status is Status.INCONCLUSIVE


def test_a_baseline_that_has_nothing_to_lose_sees_no_drop() -> None:
    verdict = verdict_on(*two_sides([0] * 60, [0] * 60))
    assert verdict.status is Status.INCONCLUSIVE
    assert "the baseline scores 0 %, so a drop of 10 % cannot show" in said(verdict)
    assert verdict.minimum_detectable_drop is None
    low = two_sides([1] * 24 + [0] * 276, [1] * 24 + [0] * 276)  # 8 %
    assert verdict_on(*low).status is Status.INCONCLUSIVE
    assert verdict_on(*low, Gate(margin=0.1, rules_out=0.5, relative=True)).status is Status.PASS


def test_what_a_pass_rules_out_is_asked_for_by_the_gate() -> None:
    sides = two_sides([1] * 100, [1] * 100)
    assert verdict_on(*sides, Gate(rules_out=0.05)).status is Status.PASS
    doubted = verdict_on(*sides, Gate(rules_out=0.02))
    assert doubted.status is Status.INCONCLUSIVE
    assert doubted.cases_needed == 134  # z²(1/0.02 − 1) = 132.6
    assert Gate(margin=0.2).excluded_drop == 0.2
    assert Gate(policy="non-inferior", margin=0.03).excluded_drop == 0.03
    with pytest.raises(ConfigurationError, match="must not be below the margin"):
        Gate(margin=0.05, rules_out=0.02)
    with pytest.raises(ConfigurationError, match="leave it out"):
        Gate(policy="non-inferior", margin=0.05, rules_out=0.1)


def test_the_same_weights_cannot_have_regressed() -> None:
    ours, theirs = two_sides([1] * 80 + [0] * 20, [1] * 100)
    verdict = verdict_on(ours, theirs, same_weights=True)
    assert verdict.status is Status.INCONCLUSIVE
    assert "the same weights" in verdict.reasons[0]


def test_a_side_that_could_hardly_be_scored_is_doubted() -> None:
    unread: dict[str, Any] = {"outcome": Outcome.INVALID}
    ours, theirs = two_sides([0.0] * 40, [0.0] * 40, **unread)
    verdict = verdict_on(ours, theirs)
    assert verdict.status is Status.INCONCLUSIVE
    assert "40 of 40 answers of the candidate could not be scored" in said(verdict)
    mixed = [*two_sides([0.0] * 21, [1.0] * 21, **unread)[0], *two_sides([1.0] * 40, [1.0] * 40)[0][21:]]
    dropped = verdict_on(mixed, two_sides([1.0] * 40, [1.0] * 40)[1])
    assert dropped.status is Status.REGRESSED, "what is proven is not taken back"


def test_must_keep_blocks_what_the_baseline_could_do() -> None:
    ours, theirs = two_sides([1] * 99 + [0], [1] * 100, must_keep=True)
    lost = verdict_on(ours, theirs)
    assert lost.status is Status.REGRESSED
    assert lost.lost_must_keep == ("case-0099",)
    assert "must_keep cases were lost: case-0099" in said(lost)
    never = two_sides([1] * 99 + [0], [1] * 99 + [0], must_keep=True)
    assert verdict_on(*never).status is Status.PASS
    undecided = [*ours[:99], replace(ours[99], **ERROR)]
    assert "must_keep cases were not decided: case-0099" in said(verdict_on(undecided, theirs))


def test_non_inferior_needs_the_drop_ruled_out() -> None:
    strict = Gate(policy="non-inferior", margin=0.05)
    same = [1.0] * 100
    verdict = verdict_on(*two_sides(same, same), strict)
    assert verdict.status is Status.PASS
    assert verdict.is_drop_excluded
    few = verdict_on(*two_sides(same[:30], same[:30]), strict)
    assert few.status is Status.INCONCLUSIVE
    assert "not ruled out" in said(few)
    assert few.cases_needed == 53  # z²(1/0.05 − 1) = 51.4: Tango's bound then lies just above −0.05
    tiny = verdict_on(*two_sides(same[:8], same[:8]), replace(strict, margin=0.9))
    assert tiny.status is Status.INCONCLUSIVE
    assert "too few cases: 8 of at least 20" in said(tiny)
    assert tiny.cases_needed == 20


def test_a_passing_verdict_needs_no_more_cases() -> None:
    assert verdict_on(*two_sides([1] * 100, [1] * 100)).cases_needed is None


# --- must_pass and floors ------------------------------------------------------------------------------


def test_a_missed_must_pass_case_fails_whatever_the_mean_says() -> None:
    ours, theirs = two_sides([1] * 50, [0] * 50, must_pass=False)
    ours = changed(ours, 7, must_pass=True, outcome=Outcome.INVALID, samples=(0.0,))
    verdict = verdict_on(ours, theirs)
    assert verdict.status is Status.FAILED
    assert verdict.missed_must_pass == ("case-0007",)
    assert verdict.invalid == 1


def test_an_undecided_must_pass_case_is_not_passed() -> None:
    ours, theirs = two_sides([1] * 50, [1] * 50)
    ours = changed(ours, 7, must_pass=True, outcome=Outcome.ERROR, samples=())
    verdict = verdict_on(ours, theirs, Gate(coverage=0.5))
    assert verdict.status is Status.INCONCLUSIVE
    assert "must_pass cases were not decided: case-0007" in said(verdict)


@pytest.mark.parametrize(
    ("hits", "policy", "status"),
    [
        (30, "absolute", Status.FAILED),
        (30, "no-significant-drop", Status.FAILED),
        (57, "absolute", Status.INCONCLUSIVE),
        (57, "no-significant-drop", Status.PASS),
        (60, "absolute", Status.PASS),
    ],
)
def test_a_floor_has_its_own_interval(hits: int, policy: str, status: Status) -> None:
    scores = [1] * hits + [0] * (100 - hits)
    ours, theirs = two_sides(scores, scores)
    gate = Gate(policy=policy, min_score=0.6)
    verdict = verdict_on(ours, None if policy == "absolute" else theirs, gate)
    assert verdict.status is status
    assert verdict.floor is not None
    if hits < 60:
        assert "below min_score 60 %" in said(verdict)
    if status is Status.INCONCLUSIVE:
        assert verdict.cases_needed is not None
        assert verdict.cases_needed > 100


def test_an_absolute_gate_needs_no_baseline_and_counts_all_decided_cases() -> None:
    verdict = verdict_on([case_result(f"c{i}", 1) for i in range(10)], None, Gate("absolute", min_score=0.5))
    assert (verdict.status, verdict.n, verdict.mean) == (Status.PASS, 10, 1.0)
    alone = verdict_on([case_result(f"c{i}", 1) for i in range(10)], None)
    assert (alone.status, alone.n, alone.mean, alone.delta) == (Status.INCONCLUSIVE, 10, 1.0, None)
    empty = verdict_on([], None, Gate("absolute", min_score=0.5))
    assert empty.status is Status.INCONCLUSIVE


# --- doubt: never PASS ---------------------------------------------------------------------------------

FULL = [1.0] * 60


OURS, THEIRS = two_sides(FULL, FULL)
ERROR: dict[str, Any] = {"outcome": Outcome.ERROR, "samples": ()}
DOUBTS: dict[str, tuple[list[CaseResult], list[CaseResult] | None, dict[str, Any], str]] = {
    "no baseline": (OURS, None, {}, "no baseline to compare with"),
    "baseline problem": (OURS, None, {"baseline_problem": "run 7 is gone"}, "run 7 is gone"),
    "untrusted baseline": (OURS, THEIRS, {"baseline_problem": "other dtype"}, "other dtype"),
    "empty baseline": (OURS, [], {}, "nothing to compare"),
    "no candidate": ([], THEIRS, {}, "nothing to compare"),
    "nothing at all": ([], [], {}, "nothing to compare"),
    "error": (changed(OURS, 3, **ERROR), THEIRS, {}, "1 case ended in error: case-0003"),
    "baseline error": (
        OURS,
        changed(THEIRS, 3, **ERROR),
        {},
        "1 case not decided by the baseline: case-0003",
    ),
    "skip": (changed(OURS, 3, skipped="xfail"), THEIRS, {}, "1 case skipped: case-0003"),
    "all skipped": ([replace(r, skipped="no judge") for r in OURS], THEIRS, {}, "60 cases skipped"),
    "baseline gap": (OURS, THEIRS[:-2], {}, "2 cases the baseline never answered: case-0058, case-0059"),
    "candidate gap": (OURS[:-2], THEIRS, {}, "2 cases of the baseline not in this run"),
    "lost case": (OURS, THEIRS, {"planned": 61}, "1 case planned and never reported"),
    "extra case": (OURS, THEIRS, {"planned": 59}, "1 case more reported than the 59 planned"),
    "partial": (OURS, THEIRS, {"partial": True}, "only a part of the suite"),
    "content": (changed(OURS, 3, content_hash="f" * 64), THEIRS, {}, "the case itself differs on the two"),
    "sampling": (changed(OURS, 3, config_hash=None), THEIRS, {}, "sampling or samples per case differ"),
    "version": (
        OURS,
        [replace(r, golden="refunds/v2") for r in THEIRS],
        {},
        "the baseline answered refunds/v2",
    ),
}


@pytest.mark.parametrize("fault", DOUBTS)
@pytest.mark.parametrize("policy", ["no-significant-drop", "non-inferior"])
def test_what_was_not_compared_does_not_pass(fault: str, policy: str) -> None:
    ours, theirs, more, reason = DOUBTS[fault]
    verdict = verdict_on(ours, theirs, Gate(policy=policy, margin=0.1), **more)
    assert verdict.status is Status.INCONCLUSIVE
    assert reason in said(verdict)
    assert settle(verdict).status is Status.INCONCLUSIVE


def test_partial_evidence_can_prove_a_regression() -> None:
    ours, theirs = two_sides([0.0] * 40 + [1.0] * 20, FULL)
    ours = changed(ours, 50, outcome=Outcome.ERROR, samples=())
    verdict = verdict_on(ours, theirs, partial=True)
    assert verdict.status is Status.REGRESSED
    assert "ended in error" in said(verdict)


def test_errors_up_to_the_coverage_are_tolerated_and_told() -> None:
    ours, theirs = two_sides(FULL, FULL)
    ours = changed(ours, 3, outcome=Outcome.ERROR, samples=())
    verdict = verdict_on(ours, theirs, Gate(coverage=0.98))
    assert verdict.status is Status.PASS
    assert "tolerated, 59 of 60 cases were decided" in said(verdict)
    assert verdict_on(ours, theirs, Gate(coverage=0.99)).status is Status.INCONCLUSIVE


def test_an_error_is_no_miss() -> None:
    ours, theirs = two_sides([None] * 30 + [1.0] * 30, FULL)
    verdict = verdict_on(ours, theirs)
    assert verdict.status is Status.INCONCLUSIVE
    assert (verdict.errors, verdict.worsened, verdict.mean, verdict.n) == (30, 0, 1.0, 30)


def test_a_case_reported_twice_is_an_error() -> None:
    ours, theirs = two_sides(FULL, FULL)
    with pytest.raises(IntegrityError, match=r"case-0000.*reported twice"):
        verdict_on([*ours, ours[0]], theirs)
    with pytest.raises(IntegrityError, match=r"case-0000.*reported twice"):
        verdict_on(ours, [*theirs, theirs[0]])


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_that_is_none_is_an_error(value: float) -> None:
    ours, theirs = two_sides(FULL, FULL)
    with pytest.raises(ScoringError, match="case-0003"):
        verdict_on(changed(ours, 3, samples=(value,)), theirs)


def test_results_of_another_suite_are_refused_or_left_out() -> None:
    ours, theirs = two_sides(FULL, FULL)
    assert verdict_on(ours, [*theirs, replace(theirs[0], suite="other")]).status is Status.PASS
    with pytest.raises(HarnessError, match="'other'"):
        verdict_on(changed(ours, 0, suite="other"), theirs)


def test_two_tests_of_one_case_are_one_cluster_and_named() -> None:
    ours, theirs = two_sides([1.0] * 30 + [0.0], [1.0] * 31)
    ours += [replace(result, test="test_tone") for result in ours]
    theirs += [replace(result, test="test_tone") for result in theirs]
    verdict = verdict_on(ours, theirs)
    assert (verdict.n, verdict.clusters) == (62, 31)
    assert verdict.worsened_ids == ("test_refund_reply:case-0030", "test_tone:case-0030")


def test_the_order_of_results_changes_nothing() -> None:
    rng = random.Random(3)
    ours, theirs = two_sides([rng.random() for _ in range(80)], [rng.random() for _ in range(80)])
    first = verdict_on(ours, theirs)
    rng.shuffle(ours)
    rng.shuffle(theirs)
    assert verdict_on(ours, theirs) == first


# --- many questions ------------------------------------------------------------------------------------


def suites(*sides: tuple[list[CaseResult], list[CaseResult] | None], **gates: Gate) -> list[Decided]:
    """Several suites of one candidate, each decided as a lone question: suite-0, suite-1, …"""
    decided = []
    for number, (ours, theirs) in enumerate(sides):
        name = f"suite-{number}"
        renamed = [
            None if side is None else [replace(result, suite=name, golden=f"{name}/v1") for result in side]
            for side in (ours, theirs)
        ]
        assert renamed[0] is not None
        evidence = evidence_of(renamed[0], renamed[1], gate=gates.get(name.replace("-", "_")))
        decided.append((evidence, decide(evidence)))
    return decided


def test_a_lonely_drop_among_many_suites_may_be_chance() -> None:
    drop = two_sides([1] * 92 + [0] * 8, [1] * 97 + [0] * 3)
    noisy = two_sides([0] * 10 + [1] * 90, [1] * 90 + [0] * 10)
    (alone,), _ = decide_release(suites(drop))
    assert alone.status is Status.REGRESSED  # p = 0.016 on its own
    verdicts, release = decide_release(suites(drop, noisy, noisy, noisy, noisy))
    assert Status.REGRESSED not in {verdict.status for verdict in verdicts}
    assert release.status is not Status.REGRESSED
    assert alone.adjusted_p is not None
    assert verdicts[0].adjusted_p is not None
    assert verdicts[0].adjusted_p > alone.adjusted_p
    critical = {f"suite_{number}": Gate(tier="supporting", weight=0.05) for number in range(1, 5)}
    verdicts, release = decide_release(suites(drop, noisy, noisy, noisy, noisy, **critical))
    assert verdicts[0].status is Status.REGRESSED, "what keeps most of alpha is hardly diluted"


def test_a_loss_spread_over_the_suites_blocks_the_release() -> None:
    """Four points in each of ten suites: none is shown by itself, and together they are."""
    loss = two_sides([0] * 9 + [1] * 91, [1] * 9 + [0] * 5 + [1] * 86)
    assert decide_release(suites(loss))[1].status is not Status.REGRESSED
    verdicts, release = decide_release(suites(*[loss] * 10))
    assert release.status is Status.REGRESSED
    assert release.delta == pytest.approx(-0.04)
    assert Status.REGRESSED not in {verdict.status for verdict in verdicts}
    assert "a loss spread over the suites is shown: −4.0 points" in release.reasons[0]


def test_floors_must_pass_and_absolute_gates_are_not_in_the_family() -> None:
    drop = two_sides([1] * 92 + [0] * 8, [1] * 97 + [0] * 3)
    must = changed(drop[0], 99, must_pass=True)
    decided = suites(drop, (drop[0], None), (must, None), suite_1=Gate("absolute", min_score=0.99))
    verdicts, release = decide_release(decided)
    assert [verdict.status for verdict in verdicts] == [Status.REGRESSED, Status.FAILED, Status.FAILED]
    assert [verdict.adjusted_p for verdict in verdicts] == [decided[0][1].p_value, None, None]
    assert release.family == 1


def test_exit_codes_are_those_of_the_releases() -> None:
    """The truth table, from suites to the exit code."""
    good, bad, open_ = two_sides(FULL, FULL), two_sides([0] * 60, FULL), (two_sides(FULL, FULL)[0], None)
    failed = (changed(good[0], 3, must_pass=True, outcome=Outcome.MISSED, samples=(0.0,)), good[1])
    advisory, supporting = Gate(tier="advisory"), Gate(tier="supporting")

    def code(*sides: Any, required: tuple[str, ...] = (), **gates: Gate) -> int:
        _, release = decide_release(suites(*sides, **gates), ReleasePolicy(required=required))
        assert [condition.code for condition in conditions_of([release])] == (
            [release.exit_code] * len(release.reasons) if release.exit_code else []
        )
        return int(release.exit_code)

    assert code(good) == ExitCode.PASS
    assert code(good, bad, open_) == ExitCode.REGRESSED
    assert code(good, failed, open_) == ExitCode.REGRESSED
    assert code(good, open_) == ExitCode.INCONCLUSIVE
    assert code(good, open_, suite_1=supporting) == ExitCode.PASS
    assert code(good, bad, suite_1=supporting) == ExitCode.REGRESSED
    assert code(good, failed, suite_1=supporting) == ExitCode.REGRESSED
    assert code(good, bad, suite_1=advisory) == ExitCode.PASS
    assert code(good, failed, suite_1=advisory) == ExitCode.PASS
    assert code(good, suite_0=supporting) == ExitCode.INCONCLUSIVE
    assert code(good, suite_0=advisory) == ExitCode.INCONCLUSIVE
    assert code(good, required=("suite-0",)) == ExitCode.PASS
    assert code(good, required=("safety",)) == ExitCode.INCONCLUSIVE


def test_other_candidates_change_nothing() -> None:
    """Adding, removing and reordering neighbours leaves every number of a candidate as it was."""
    drop = suites(two_sides([1] * 92 + [0] * 8, [1] * 97 + [0] * 3), two_sides(FULL, FULL))
    verdicts, release = decide_release(drop)
    neighbours = []
    for number in range(6):
        same = two_sides(FULL, FULL, checkpoint=f"same-{number}")
        evidence = evidence_of(same[0], same[1])
        neighbours.append((evidence, decide(evidence)))
    for together in ([*drop, *neighbours], [*neighbours, *drop], [neighbours[0], *drop, *neighbours[1:]]):
        everyone, releases = decide_releases(together)
        assert tuple(v for v in everyone if v.checkpoint == release.checkpoint) == verdicts
        assert [r for r in releases if r.checkpoint == release.checkpoint] == [release]


@given(data=st.data(), seed=st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_no_random_session_changes_a_candidate(data: st.DataObject, seed: int) -> None:
    """Whoever stands beside a candidate, in whatever order: its verdicts and its release are those alone."""
    rng = np.random.default_rng(seed)
    sizes = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=3))
    sessions = {}
    for candidate in range(data.draw(st.integers(2, 5))):
        ease, session = rng.random(), []
        for number, size in enumerate(sizes):
            ours, theirs = two_sides(
                (rng.random(size) < ease).astype(float).tolist(),
                (rng.random(size) < 0.8).astype(float).tolist(),
                suite=f"suite-{number}",
                checkpoint=f"candidate-{candidate}",
            )
            evidence = evidence_of(ours, theirs)
            session.append((evidence, decide(evidence)))
        sessions[f"candidate-{candidate}"] = session
    names = data.draw(st.permutations(list(sessions)))
    together = [pair for name in names for pair in sessions[name]]
    everyone, releases = decide_releases(together)
    for name, session in sessions.items():
        verdicts, release = decide_release(session)
        assert tuple(v for v in everyone if v.checkpoint == name) == verdicts
        assert [r for r in releases if r.checkpoint == name] == [release]


def test_slices_point_at_the_tag_that_fell() -> None:
    ours, theirs = two_sides([0] * 20 + [1] * 80, [1] * 100)
    ours = [replace(r, tags=("lang:de",) if i < 40 else ("lang:en", "hard")) for i, r in enumerate(ours)]
    found = slices(evidence_of(ours, theirs))
    assert [(one.tag, one.n, one.delta, one.warns) for one in found] == [
        ("hard", 60, 0.0, False),
        ("lang:de", 40, -0.5, True),
        ("lang:en", 60, 0.0, False),
    ]
    assert slices(evidence_of(ours, None)) == ()


def sliced(drop: int) -> tuple[list[CaseResult], list[CaseResult]]:
    """100 German and 300 English cases; so many German ones got worse, as many English ones better."""
    ours, theirs = two_sides(
        [0] * drop + [1] * (100 - drop) + [1] * 300, [1] * 100 + [0] * drop + [1] * (300 - drop)
    )

    def tagged(side: list[CaseResult]) -> list[CaseResult]:
        return [replace(r, tags=("lang:de",) if i < 100 else ("lang:en",)) for i, r in enumerate(side)]

    return tagged(ours), tagged(theirs)


def test_a_slice_blocks_only_where_the_gate_names_it() -> None:
    ours, theirs = sliced(20)
    assert verdict_on(ours, theirs).status is Status.PASS
    assert verdict_on(ours, theirs, Gate(slices=("lang:en",))).status is Status.PASS
    verdict = verdict_on(ours, theirs, Gate(slices=("lang:de",)))
    assert verdict.status is Status.REGRESSED
    assert "slice lang:de fell by more than the margin: −20.0 points" in verdict.reasons[0]
    assert settle(verdict).status is Status.REGRESSED
    assert verdict_on(*sliced(3), Gate(slices=("lang:de",))).status is Status.PASS


def test_a_slice_that_is_not_there_is_no_pass() -> None:
    verdict = verdict_on(*sliced(0), Gate(slices=("lang:de", "lang:fr")))
    assert verdict.status is Status.INCONCLUSIVE
    assert "no case of slice lang:fr was compared" in said(verdict)


def test_the_slices_of_a_gate_are_tags() -> None:
    assert Gate.from_dict(Gate(slices=("a",)).as_dict() | {"slices": ["a"]}) == Gate(slices=("a",))
    for wrong in ("lang:de", [""], [1]):
        with pytest.raises(ConfigurationError, match="slices must be a list of tags"):
            Gate(slices=wrong)  # type: ignore[arg-type]  # as YAML may have it
    with pytest.raises(ConfigurationError, match="'absolute' has none"):
        Gate("absolute", min_score=0.5, slices=("a",))


def test_a_verdict_survives_json() -> None:
    ours, theirs = two_sides([0.5] * 30 + [0.1] * 30, FULL)
    verdict = verdict_on(ours, theirs, Gate(min_score=0.3), planned=62)
    data = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert Verdict.from_dict(data) == verdict
    contract = (
        "suite golden checkpoint baseline status policy margin alpha n mean baseline_mean delta interval"
    )
    contract += (
        " p_value adjusted_p minimum_detectable_drop improved worsened missed_must_pass errors invalid"
    )
    assert set(contract.split()) | {"partial", "reasons", "cases_needed"} <= set(data)


# --- invariants ----------------------------------------------------------------------------------------

sides = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from([0.0, 0.3, 1.0, None]), min_size=n, max_size=n)] * 2)
)


@settings(deadline=None, max_examples=60)
@given(sides, st.sampled_from(["no-significant-drop", "non-inferior"]), st.sampled_from([0.0, 0.02, 0.3]))
def test_verdicts_do_not_contradict_themselves(
    scores: tuple[list[float | None], list[float | None]], policy: str, margin: float
) -> None:
    ours, theirs = two_sides(*scores)
    verdict = verdict_on(ours, theirs, Gate(policy=policy, margin=margin))
    assert verdict.reasons
    if None in scores[0] or None in scores[1]:
        assert verdict.status is not Status.PASS
    if verdict.status is Status.REGRESSED:
        assert verdict.delta is not None
        assert verdict.bounds is not None
        assert verdict.delta < -margin
        assert verdict.bounds[1] < 0
        assert verdict.bounds[0] < -margin
        mirrored = verdict_on(
            [replace(r, role=Role.CANDIDATE) for r in theirs], [replace(r, role=Role.BASELINE) for r in ours]
        )
        assert mirrored.delta == -verdict.delta
        assert mirrored.status is not Status.REGRESSED
    if verdict.status is Status.PASS:
        assert verdict.is_drop_excluded


# --- arrays --------------------------------------------------------------------------------------------


def test_arrays_are_compared_like_cases() -> None:
    ours, theirs = np.array([1] * 80 + [0] * 20), np.ones(100)
    verdict = compare_scores(ours, theirs)
    cases = verdict_on(*two_sides(ours.tolist(), theirs.tolist()))
    assert verdict.status is Status.REGRESSED
    assert (verdict.interval, verdict.p_value, verdict.delta) == (cases.interval, cases.p_value, cases.delta)
    assert verdict.adjusted_p == verdict.p_value
    assert verdict.worsened_ids == tuple(str(i) for i in range(80, 100))
    assert compare_scores([True, False], [True, True]).delta == -0.5


def test_arrays_are_left_as_they_were() -> None:
    ours, theirs = np.array([0.1, 0.2]), np.array([0.3, 0.2])
    compare_scores(ours, theirs)
    assert ours.tolist() == [0.1, 0.2]
    assert theirs.tolist() == [0.3, 0.2]


@pytest.mark.parametrize(
    ("candidate", "baseline", "message"),
    [
        ([1.0, math.nan], [1.0, 1.0], r"candidate\[1\] is nan"),
        ([1.0, 1.0], [math.inf, 1.0], r"baseline\[0\] is inf"),
        ([1.0, 5.0], [1.0, 1.0], r"candidate\[1\] is 5.0.*\[0, 1\]"),
        ([1.0, None], [1.0, 1.0], "candidate must hold one number per case"),
        (["good"], [1.0], "candidate must hold one number per case"),
        ([1.0], [1.0, 1.0], "candidate has 1 scores and baseline 2"),
        ([], [], "candidate is empty"),
        ([[1.0, 0.0]], [[1.0, 0.0]], r"shape \(n,\), not \(1, 2\)"),
        (0.5, 0.5, r"shape \(n,\)"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(candidate: Any, baseline: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compare_scores(candidate, baseline)


def test_clusters_and_policies_of_arrays_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="clusters has 1 entries for 2 scores"):
        compare_scores([1, 0], [1, 0], clusters=["a"])
    with pytest.raises(ConfigurationError, match=r"clusters\[1\] is None"):
        compare_scores([1, 0], [1, 0], clusters=["a", None])
    with pytest.raises(ConfigurationError, match="min_score is missing"):
        compare_scores([1, 0], [1, 0], policy="absolute")
    assert compare_scores([1] * 10, [0] * 10, clusters=["a"] * 10).bounds == (-1.0, 1.0)


@pytest.mark.parametrize(
    "missing",
    [None, float("nan"), np.float32("nan"), "pandas.NA", "pandas.NaT", ["a"]],
    ids=["None", "nan", "f4", "NA", "NaT", "list"],
)
def test_a_case_without_a_cluster_is_refused_on_both_parts_of_a_suite(missing: Any) -> None:
    if isinstance(missing, str):
        missing = getattr(pytest.importorskip("pandas"), missing.removeprefix("pandas."))
    scores, names = [1.0, 0.0] * 20, [f"c{i}" for i in range(40)]
    said = r"clusters\[3\] is .*: name the cluster of every case"
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        compare_scores(scores, scores, clusters=[*names[:3], missing, *names[4:]])
    rest = RestOfSuite(scores, clusters=[*names[:3], missing, *names[4:]])
    with pytest.raises(ConfigurationError, match=rf"^rest\.{said}"):
        compare_scores(scores, scores, clusters=names, rest=rest)


def test_a_masked_score_is_not_known() -> None:
    masked = np.ma.MaskedArray([1, 1, 0], mask=[False, True, False])
    with pytest.raises(ConfigurationError, match=r"candidate\[1\] is nan"):
        compare_scores(masked, [1, 1, 1])
    assert compare_scores(np.ma.MaskedArray([1.0, 0.5]), [1, 1]).delta == -0.25


@pytest.mark.parametrize("right", [100, 20])
def test_what_is_no_evidence_neither_passes_nor_regresses(right: int) -> None:
    verdict = verdict_on(*two_sides([1.0] * right + [0.0] * (100 - right), [1.0] * 100))
    found = settle(replace(verdict, distrusted=("the judge obeys",)))
    assert found.status is Status.INCONCLUSIVE
    assert found.reasons == ("the judge obeys", *verdict.reasons)
    assert Verdict.from_dict(found.as_dict()) == found


def test_a_misspelt_argument_is_a_slip_and_the_signature_is_what_it_was() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^gate: unknown argument 'margn' \(did you mean 'margin'\?\)"
    ):
        Gate(margn=0.1)  # type: ignore[call-arg]  # what is tested
    assert list(inspect.signature(Gate).parameters) == [field.name for field in fields(Gate)]
    assert pickle.loads(pickle.dumps(Gate(margin=0.1))) == replace(Gate(), margin=0.1)


@pytest.mark.parametrize("planned", [None, 100])
def test_a_must_pass_case_that_never_came_is_not_tolerated(planned: int | None) -> None:
    """Nor is a case that is missing counted twice, as never reported and as answered by the baseline only."""
    for required in (False, True):
        ours, theirs = two_sides([1.0] * 100, [1.0] * 100)
        theirs = changed(theirs, 3, must_pass=required)
        verdict = verdict_on([*ours[:3], *ours[4:]], theirs, Gate(coverage=0.95), planned=planned)
        assert verdict.status is (Status.INCONCLUSIVE if required else Status.PASS)
        assert ("must_pass cases were not decided: case-0003" in verdict.reasons) == required
        assert verdict.counts.missing == 1
        assert any(reason.startswith("tolerated, 99 of 100 cases") for reason in verdict.reasons)


def test_named_slices_hold_their_promise_where_others_fell() -> None:
    """Ten slices fell, ten that are named did not: at the level of the warnings 21 % of gates would block."""
    rng = np.random.default_rng(0)
    tags = [f"fell-{s}" for s in range(10) for _ in range(40)] + [
        f"same-{s}" for s in range(10) for _ in range(40)
    ]
    gate = Gate(slices=tuple(f"same-{s}" for s in range(10)))
    runs, blocked = 40, 0
    for _ in range(runs):
        fell = np.arange(800) < 400
        base = np.where(fell, 1.0, rng.random(800) < 0.7)
        sides = two_sides(np.where(fell, 0.0, rng.random(800) < 0.7).tolist(), base.tolist())
        ours, theirs = ([replace(r, tags=(t,)) for r, t in zip(side, tags, strict=True)] for side in sides)
        blocked += any(reason.startswith("slice same") for reason in verdict_on(ours, theirs, gate).blocks)
    assert blocked / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_named_slice_that_fell_blocks_and_one_that_may_have_is_said() -> None:
    tags = [tag for tag in ("de", "fr", "it", "es") for _ in range(40)]
    scores = [0.0] * 20 + [1.0] * 20 + [0.0] * 4 + [1.0] * 116  # p = 0.023 for fr
    ours, theirs = two_sides(scores, [1.0] * 160)
    ours = [replace(result, tags=(tag,)) for result, tag in zip(ours, tags, strict=True)]

    def said(*named: str) -> list[str]:
        reasons = verdict_on(ours, theirs, Gate(slices=named, margin=0.05)).reasons
        return [reason.split(":")[0] for reason in reasons if reason.startswith("slice")]

    fell = "slice {} fell by more than the margin"
    assert said("de", "fr") == [fell.format("de"), fell.format("fr")]
    assert said("fr") == [fell.format("fr")]
    assert said("fr", "it", "es") == ["slice fr warns and does not block"]
    assert said("it") == []


def test_a_floor_counts_every_case_whatever_the_baseline_has() -> None:
    """A policy that compares with no baseline is about the candidate's cases, not about the pairs."""
    ours, theirs = two_sides([1.0] * 180 + [0.0] * 20, [1.0] * 200)
    gate = Gate(policy="absolute", min_score=0.5, min_cases=100)
    for baseline in (None, theirs[:5], [replace(one, content_hash="f" * 64) for one in theirs]):
        verdict = verdict_on(ours, baseline, gate)
        assert (verdict.status, verdict.n, verdict.mean) == (Status.PASS, 200, 0.9)
    assert verdict_on(ours, theirs, gate).delta == pytest.approx(-0.1)


def test_a_change_that_a_gate_names_is_not_passed_over_for_want_of_a_baseline() -> None:
    ours, theirs = two_sides([1.0] * 50, [1.0] * 50)
    for named, status in {("refusals",): Status.INCONCLUSIVE, ("truncated", "loops"): Status.PASS}.items():
        gate = Gate(policy="absolute", min_score=0.5, blocks_on=named)
        alone = verdict_on(ours, None, gate)
        assert alone.status is status
        assert (alone.reasons[:1] == ()) == (status is Status.PASS)
        assert verdict_on(ours, theirs, gate).status is Status.PASS
