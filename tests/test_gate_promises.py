"""The truth table of verdicts: what each piece of evidence makes of a suite, at its boundaries.

The evidence is put together by hand here, so that a p-value of exactly alpha and a bound of exactly 0 can be
asked about. What makes evidence of case results is tested in test_gate.py.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from case_results import case_result, changed, evidence_of, two_sides

from harness.case_result import CaseResult
from harness.cases import Outcome
from harness.gate.compare_scores import compare_scores
from harness.gate.decide import decide, settle
from harness.gate.measurements import CaseCounts, EarlySettlement, Floor, MeanScore, SampleNoise
from harness.gate.policy import Gate
from harness.gate.verdict import Status, Verdict, percent, points
from harness.stats.paired import Comparison
from harness.stats.power import Spread

PASS, REGRESSED, FAILED, INCONCLUSIVE = Status


def compared(**fields: Any) -> Comparison:
    """A comparison of 100 cases in which nothing fell."""
    plain: dict[str, Any] = {
        "n": 100,
        "groups": 100,
        "mean": 0.9,
        "baseline_mean": 0.9,
        "delta": 0.0,
        "standard_error": 0.02,
        "interval": (-0.04, 0.04),
        "bounds": (-0.03, 0.03),
        "p_value": 0.5,
        "improved": 2,
        "worsened": 2,
        "method": "by hand",
        "spread": Spread(100, 100, 0.04, measured=False),
    }
    return Comparison(**(plain | fields))


def settled(gate: Gate | None = None, *, comparison: Comparison | None = None, **fields: Any) -> Verdict:
    """The verdict on evidence that is put together by hand."""
    gate = gate or Gate()
    plain: dict[str, Any] = {"suite": "s", "golden": "g/v1", "checkpoint": "c", "baseline": "b", "gate": gate}
    return settle(Verdict(comparison=comparison, **(plain | fields)))


def said(verdict: Verdict) -> str:
    return "; ".join(verdict.reasons)


# --- a drop is shown -------------------------------------------------------------------------------------


def test_a_small_p_value_blocks_nothing_where_the_interval_reaches_above_zero() -> None:
    """Five clusters, all lower: p = 1/32, and the interval, corrected for skewness, goes up to 0.2."""
    candidate = [1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 0]
    baseline = [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1]
    clusters = [3, 2, 0, 1, 4, 3, 3, 3, 3, 4, 4, 3, 3, 3, 1, 2, 1, 4, 4, 3, 4, 0]
    verdict = compare_scores(candidate, baseline, clusters=clusters)
    assert verdict.p_value is not None
    assert verdict.bounds is not None
    assert verdict.p_value <= 0.05
    assert verdict.bounds[1] > 0.0
    assert verdict.status is not REGRESSED
    assert not verdict.blocks


DROP = {"delta": -0.08, "bounds": (-0.09, -0.01), "p_value": 0.01}
SHOWN: list[tuple[dict[str, Any], dict[str, Any], Status]] = [
    # the comparison, its gate, the status
    ({}, {}, REGRESSED),
    ({"p_value": 0.05}, {}, REGRESSED),
    ({"p_value": 0.0501}, {}, PASS),
    ({"p_value": 0.0501}, {"alpha": 0.06}, REGRESSED),
    ({"bounds": (-0.09, -1e-9)}, {}, REGRESSED),
    ({"bounds": (-0.09, 0.0)}, {}, PASS),
    ({"bounds": (-0.2, 0.01)}, {}, INCONCLUSIVE),
    ({"delta": -0.02}, {}, PASS),
    ({"delta": -0.02 - 1e-13}, {}, PASS),
    ({"delta": -0.0201}, {}, REGRESSED),
    ({"delta": -0.0201}, {"margin": 0.03}, PASS),
    ({"delta": -1e-6}, {"margin": 0.0}, REGRESSED),
    # a margin that is a share of what the baseline scores: 2 % of 0.5 is 0.01
    ({"delta": -0.015, "baseline_mean": 0.5}, {}, PASS),
    ({"delta": -0.015, "baseline_mean": 0.5, "bounds": (-0.04, -0.01)}, {"relative": True}, REGRESSED),
    ({"delta": -0.015, "baseline_mean": 0.9, "bounds": (-0.04, -0.01)}, {"relative": True}, PASS),
    # the proven drop itself must exceed the margin
    ({"bounds": (-0.09, -0.01)}, {"minimum_effect": True}, PASS),
    ({"bounds": (-0.09, -0.02)}, {"minimum_effect": True}, PASS),
    ({"bounds": (-0.09, -0.0201)}, {"minimum_effect": True}, REGRESSED),
    ({"bounds": (-0.09, -0.0201)}, {"minimum_effect": True, "margin": 0.05}, PASS),
    # the estimate over the whole suite decides where only a part was asked
    ({"delta": -0.01, "adjusted_delta": -0.08}, {}, REGRESSED),
    ({"delta": -0.08, "adjusted_delta": -0.01}, {}, PASS),
    ({}, {"policy": "non-inferior", "margin": 0.05}, REGRESSED),
]


@pytest.mark.parametrize(("comparison", "gate", "status"), SHOWN)
def test_a_drop_blocks_where_it_is_no_accident_and_beyond_the_margin(
    comparison: dict[str, Any], gate: dict[str, Any], status: Status
) -> None:
    verdict = settled(Gate(**gate), comparison=compared(**(DROP | comparison)))
    assert verdict.status is status, said(verdict)
    assert ("the mean fell by more than the margin" in said(verdict)) is (status is REGRESSED)


@pytest.mark.parametrize(
    ("p_value", "adjusted", "status"),
    [(0.01, None, REGRESSED), (0.01, 0.04, REGRESSED), (0.01, 0.06, PASS), (0.9, 0.05, REGRESSED)],
)
def test_the_p_value_of_the_release_decides_where_there_is_one(
    p_value: float, adjusted: float | None, status: Status
) -> None:
    verdict = settled(comparison=compared(**(DROP | {"p_value": p_value})), adjusted_p=adjusted)
    assert verdict.status is status
    shown = p_value if adjusted is None else adjusted
    assert f"−8.0 points, p = {shown:.2g}, n = 100" in verdict.reasons[0]


# --- a drop is ruled out ---------------------------------------------------------------------------------

LEFT: list[tuple[dict[str, Any], dict[str, Any], Status, str]] = [
    (
        {"bounds": (-0.0999, 0.03)},
        {},
        PASS,
        "no drop is shown, and one of more than 10.0 points is ruled out",
    ),
    (
        {"bounds": (-0.1, 0.03)},
        {},
        INCONCLUSIVE,
        "a drop of 10 % is not ruled out: the interval reaches down to −10.0",
    ),
    ({"bounds": (-0.06, 0.03)}, {"rules_out": 0.05}, INCONCLUSIVE, "a drop of 5 % is not ruled out"),
    ({"bounds": (-0.12, 0.03)}, {"margin": 0.15}, PASS, "one of more than 12.0 points is ruled out"),
    ({"bounds": (-0.12, 0.03)}, {"rules_out": 0.15}, PASS, "one of more than 12.0 points is ruled out"),
    ({"bounds": (-0.03, 0.03)}, {"policy": "non-inferior", "margin": 0.02}, INCONCLUSIVE, "a drop of 2 %"),
    ({"bounds": (-0.03, 0.03)}, {"policy": "non-inferior", "margin": 0.04}, PASS, "no drop is shown"),
    # a baseline that has less to lose than what is to be excluded
    ({"baseline_mean": 0.08}, {}, INCONCLUSIVE, "the baseline scores 8 %, so a drop of 10 % cannot show"),
    ({"baseline_mean": 0.1}, {}, INCONCLUSIVE, "the baseline scores 10 %, so a drop of 10 % cannot show"),
    ({"baseline_mean": 0.1001}, {}, PASS, "no drop is shown"),
    ({"baseline_mean": 0.08, "bounds": (0.001, 0.2)}, {}, PASS, "one of more than 0.0 points is ruled out"),
    ({"baseline_mean": 0.08, "bounds": (0.0, 0.2)}, {}, INCONCLUSIVE, "cannot show"),
    (
        {"baseline_mean": 0.0},
        {"relative": True},
        INCONCLUSIVE,
        "the baseline scores 0 %, so no drop can show",
    ),
    # of 0.4, a tenth is 0.04
    ({"baseline_mean": 0.4, "bounds": (-0.039, 0.1)}, {"relative": True}, PASS, "3.9 points is ruled out"),
    ({"baseline_mean": 0.4, "bounds": (-0.041, 0.1)}, {"relative": True}, INCONCLUSIVE, "a drop of 4 %"),
]


@pytest.mark.parametrize(("comparison", "gate", "status", "reason"), LEFT)
def test_a_pass_excludes_a_drop_of_a_stated_size(
    comparison: dict[str, Any], gate: dict[str, Any], status: Status, reason: str
) -> None:
    verdict = settled(Gate(**gate), comparison=compared(**comparison))
    assert verdict.status is status, said(verdict)
    assert reason in said(verdict)
    assert verdict.is_drop_excluded is (status is PASS)


@pytest.mark.parametrize(
    ("policy", "n", "minimum", "status"),
    [
        ("no-significant-drop", 1, None, PASS),
        ("non-inferior", 19, None, INCONCLUSIVE),
        ("non-inferior", 20, None, PASS),
        ("no-significant-drop", 29, 30, INCONCLUSIVE),
        ("no-significant-drop", 30, 30, PASS),
        ("non-inferior", 5, 5, PASS),
    ],
)
def test_a_gate_asks_for_its_fewest_cases(policy: str, n: int, minimum: int | None, status: Status) -> None:
    gate = Gate(policy=policy, margin=0.1, min_cases=minimum)
    verdict = settled(gate, comparison=compared(n=n))
    assert verdict.status is status
    assert ("too few cases" in said(verdict)) is (status is INCONCLUSIVE)


def test_the_fewest_cases_of_an_absolute_gate_are_counted_without_a_comparison() -> None:
    gate = Gate("absolute", min_score=0.5, min_cases=10)
    for n, status in ((9, INCONCLUSIVE), (10, PASS)):
        assert settled(gate, alone=MeanScore(n, n, 0.9, 0.1)).status is status
    assert said(settled(gate)) == "too few cases: 0 of at least 10 that the policy asks for"
    assert "too few" not in said(settled(Gate(), alone=MeanScore(0, 0, 0.9, None))), "it is doubted already"


# --- what outweighs what ---------------------------------------------------------------------------------

BLOCK, FAILURE, DOUBT = {"blocks": ("a block",)}, {"failures": ("a failure",)}, {"doubts": ("a doubt",)}
DISTRUST, SAME_WEIGHTS = {"distrusted": ("no judge",)}, {"same_weights": True}


@pytest.mark.parametrize(
    ("fields", "status", "first"),
    [
        ({}, PASS, "no drop is shown"),
        (DOUBT, INCONCLUSIVE, "a doubt"),
        (FAILURE, FAILED, "a failure"),
        (FAILURE | DOUBT, FAILED, "a failure"),
        (BLOCK, REGRESSED, "a block"),
        (BLOCK | FAILURE | DOUBT, REGRESSED, "a block"),
        (BLOCK | FAILURE | DISTRUST, INCONCLUSIVE, "no judge"),
        (DISTRUST, INCONCLUSIVE, "no judge"),
        (SAME_WEIGHTS, INCONCLUSIVE, "candidate and baseline are the same weights"),
        (SAME_WEIGHTS | BLOCK, INCONCLUSIVE, "candidate and baseline are the same weights"),
        (SAME_WEIGHTS | FAILURE, FAILED, "a failure"),
        ({"notes": ("a note",)}, PASS, "no drop is shown"),
    ],
)
def test_a_loss_outweighs_a_failure_and_a_failure_a_doubt(
    fields: dict[str, Any], status: Status, first: str
) -> None:
    verdict = settled(comparison=compared(), **fields)
    assert verdict.status is status
    assert verdict.reasons[0].startswith(first)
    for kind in ("failures", "doubts", "notes", "distrusted"):
        assert set(fields.get(kind, ())) <= set(verdict.reasons), "every reason is kept"


def test_the_same_weights_say_nothing_of_a_drop_and_may_be_held_to_a_floor() -> None:
    lost = settled(comparison=compared(**DROP), same_weights=True)
    assert lost.status is INCONCLUSIVE
    assert "fell" not in said(lost)
    assert not lost.is_drop_excluded
    gate = Gate("absolute", min_score=0.5)
    assert settled(gate, alone=MeanScore(50, 50, 0.9, 0.1), same_weights=True).status is PASS
    blocked = settled(gate, alone=MeanScore(50, 50, 0.9, 0.1), same_weights=True, **BLOCK)
    assert blocked.status is REGRESSED


def test_reasons_come_in_the_order_of_their_weight() -> None:
    fields = BLOCK | FAILURE | DOUBT | DISTRUST | {"notes": ("a note",)}
    verdict = settled(comparison=compared(**DROP), **fields)
    assert [reason.split(":")[0] for reason in verdict.reasons] == [
        "no judge",
        "the mean fell by more than the margin of 2 %",
        "a block",
        "a failure",
        "a doubt",
        "a note",
    ]
    assert settle(verdict) == verdict, "settling twice says everything once"


def test_a_gate_without_a_baseline_compares_nothing_even_where_it_could() -> None:
    gate = Gate("absolute", min_score=0.5)
    verdict = settled(gate, comparison=compared(**DROP))
    assert (verdict.status, verdict.rules_out, verdict.is_drop_excluded) == (PASS, None, False)


# --- how many cases would settle it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "gate", "comparison", "needed"),
    [
        ({}, {}, {}, None),  # a PASS needs none
        ({"cases_for_drop": 300}, {"rules_out": 0.02}, {}, 300),
        ({"cases_for_drop": None}, {"rules_out": 0.02}, {}, None),
        ({"cases_for_drop": 300, **DOUBT}, {}, {}, None),  # that is settled, and more cases settle no doubt
        ({"cases_for_drop": 300}, {}, {"baseline_mean": 0.05}, None),  # none could show
        ({}, {"min_cases": 150}, {}, 150),
        ({"cases_for_drop": 140}, {"min_cases": 150, "rules_out": 0.02}, {}, 150),
        ({"cases_for_drop": 160}, {"min_cases": 150, "rules_out": 0.02}, {}, 160),
        ({"floor": Floor((0.4, 0.7), 500), **DOUBT}, {}, {}, 500),
        ({"floor": Floor((0.4, 0.7), None), **DOUBT}, {}, {}, None),
    ],
)
def test_the_cases_that_are_needed_are_those_of_the_hardest_question(
    fields: dict[str, Any], gate: dict[str, Any], comparison: dict[str, Any], needed: int | None
) -> None:
    verdict = settled(Gate(**gate), comparison=compared(**comparison), **fields)
    assert verdict.cases_needed == needed


def test_without_a_comparison_the_fewest_cases_are_needed_where_none_is_asked_for() -> None:
    alone = MeanScore(4, 4, 0.9, 0.1)
    assert settled(Gate("absolute", min_score=0.5, min_cases=10), alone=alone).cases_needed == 10
    assert settled(Gate(min_cases=10), alone=alone, **DOUBT).cases_needed is None


# --- from case results -----------------------------------------------------------------------------------


def decided(
    candidate: list[CaseResult], baseline: list[CaseResult] | None, gate: Gate | None = None, **more: Any
) -> Verdict:
    return decide(evidence_of(candidate, baseline, gate=gate, **more))


def hits(right: int, n: int) -> list[float]:
    return [1.0] * right + [0.0] * (n - right)


def test_a_case_must_be_passed_to_be_kept_and_missed_to_fail() -> None:
    ours, theirs = two_sides([1.0] * 60, [1.0] * 60)
    flagged = {"must_pass": True, "must_keep": True}
    for outcome, samples in ((Outcome.MISSED, (0.0,)), (Outcome.INVALID, (0.0,)), (Outcome.MISSED, (0.4,))):
        verdict = decided(changed(ours, 5, outcome=outcome, samples=samples, **flagged), theirs)
        assert verdict.missed_must_pass == verdict.lost_must_keep == ("case-0005",)
        assert verdict.status is REGRESSED
    kept = decided(changed(ours, 5, **flagged), theirs)
    assert (kept.missed_must_pass, kept.lost_must_keep, kept.status) == ((), (), PASS)
    for theirs_outcome, lost in (
        (Outcome.MISSED, ()),
        (Outcome.INVALID, ()),
        (Outcome.PASSED, ("case-0005",)),
    ):
        before = changed(theirs, 5, outcome=theirs_outcome)
        verdict = decided(changed(ours, 5, outcome=Outcome.MISSED, must_keep=True), before)
        assert verdict.lost_must_keep == lost


def test_a_case_that_two_tests_missed_is_named_once() -> None:
    ours, theirs = two_sides([1.0] * 60, [1.0] * 60, must_pass=True, must_keep=True)
    ours = changed(ours, 5, outcome=Outcome.MISSED, samples=(0.0,))
    both = [*ours, *(dataclasses.replace(result, test="test_tone") for result in ours)]
    before = [*theirs, *(dataclasses.replace(result, test="test_tone") for result in theirs)]
    verdict = decided(both, before)
    assert verdict.missed_must_pass == verdict.lost_must_keep == ("case-0005",)
    assert "must_pass cases were missed: case-0005" in said(verdict)


FLOORS = [
    # hits of 100, gate, status, what is said
    (
        30,
        {},
        FAILED,
        "the mean score 30 % is below min_score 60 %, and so is its one-sided interval up to 38",
    ),
    (51, {}, FAILED, "and so is its one-sided interval"),  # 59.6 %
    (52, {}, PASS, "but its one-sided interval reaches 60.59 % (n = 100)"),
    (59, {}, PASS, "the mean score 59 % is below min_score 60 %"),
    (60, {}, PASS, "no drop is shown"),
    (52, {"policy": "non-inferior", "margin": 0.05}, INCONCLUSIVE, "but its one-sided interval reaches"),
    (60, {"policy": "non-inferior", "margin": 0.05}, PASS, "no drop is shown"),
    (59, {"alpha": 0.4}, PASS, "reaches 60.7 % (n = 100)"),
]


@pytest.mark.parametrize(("right", "gate", "status", "reason"), FLOORS)
def test_a_floor_fails_where_the_mean_is_shown_to_lie_below_it(
    right: int, gate: dict[str, Any], status: Status, reason: str
) -> None:
    ours, theirs = two_sides(hits(right, 100), hits(right, 100))
    verdict = decided(ours, theirs, Gate(min_score=0.6, **gate))
    assert verdict.status is status, said(verdict)
    assert reason in said(verdict)
    assert verdict.floor is not None
    assert ("min_score" in said(verdict)) is (right < 60)


def test_an_open_floor_says_how_many_cases_would_settle_it() -> None:
    verdict = decided(two_sides(hits(55, 100), [])[0], None, Gate("absolute", min_score=0.6))
    assert verdict.status is INCONCLUSIVE
    assert verdict.floor is not None
    # (z₀.₉₅ + z₀.₈)² · 0.55 · 0.45 · 100/99 / 0.05²
    assert verdict.floor.cases_needed == verdict.cases_needed == pytest.approx(618, abs=2)
    graded = decided(two_sides([0.5] * 40, [])[0], None, Gate("absolute", min_score=0.51))
    assert graded.floor is not None
    # Nothing varies, so what was not seen is thought of as right or wrong, with a variance of 0.25.
    assert graded.floor.cases_needed == pytest.approx(15_457, abs=2)
    one_cluster = [case_result(f"c{number}", 0.5, cluster="one") for number in range(40)]
    shared = decided(one_cluster, None, Gate("absolute", min_score=0.51))
    assert shared.floor is not None
    assert shared.floor.cases_needed == pytest.approx(40 * 15_457, rel=1e-3), "as many clusters of forty"


def test_a_score_of_exactly_the_floor_holds_it() -> None:
    scores = [0.58] * 30 + [0.62] * 30  # their mean is 0.6 less a bit of dust
    verdict = decided(two_sides(scores, scores)[0], None, Gate("absolute", min_score=0.6))
    assert verdict.status is PASS
    assert "min_score" not in said(verdict)


def test_means_are_told_where_nothing_is_compared() -> None:
    ours = [case_result(f"c{number}", score) for number, score in enumerate([1.0, 0.5, 0.0, None])]
    verdict = decided(ours, None)
    assert (verdict.n, verdict.clusters, verdict.mean, verdict.baseline_mean) == (3, 3, 0.5, None)
    assert verdict.standard_error == pytest.approx(0.5 / 3**0.5)
    assert (verdict.delta, verdict.p_value, verdict.method, verdict.improved) == (None, None, "", 0)
    paired = decided(two_sides([1.0, 0.5], [])[0], [], Gate("absolute", min_score=0.1))
    assert (paired.n, paired.mean) == (2, 0.75)
    assert decided([], None).mean is None


def test_an_absolute_gate_compares_only_where_every_case_has_its_partner() -> None:
    """Otherwise n and mean would be of the pairs, and the floor of all: two numbers for one thing."""
    ours, theirs = two_sides(hits(50, 60), hits(55, 60))
    gate = Gate("absolute", min_score=0.5)
    whole, part = decided(ours, theirs, gate), decided(ours, theirs[:50], gate)
    assert (whole.n, whole.delta) == (60, pytest.approx(-5 / 60))
    assert (part.n, part.delta, part.mean) == (60, None, pytest.approx(50 / 60))
    assert decided(ours, theirs[:50], Gate()).n == 50


def test_cases_are_named_by_what_their_score_did() -> None:
    ours, theirs = two_sides([1.0, 0.0, 0.5, 0.5 + 1e-13, 0.2], [0.0, 1.0, 0.5, 0.5, 0.1])
    verdict = decided(ours, theirs)
    assert verdict.improved_ids == ("case-0000", "case-0004")
    assert verdict.worsened_ids == ("case-0001",)
    assert (verdict.improved, verdict.worsened) == (2, 1)


@pytest.mark.parametrize(("invalid", "doubted"), [(30, False), (31, True), (60, True), (0, False)], ids=str)
@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_side_is_doubted_where_more_than_half_of_it_could_not_be_scored(
    invalid: int, doubted: bool, side: str
) -> None:
    ours, theirs = two_sides([1.0] * 60, [1.0] * 60)
    unread = [
        dataclasses.replace(result, outcome=Outcome.INVALID) if number < invalid else result
        for number, result in enumerate(ours if side == "candidate" else theirs)
    ]
    verdict = decided(unread, theirs) if side == "candidate" else decided(ours, unread)
    expected = f"{invalid} of 60 answers of the {side} could not be scored: case-0000, case-0001"
    assert (expected in said(verdict)) is doubted
    assert (verdict.status is INCONCLUSIVE) is doubted


def test_how_cases_ended_is_counted() -> None:
    ours, theirs = two_sides([1.0] * 60, [1.0] * 61)
    ours = changed(ours, 0, outcome=Outcome.ERROR, samples=())
    ours = changed(ours, 1, outcome=Outcome.INVALID, samples=(0.0,))
    ours = changed(ours, 2, skipped="no judge")
    verdict = decided(ours, theirs, planned=63)
    assert verdict.counts == CaseCounts(planned=63, errors=1, invalid=1, skipped=1, missing=3)
    assert verdict.planned == 63
    assert (verdict.errors, verdict.invalid) == (1, 1)
    assert decided(ours, theirs).counts.planned == 60
    assert decided(ours, theirs).counts.missing == 1


COVERAGE = [
    # results, baseline's results, planned, coverage, tolerated
    (60, 60, 60, 1.0, None),  # nothing is missing
    (60, 60, 61, 1.0, False),
    (60, 60, 61, 0.98, True),
    (60, 60, 61, 0.99, False),
    (59, 60, 60, 0.98, True),  # the missing one is the baseline's: counted once
    (60, 59, 60, 0.98, True),
    (60, 54, 60, 0.9, True),  # exactly
    (60, 53, 60, 0.9, False),
]


@pytest.mark.parametrize(("ours", "theirs", "planned", "coverage", "tolerated"), COVERAGE)
def test_what_is_missing_is_tolerated_up_to_the_coverage(
    ours: int, theirs: int, planned: int, coverage: float, tolerated: bool | None
) -> None:
    candidate, baseline = two_sides([1.0] * ours, [1.0] * theirs)
    verdict = decided(candidate, baseline, Gate(coverage=coverage), planned=planned)
    assert verdict.status is (INCONCLUSIVE if tolerated is False else PASS)
    decided_cases, expected = min(ours, theirs), max(planned, ours, theirs)
    told = (
        f"tolerated, {decided_cases} of {expected} cases were decided, the gate asks for {percent(coverage)}"
    )
    assert (told in said(verdict)) is (tolerated is True)


def test_of_a_part_what_the_baseline_has_more_is_not_missed() -> None:
    ours, theirs = two_sides([1.0] * 50, [1.0] * 60)
    part, whole = decided(ours, theirs, partial=True), decided(ours, theirs)
    assert (part.counts.missing, whole.counts.missing) == (0, 10)
    assert said(part).startswith("only a part of the suite was selected")
    assert "10 cases of the baseline not in this run: case-0050, case-0051" in said(whole)
    absolute = decided(ours, theirs, Gate("absolute", min_score=0.5))
    assert (absolute.status, absolute.counts.missing) == (PASS, 0)


@pytest.mark.parametrize("flag", ["must_pass", "must_keep"])
def test_a_flagged_case_that_is_not_there_is_no_pass(flag: str) -> None:
    ours, theirs = two_sides([1.0] * 59, [1.0] * 60)
    verdict = decided(ours, changed(theirs, 59, **{flag: True}), Gate(coverage=0.9))
    assert verdict.status is INCONCLUSIVE
    assert f"{flag} cases were not decided: case-0059" in said(verdict)


# --- kept and read again ---------------------------------------------------------------------------------

VERDICTS = [
    settled(comparison=compared(**DROP, adjusted_delta=-0.07, variance_reduction=0.3, looked_early=True)),
    settled(alone=MeanScore(12, 5, 0.4, None), floor=Floor((0.2, 0.6), 40)),
    settled(
        Gate("absolute", min_score=0.5, tier="advisory", blocks_on=("empty",)),
        counts=CaseCounts(9, 1, 2, 3, 4),
        adjusted_p=0.2,
        minimum_detectable_drop=0.1,
        cases_for_drop=77,
        improved_ids=("a",),
        worsened_ids=("b", "c"),
        missed_must_pass=("d",),
        lost_must_keep=("e",),
        noise=SampleNoise(3, 0.4, 1.5),
        settlement=EarlySettlement("a rule", 2, ("x", "y")),
        partial=True,
        same_weights=True,
        blocks=("1",),
        failures=("2",),
        doubts=("3",),
        notes=("4",),
        distrusted=("5",),
    ),
    settled(),
]


@pytest.mark.parametrize("number", range(len(VERDICTS)))
def test_a_verdict_is_read_back_as_it_was_written(number: int) -> None:
    verdict = VERDICTS[number]
    written = json.loads(json.dumps(verdict.as_dict()))
    assert Verdict.from_dict(written) == verdict
    assert written["status"] == verdict.status.value
    assert written["n"] == verdict.n
    assert written["not_needed"] == verdict.not_needed
    assert written["largest_drop_left"] == verdict.largest_drop_left


def test_what_people_ask_for_most_is_told_without_digging() -> None:
    verdict = settled(comparison=compared(**DROP, adjusted_delta=-0.07))
    assert (verdict.n, verdict.clusters, verdict.mean, verdict.baseline_mean) == (100, 100, 0.9, 0.9)
    assert (verdict.delta, verdict.adjusted_delta, verdict.effect) == (-0.08, -0.07, -0.07)
    assert (verdict.interval, verdict.bounds, verdict.p_value) == ((-0.04, 0.04), (-0.09, -0.01), 0.01)
    assert (verdict.standard_error, verdict.method) == (0.02, "by hand")
    assert (verdict.improved, verdict.worsened, verdict.is_compared) == (2, 2, True)
    assert (verdict.policy, verdict.margin, verdict.alpha) == ("no-significant-drop", 0.02, 0.05)
    assert verdict.largest_drop_left == 0.09
    risen = settled(comparison=compared(bounds=(0.01, 0.2)))
    assert risen.largest_drop_left == 0.0
    empty = settled()
    assert (empty.n, empty.clusters, empty.mean, empty.largest_drop_left) == (0, 0, None, None)
    assert (empty.not_needed, empty.is_compared, empty.effect) == (0, False, None)


@pytest.mark.parametrize(
    ("difference", "text"),
    [(-0.032, "−3.2"), (0.032, "+3.2"), (0.0, "0.0"), (-0.0004, "0.0"), (0.00051, "+0.1"), (1.0, "+100.0")],
)
def test_points_have_a_sign_unless_they_are_none(difference: float, text: str) -> None:
    assert points(difference) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.02, "2 %"), (0.005, "0.5 %"), (1.0, "100 %"), (0.123456, "12.35 %")]
)
def test_shares_are_told_in_percent(share: float, text: str) -> None:
    assert percent(share) == text
