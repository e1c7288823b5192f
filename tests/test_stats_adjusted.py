"""The regression estimate of a suite from a part of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.gate.compare_scores import RestOfSuite, compare_scores
from harness.gate.verdict import Status
from harness.stats.adjusted import Adjusted, Sample, adjusted_difference

NOTHING: NDArray[np.float64] = np.empty((400, 0))


def suite(rng: np.random.Generator, drop: float = 0.0) -> tuple[NDArray[np.float64], ...]:
    """400 cases in random order: candidate, baseline, and how earlier checkpoints did on them."""
    ease = rng.beta(1.0, 1.0, 400)
    baseline = (rng.random(400) < ease).astype(float)
    candidate = (rng.random(400) < np.clip(ease - drop, 0, 1)).astype(float)
    return candidate, baseline, rng.binomial(6, ease) / 6


def estimate(candidate: NDArray[np.float64], *arguments: object) -> Adjusted:
    found = adjusted_difference(Sample(candidate, *arguments))  # type: ignore[arg-type]  # as the caller gives
    assert found is not None
    return found


def test_it_is_unbiased_its_error_is_true_and_it_needs_fewer_cases() -> None:
    rng = np.random.default_rng(0)
    plain, adjusted, errors, misses = [], [], [], []
    for _ in range(600):
        candidate, baseline, history = suite(rng, drop=0.05)
        found = estimate(candidate[:80], baseline, history[:, None])
        truth = (candidate - baseline).mean()
        plain.append((candidate - baseline)[:80].mean() - truth)
        adjusted.append(found.delta - truth)
        errors.append(found.error)
        lower, upper = found.bounds(0.025)
        misses.append(not lower <= truth <= upper)
    assert abs(np.mean(adjusted)) < 3 * np.std(adjusted) / np.sqrt(600)
    assert np.std(adjusted) < 0.85 * np.std(plain)
    assert 0.95 < np.mean(errors) / np.std(adjusted) < 1.25
    assert np.mean(misses) <= 0.05


def test_a_checkpoint_that_did_not_change_is_rarely_blocked() -> None:
    rng = np.random.default_rng(1)
    blocked = 0
    for _ in range(800):
        candidate, baseline, history = suite(rng)
        known = np.where(rng.random(400) < 0.5, history, np.nan)  # half of the cases are new
        blocked += estimate(candidate[:60], baseline, known[:, None]).p_value <= 0.05
    assert blocked / 800 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 800)


def test_a_candidate_that_gets_nothing_right_by_chance_is_not_thought_certain() -> None:
    baseline = np.zeros(400)
    baseline[::10] = 1.0
    found = estimate(np.zeros(30), baseline, NOTHING)
    assert found.delta == pytest.approx(-0.1, abs=0.04)
    assert found.error > 0.03  # √(0.1 · 0.9 / 30) is 0.055: a spread of 0 would be wrong


def test_the_order_of_the_cases_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    candidate, baseline, history = suite(rng)
    clusters = rng.integers(0, 90, 400)
    first, rest = rng.permutation(120), 120 + rng.permutation(280)
    order = np.concatenate([first, rest])
    one = estimate(candidate[:120], baseline, history[:, None], clusters.tolist())
    two = estimate(candidate[first], baseline[order], history[order, None], clusters[order].tolist())
    assert one.delta == pytest.approx(two.delta, abs=1e-12)
    assert one.error == pytest.approx(two.error, rel=1e-9)


def test_cases_repeated_within_their_cluster_add_nothing() -> None:
    rng = np.random.default_rng(3)
    candidate, baseline, _ = suite(rng)
    one = estimate(candidate[:100], baseline, NOTHING)
    twice = np.concatenate([baseline[:100]] * 2 + [baseline[100:]] * 2)
    clusters = np.concatenate([np.arange(100)] * 2 + [np.arange(100, 400)] * 2).tolist()
    two = estimate(np.concatenate([candidate[:100]] * 2), twice, np.empty((800, 0)), clusters)
    assert two.delta == pytest.approx(one.delta, abs=1e-9)
    assert two.error == pytest.approx(one.error, rel=1e-9)


def test_it_steps_back_where_it_cannot_help() -> None:
    candidate, baseline, history = suite(np.random.default_rng(4))
    few = Sample(candidate[:25], baseline, history[:, None])
    assert adjusted_difference(few) is None  # three coefficients from 25 cases
    assert adjusted_difference(Sample(candidate, baseline, NOTHING)) is None  # every case was asked
    one_cluster = Sample(candidate[:100], baseline, NOTHING, ["same"] * 400)
    assert adjusted_difference(one_cluster) is None


def test_what_says_nothing_of_the_suite_is_left_out() -> None:
    candidate, baseline, _ = suite(np.random.default_rng(5))
    useless = np.column_stack([np.full(400, np.nan), np.full(400, 0.3)])
    assert estimate(candidate[:80], baseline, useless) == estimate(candidate[:80], baseline, NOTHING)


@pytest.mark.parametrize("changed", [0, 1, 3])
def test_what_hardly_changed_is_ruled_out_no_sooner_than_without_it(changed: int) -> None:
    """Forty equal answers leave no residual to measure: they do not prove the other 360 equal."""
    _, baseline, history = suite(np.random.default_rng(6))
    candidate = baseline[:40].copy()
    candidate[:changed] = 1.0 - candidate[:changed]
    rest = RestOfSuite(baseline[40:], history[:40], history[40:])
    alone = compare_scores(candidate, baseline[:40], policy="non-inferior")
    known = compare_scores(candidate, baseline[:40], policy="non-inferior", rest=rest)
    assert known.adjusted_delta is not None
    assert known.status is Status.INCONCLUSIVE
    assert alone.bounds is not None
    assert known.bounds is not None
    assert known.bounds[0] <= alone.bounds[0] < -0.03
    assert alone.interval is not None
    assert known.interval is not None
    assert known.interval[0] <= alone.interval[0] < alone.interval[1] <= known.interval[1]
    assert known.minimum_detectable_drop == alone.minimum_detectable_drop


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e6, 1e9), (1e3, 1.7e9), (-1.0, 0.0)])
def test_the_unit_of_a_covariate_does_not_matter(scale: float, shift: float) -> None:
    candidate, baseline, history = suite(np.random.default_rng(7))
    one = estimate(candidate[:100], baseline, history[:, None])
    two = estimate(candidate[:100], baseline, scale * history[:, None] + shift)
    assert two.delta == pytest.approx(one.delta, rel=1e-6)
    assert two.error == pytest.approx(one.error, rel=1e-6)
