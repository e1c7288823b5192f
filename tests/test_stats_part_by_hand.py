"""The estimate from a part of a suite beside the same in loops over clusters.

What tests of error rates are too coarse for is seen here: a constant that is off by a tenth, a term with the
wrong sign.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

from harness.stats.adjusted import FEWEST_PER_COVARIATE, Adjusted, Sample, adjusted_difference
from harness.stats.paired import compare_pairs, with_adjustment
from harness.stats.power import Spread

Values = NDArray[np.float64]


# --- a part of a suite -----------------------------------------------------------------------------------


def estimate_by_loops(sample: Sample) -> Adjusted:
    """What the docstring of `adjusted_difference` says, one sentence a step."""
    n, everything = len(sample.candidate), len(sample.baseline)
    names = list(range(everything)) if sample.clusters is None else list(sample.clusters)
    columns = [np.ones(everything)]
    for column in sample.covariates.T:
        missing = np.isnan(column)
        if missing.all():
            continue
        filled = np.where(missing, column[~missing].mean(), column)
        if filled.max() > filled.min():
            columns.append((filled - filled.mean()) / np.abs(filled - filled.mean()).max())
        if missing.any():
            columns.append(missing.astype(float))
    design = np.column_stack([*columns, sample.baseline])
    differences = sample.candidate - sample.baseline[:n]
    groups = list(dict.fromkeys(names[:n]))
    centred = design - design.mean(axis=0)
    corrected, swapped = np.zeros(n), np.zeros(n)
    ridge = 1e-9 * n * np.eye(design.shape[1])
    for name in groups:
        inside = np.array([other == name for other in names[:n]])
        x, y = design[:n][~inside], differences[~inside]
        fit = np.linalg.solve(x.T @ x + ridge, x.T @ y)
        corrected[inside] = differences[inside] - centred[:n][inside] @ fit
        other_way = centred[:n][inside].copy()
        other_way[:, -1] += differences[inside]
        swapped[inside] = -differences[inside] - other_way @ fit

    def by_cluster(values: Values, of: list[object]) -> tuple[Values, Values]:
        order = list(dict.fromkeys(of))
        sums = [sum(v for v, name in zip(values, of, strict=True) if name == one) for one in order]
        return np.array(sums), np.array([of.count(one) for one in order], dtype=float)

    def robust(values: Values, of: list[object]) -> float:
        sums, sizes = by_cluster(values, of)
        left = sums - sizes * sums.sum() / sizes.sum()
        return float(len(sums) / (len(sums) - 1) * (left @ left) / sizes.sum() ** 2)

    own = robust(corrected, names[:n])
    one, sizes = by_cluster(corrected, names[:n])
    two, _ = by_cluster(swapped, names[:n])
    mean = (one.sum() + two.sum()) / (2 * n)
    both = [((side - sizes * mean) ** 2).sum() for side in (one, two)]
    pooled = len(groups) / (len(groups) - 1) * sum(both) / 2 / n**2
    slope = 1.0 + np.linalg.lstsq(design[:n], differences, rcond=None)[0][-1]
    known = design[:, :-1]
    left = sample.baseline - known @ np.linalg.lstsq(known, sample.baseline, rcond=None)[0]
    share = n / everything
    expected = robust(left, names) / share * max(1.0 - slope**2, 0.0)
    plain = robust(differences, names[:n])
    sums, _ = by_cluster(differences, names[:n])
    finite = max(plain, (sums @ sums) / n**2)
    variance = (1 - share) * (max(own, pooled) + expected) / 2 + share * finite
    degrees = float(len(groups) - design.shape[1])
    reduction = 1 - variance / plain if plain > 0 else 0.0
    return Adjusted(float(corrected.sum()) / n, math.sqrt(variance), degrees, reduction)


def part_of_a_suite(seed: int, *, clustered: bool, n: int = 80, graded: bool = False) -> Sample:
    """160 cases, the first n of them asked; covariates with gaps, without any, empty, and all the same."""
    rng = np.random.default_rng(seed)
    ease = rng.beta(1.0, 1.0, 160)
    baseline = rng.random(160) if graded else (rng.random(160) < ease).astype(float)
    candidate = (
        np.clip(baseline + rng.normal(0, 0.3, 160), 0, 1) if graded else (rng.random(160) < ease) * 1.0
    )
    gaps = np.where(rng.random(160) < 0.3, np.nan, 1000.0 * ease + rng.normal(0, 50, 160))
    covariates = np.column_stack([gaps, ease**2, np.full(160, np.nan), np.full(160, 7.0)])
    names = None if not clustered else [f"c{number}" for number in rng.integers(0, 130, 160)]
    return Sample(candidate[:n], baseline, covariates, names)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_regression_estimate_equals_the_one_by_loops(seed: int, clustered: bool, graded: bool) -> None:
    sample = part_of_a_suite(seed, clustered=clustered, graded=graded)
    found, expected = adjusted_difference(sample), estimate_by_loops(sample)
    assert found is not None
    assert found.delta == pytest.approx(expected.delta, abs=1e-9)
    assert found.error == pytest.approx(expected.error, rel=1e-8)
    assert found.degrees == expected.degrees
    assert found.reduction == pytest.approx(expected.reduction, abs=1e-8)


def test_an_estimate_has_students_tail_and_bounds() -> None:
    found = Adjusted(delta=-0.1, error=0.05, degrees=12.0, reduction=0.3)
    assert found.p_value == pytest.approx(scipy.stats.t.sf(2.0, 12.0))
    reach = scipy.stats.t.ppf(0.95, 12.0) * 0.05
    assert found.bounds(0.05) == (pytest.approx(-0.1 - reach), pytest.approx(-0.1 + reach))
    assert Adjusted(-0.9, 0.5, 12.0, 0.0).bounds(0.05)[0] == -1.0
    assert Adjusted(0.9, 0.5, 12.0, 0.0).bounds(0.05)[1] == 1.0
    assert Adjusted(0.0, 0.0, 12.0, 0.0).p_value == 1.0


@pytest.mark.parametrize(
    ("n", "estimates"), [(FEWEST_PER_COVARIATE * 2 - 1, False), (FEWEST_PER_COVARIATE * 2, True)]
)
def test_ten_clusters_per_coefficient_are_enough(n: int, estimates: bool) -> None:
    sample = part_of_a_suite(5, clustered=False)
    plain = Sample(sample.candidate[:n], sample.baseline, np.empty((160, 0)))
    assert (adjusted_difference(plain) is not None) is estimates
    assert FEWEST_PER_COVARIATE == 10


@pytest.mark.parametrize(("n", "estimates"), [(159, True), (160, False)])
def test_a_whole_suite_needs_no_estimate(n: int, estimates: bool) -> None:
    sample = part_of_a_suite(6, clustered=False, n=n)
    assert (adjusted_difference(sample) is not None) is estimates


def test_a_part_in_which_nothing_changed_gains_nothing() -> None:
    sample = part_of_a_suite(7, clustered=False)
    found = adjusted_difference(Sample(sample.baseline[:80].copy(), sample.baseline, sample.covariates))
    assert found is not None
    assert (found.delta, found.reduction) == (pytest.approx(0.0, abs=1e-12), 0.0)


# --- a comparison, with and without the rest of its suite ------------------------------------------------


def test_what_floats_leave_behind_is_no_change() -> None:
    found = compare_pairs(np.full(30, 0.1 + 0.2), np.full(30, 0.3), alpha=0.05)
    assert (found.delta, found.improved, found.worsened) == (0.0, 0, 0)


def test_a_comparison_counts_cases_and_clusters_and_tells_its_means() -> None:
    ours, theirs = np.array([1.0, 0.5, 0.0, 1.0]), np.array([0.0, 1.0, 0.5, 1.0])
    found = compare_pairs(ours, theirs, ["a", "a", "b", "c"], alpha=0.05)
    assert (found.n, found.groups, found.improved, found.worsened) == (4, 3, 1, 2)
    assert (found.mean, found.baseline_mean, found.delta) == (0.625, 0.625, 0.0)
    assert (found.adjusted_delta, found.variance_reduction) == (None, None)


def test_the_spread_of_few_changes_is_the_share_that_changed() -> None:
    ours, theirs = np.zeros(40), np.zeros(40)
    ours[:3], theirs[3] = 0.5, 0.25
    assert compare_pairs(ours, theirs, alpha=0.05).spread == Spread(40, 40, 4 / 40, measured=False)
    ours[4] = 0.5
    found = compare_pairs(ours, theirs, alpha=0.05)
    assert found.standard_error is not None
    square = 40 * found.standard_error**2 + found.delta**2
    assert found.spread == Spread(40, 40, pytest.approx(square), measured=True)
    single = compare_pairs(np.array([1.0, 0.0] * 20), np.ones(40), alpha=0.05)
    assert single.spread == Spread(40, 40, 0.5, measured=False)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_estimate_of_the_suite_takes_the_place_of_the_pairs(clustered: bool) -> None:
    sample = part_of_a_suite(8, clustered=clustered)
    names = None if sample.clusters is None else sample.clusters[:80]
    alone = compare_pairs(sample.candidate.copy(), sample.baseline[:80], names, alpha=0.05)
    known, estimate = with_adjustment(alone, sample, alpha=0.05), adjusted_difference(sample)
    assert estimate is not None
    assert (known.adjusted_delta, known.variance_reduction) == (estimate.delta, estimate.reduction)
    assert (known.standard_error, known.p_value) == (estimate.error, estimate.p_value)
    assert (known.interval, known.bounds) == (estimate.bounds(0.025), estimate.bounds(0.05))
    assert (known.n, known.delta, known.improved) == (alone.n, alone.delta, alone.improved)
    left = alone.spread.square * (1.0 - estimate.reduction)
    assert known.spread == Spread(alone.spread.n, alone.spread.groups, pytest.approx(left), measured=True)
    assert "a suite of 160 cases" in known.method


def test_a_part_that_is_too_small_stays_a_plain_comparison() -> None:
    sample = part_of_a_suite(9, clustered=False, n=12)
    alone = compare_pairs(sample.candidate.copy(), sample.baseline[:12], alpha=0.05)
    assert with_adjustment(alone, sample, alpha=0.05) is alone


def test_few_changes_of_a_part_rule_out_no_more_than_the_pairs_do() -> None:
    sample = part_of_a_suite(10, clustered=False)
    candidate = sample.baseline[:80].copy()
    candidate[:3] = 1.0 - candidate[:3]
    few = Sample(candidate, sample.baseline, sample.covariates)
    alone = compare_pairs(candidate.copy(), sample.baseline[:80], alpha=0.05)
    known, estimate = with_adjustment(alone, few, alpha=0.05), adjusted_difference(few)
    assert estimate is not None
    own = estimate.bounds(0.025)
    assert known.interval == (min(own[0], alone.interval[0]), max(own[1], alone.interval[1]))
    assert known.bounds == (min(estimate.bounds(0.05)[0], alone.bounds[0]), estimate.bounds(0.05)[1])
    assert known.spread == alone.spread
