"""Several samples per case, and a suite of which only a part was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from case_results import case_result, evidence_of
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.errors import ConfigurationError
from harness.gate.compare_scores import RestOfSuite, compare_scores
from harness.gate.decide import decide
from harness.gate.measurements import SampleNoise
from harness.gate.policy import Gate
from harness.gate.slices import slices
from harness.gate.verdict import Status, Verdict
from harness.stats.repeats import Repeats, reduce_samples, split_variance


def repeated(samples: Sequence[Sequence[float]], role: Role) -> list[CaseResult]:
    return [
        replace(
            case_result(f"c{i:03}", 1.0),
            samples=tuple(found),
            outcome=Outcome.PASSED if min(found) == 1 else Outcome.MISSED,
            role=role,
            tags=("all",),
        )
        for i, found in enumerate(samples)
    ]


def verdict_on(ours: Sequence[CaseResult], theirs: Sequence[CaseResult], gate: Gate | None = None) -> Verdict:
    return decide(evidence_of(ours, theirs, gate=gate))


def two_sides(ours: Any, theirs: Any) -> tuple[list[CaseResult], list[CaseResult]]:
    return repeated(ours, Role.CANDIDATE), repeated(theirs, Role.BASELINE)


# --- one score from several samples --------------------------------------------------------------------


def test_all_samples_must_pass_where_the_gate_says_so() -> None:
    flaky = [(1.0, 1.0, 1.0, 0.0)] * 12 + [(1.0,) * 4] * 48
    ours, theirs = two_sides(flaky, [(1.0,) * 4] * 60)
    mean, every = verdict_on(ours, theirs), verdict_on(ours, theirs, Gate(reduce="all"))
    assert mean.delta == pytest.approx(-0.05)
    assert every.delta == pytest.approx(-0.2)  # pass^4: 12 of 60 cases failed at least once
    assert "McNemar" in every.method
    assert "sign-flip" in mean.method
    assert every.status is Status.REGRESSED
    (slice_,) = slices(evidence_of(ours, theirs, gate=Gate(reduce="all")))
    assert slice_.delta == every.delta


def test_scores_are_made_of_samples_by_name() -> None:
    assert reduce_samples((0.2, 0.8), "mean") == 0.5
    assert reduce_samples((0.2, 0.8), "all") == 0.2
    with pytest.raises(ConfigurationError, match="reduce must be one of 'mean', 'all', not 'best'"):
        Gate(reduce="best")
    assert Gate.from_dict(Gate(reduce="all").as_dict()) == Gate(reduce="all")


def test_sides_with_different_numbers_of_samples_are_not_compared() -> None:
    ours, theirs = two_sides([(1.0, 1.0)] * 40, [(1.0, 1.0)] * 39 + [(1.0,)])
    for gate in (Gate(), Gate(reduce="all")):
        verdict = verdict_on(ours, theirs, gate)
        assert verdict.status is Status.INCONCLUSIVE
        assert "samples per case differ on the two sides: c039" in verdict.reasons[0]


# --- where the noise comes from ------------------------------------------------------------------------


def test_the_split_finds_the_parts_that_made_the_noise() -> None:
    rng = np.random.default_rng(0)
    ease = rng.uniform(0.3, 0.7, 4000)
    shift = rng.normal(0, 0.1, 4000)
    ours = np.clip(ease + shift, 0, 1)[:, None] + rng.normal(0, 0.2, (4000, 3))
    theirs = ease[:, None] + rng.normal(0, 0.2, (4000, 3))
    found = split_variance(ours, theirs)
    assert found is not None
    assert found.within == pytest.approx(2 * 0.2**2 / 3, rel=0.05)
    assert found.between == pytest.approx(0.1**2, rel=0.15)
    assert found.cases_worth(6) == pytest.approx((0.0267 + 0.01) / (0.0133 + 0.01), rel=0.05)
    assert split_variance(ours[:, :1], theirs[:, :1]) is None
    assert split_variance(ours[:1], theirs[:1]) is None
    assert Repeats(2, 0.0, 0.0).share_within == 0.0


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 5), st.integers(2, 30), st.integers(0, 1000))
def test_the_parts_are_shares_of_one_variance(samples: int, cases: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = rng.integers(0, 2, (2, cases, samples)).astype(float)
    found, mirrored = split_variance(*sides), split_variance(*sides[::-1])
    assert found == mirrored
    assert found is not None
    assert 0.0 <= found.share_within <= 1.0
    assert 1.0 - 1e-12 <= found.cases_worth(2 * samples) <= 2.0 + 1e-12


def test_the_verdict_says_what_more_samples_would_buy() -> None:
    rng = np.random.default_rng(1)
    sides = [[tuple(map(float, rng.integers(0, 2, 4))) for _ in range(50)] for _ in range(2)]
    verdict = verdict_on(*two_sides(*sides))
    assert verdict.noise.samples == 4
    assert verdict.noise.share_within is not None
    assert verdict.noise.share_within > 0.6  # coin tosses: all of it, but for the luck of 50 cases
    assert any("8 samples per case instead of 4 would do as much as" in reason for reason in verdict.reasons)
    assert Verdict.from_dict(verdict.as_dict()) == verdict
    single = verdict_on(*two_sides([(1.0,)] * 30, [(1.0,)] * 30))
    assert single.noise == SampleNoise()


# --- a part of a suite ---------------------------------------------------------------------------------


def part(drop: float, seed: int = 0) -> tuple[Any, Any, RestOfSuite]:
    rng = np.random.default_rng(seed)
    ease = rng.random(600)
    base = (rng.random(600) < ease).astype(float)
    ours = (rng.random(600) < np.clip(ease - drop, 0, 1)).astype(float)
    history = rng.binomial(8, ease) / 8
    history[::2] = math.nan
    return ours[:100], base[:100], RestOfSuite(base[100:], history[:100], history[100:])


def test_what_is_known_of_the_rest_shortens_the_interval() -> None:
    shorter = 0
    for seed in range(20):
        ours, theirs, rest = part(0.1, seed)
        plain, adjusted = compare_scores(ours, theirs), compare_scores(ours, theirs, rest=rest)
        assert plain.interval is not None
        assert adjusted.interval is not None
        assert adjusted.delta == plain.delta
        assert adjusted.adjusted_delta != plain.delta
        assert adjusted.effect == adjusted.adjusted_delta
        assert adjusted.comparison.variance_reduction is not None
        assert adjusted.comparison.variance_reduction > 0
        shorter += np.ptp(adjusted.interval) < np.ptp(plain.interval)
    assert shorter == 20


def test_the_adjusted_difference_decides() -> None:
    ours, theirs, rest = part(0.3)
    verdict = compare_scores(ours, theirs, rest=rest)
    assert verdict.status is Status.REGRESSED
    assert "regression estimate of a suite of 600 cases" in verdict.method
    assert Verdict.from_dict(verdict.as_dict()) == verdict
    few = RestOfSuite(theirs[:5])
    assert compare_scores(ours[:15], theirs[:15], rest=few).adjusted_delta is None


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (RestOfSuite([]), "rest.baseline is empty"),
        (RestOfSuite([math.nan]), r"rest.baseline\[0\] is nan"),
        (RestOfSuite([1.0], covariates=[1.0]), r"rest.covariates must have the shape \(2,\)"),
        (RestOfSuite([1.0], covariates=[1.0, 2.0]), "has 1 columns and rest.rest_covariates 0"),
        (RestOfSuite([1.0], covariates=["a", "b"]), "must hold numbers"),
        (RestOfSuite([1.0], covariates=[math.inf, 2.0], rest_covariates=[1.0]), "infinite"),
        (RestOfSuite([1.0], clusters=["a"]), "or of neither"),
    ],
)
def test_a_rest_that_does_not_fit_is_refused(rest: RestOfSuite, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compare_scores([1.0, 0.0], [1.0, 1.0], rest=rest)
