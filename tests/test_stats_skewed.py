"""Intervals for skewed and clustered means: against brute force, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.stats.clusters import Clusters, cluster_standard_error, effective_changes, group, mean_interval
from harness.stats.paired import compare_pairs
from harness.stats.quantiles import student_quantile
from harness.stats.skewed import Moments, moments, skew_bounds, student_bounds

quick = settings(deadline=None, max_examples=50)


@given(st.floats(1e-4, 1 - 1e-4), st.floats(500, 1e9))
def test_quantiles_of_many_degrees_equal_those_of_few(probability: float, degrees: float) -> None:
    expected = scipy.special.stdtrit(degrees, probability)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-11, abs=1e-13)


def moments_of(clusters: Clusters) -> Moments | None:
    return moments(clusters.totals, clusters.sizes)


@quick
@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(0, 1000))
def test_error_and_degrees_of_freedom_equal_the_matrices_they_stand_for(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.normal(size=len(codes)) + rng.normal(size=len(sizes))[codes]
    n, found = len(codes), moments_of(group(values, codes.tolist()))
    assert found is not None
    hat = np.eye(n) - 1.0 / n
    weights = []
    squared = 0.0
    for cluster in range(len(sizes)):
        rows = codes == cluster
        adjust = np.linalg.inv(scipy.linalg.sqrtm(hat[np.ix_(rows, rows)]).real)
        part = adjust @ (values - values.mean())[rows] / n
        squared += float(part.sum()) ** 2
        weights.append(hat[:, rows] @ adjust.T @ np.ones(rows.sum()) / n)
    forms = np.array(weights)
    gram = forms @ forms.T
    assert found.error == pytest.approx(np.sqrt(squared), rel=1e-8)
    assert found.degrees == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=1e-8)


def test_with_clusters_of_one_size_it_is_students_interval() -> None:
    scores = np.random.default_rng(1).random(40)
    found = moments_of(group(scores, None))
    assert found is not None
    reference = scipy.stats.t.interval(0.9, 39, scores.mean(), scipy.stats.sem(scores))
    assert student_bounds(found, 0.05) == pytest.approx(reference)
    pairs = np.repeat(np.arange(20), 2).tolist()
    clustered = moments_of(group(scores, pairs))
    assert clustered is not None
    assert clustered.error == pytest.approx(cluster_standard_error(group(scores, pairs)))
    assert clustered.degrees == pytest.approx(19)
    assert moments_of(Clusters(np.array([1.0]), np.array([3.0]))) is None


def test_one_large_cluster_leaves_few_degrees_of_freedom() -> None:
    codes = [0] * 90 + list(range(1, 11))
    found = moments_of(group(np.random.default_rng(0).random(100), codes))
    assert found is not None
    assert found.degrees < 2


@quick
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=40), st.sampled_from([0.01, 0.025, 0.05]))
def test_skew_bounds_hold_the_mean_and_mirror(values: list[float], level: float) -> None:
    one, two = (moments_of(group(np.array(sign) * np.array(values), None)) for sign in (1.0, -1.0))
    assert one is not None
    assert two is not None
    lower, upper = skew_bounds(one, level)
    assert lower <= one.mean + 1e-12
    assert one.mean - 1e-12 <= upper
    assert skew_bounds(two, level) == pytest.approx((-upper, -lower), abs=1e-9)


def test_skew_bounds_agree_with_the_bootstrap_t_interval() -> None:
    rng = np.random.default_rng(4)
    values = rng.beta(0.5, 3.0, 80)
    drawn = rng.choice(values, (20_000, 80))
    t = (drawn.mean(axis=1) - values.mean()) / drawn.std(axis=1, ddof=1)
    low, high = np.quantile(t, [0.05, 0.95])
    spread = values.std(ddof=1)
    found = moments_of(group(values, None))
    assert found is not None
    bootstrap = (values.mean() - high * spread, values.mean() - low * spread)
    assert skew_bounds(found, 0.05) == pytest.approx(bootstrap, abs=0.002)
    assert student_bounds(found, 0.05)[1] < bootstrap[1] - 0.003  # what Student's interval gets wrong


def test_changes_are_counted_by_what_they_weigh() -> None:
    assert effective_changes(np.array([0.3] * 7 + [0.0] * 9)) == pytest.approx(7)
    assert effective_changes(np.array([1.0, 1.0] + [0.001] * 500)) == pytest.approx(2, abs=0.01)
    assert effective_changes(np.zeros(3)) == 0


def collapses(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Scores that mostly lose a hair, and sometimes half: mean −0.092."""
    return -np.where(rng.random(shape) < 0.15, rng.beta(2, 2, shape), rng.beta(0.3, 10, shape) * 0.68)


def rare_losses(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Small noise in half of the cases, and large losses in 8 %: mean −0.048."""
    noise = np.where(rng.random(shape) < 0.5, rng.uniform(-0.05, 0.05, shape), 0.0)
    return np.where(rng.random(shape) < 0.08, rng.choice([-0.9, 0.6], shape, p=[0.8, 0.2]), noise)


@pytest.mark.parametrize("kind", [collapses, rare_losses])
@pytest.mark.parametrize("n", [30, 100])
def test_intervals_of_skewed_scores_hold_the_truth(kind: object, n: int) -> None:
    """At least 95 % less three standard errors; Student's interval and sign flips alone reach 0.87."""
    assert callable(kind)
    rng = np.random.default_rng(n)
    truth = float(kind(rng, (400, 1000)).mean())
    runs, held = 300, 0
    for values in kind(rng, (runs, n)):
        candidate, baseline = np.maximum(values, 0.0), np.maximum(-values, 0.0)
        found = compare_pairs(candidate, baseline, alpha=0.05, single=False)
        held += found.interval[0] <= truth <= found.interval[1]
    assert held / runs >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)


def test_few_clusters_of_unequal_size_are_rarely_blocked() -> None:
    """Eight clusters that share their luck, one of them large: the exact test keeps its level."""
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(8), [30, 10, 8, 6, 5, 4, 3, 2]).tolist()
    runs, blocked = 800, 0
    for _ in range(runs):
        luck = rng.normal(0, 0.15, 8)[codes]
        candidate = np.clip(0.5 + luck + rng.normal(0, 0.1, len(codes)), 0, 1)
        found = compare_pairs(candidate, np.full(len(codes), 0.5), codes, alpha=0.05)
        blocked += found.p_value <= 0.05 and found.bounds[1] < 0
    assert blocked / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def mostly_wrong(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Scores of a hard suite, mean 0.1: few cases get more than a little."""
    return rng.beta(0.3, 2.7, n)


@pytest.mark.parametrize("n", [20, 50, 100])
def test_floors_of_skewed_scores_are_rarely_missed_by_chance(n: int) -> None:
    """Student's bound says so of a suite at its floor in 13, 9 and 7 % of runs."""
    rng = np.random.default_rng(n)
    runs = 1500
    missed = sum(mean_interval(mostly_wrong(rng, n), None, level=0.05)[1] < 0.1 for _ in range(runs))
    assert missed / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_floor_is_not_missed_on_the_word_of_one_large_cluster() -> None:
    """Sixty cases that share their luck, and twenty others: Student's t with 20 degrees in 39 % of runs."""
    rng = np.random.default_rng(3)
    codes = [0] * 60 + list(range(1, 21))
    runs, missed = 600, 0
    for _ in range(runs):
        scores = (rng.random(80) < rng.random(21)[codes]).astype(float)
        missed += mean_interval(scores, codes, level=0.05)[1] < 0.5
    assert missed / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_the_bounds_of_a_mean_mirror() -> None:
    scores = mostly_wrong(np.random.default_rng(5), 40)
    lower, upper = mean_interval(scores, None, level=0.05)
    assert mean_interval(1.0 - scores, None, level=0.05) == pytest.approx((1.0 - upper, 1.0 - lower))
