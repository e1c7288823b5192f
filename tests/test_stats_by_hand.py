"""Formulas beside the same spelled in another way: by counting, by trying all, by the textbook.

What tests of error rates are too coarse for is seen here: a constant that is off by a tenth, a term with the
wrong sign.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats.binary import SCORE_FROM, mcnemar_mid_p, mcnemar_p, tango_interval, tango_statistic
from harness.stats.clusters import Clusters, effective_changes, group, is_single_answers
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.pass_at_k import pass_at_k
from harness.stats.quantiles import _expanded, normal_tail, student_quantile, student_tail
from harness.stats.repeats import Repeats, reduce_samples, split_variance
from harness.stats.skewed import Moments, moments, student_bounds

quick = settings(deadline=None, max_examples=40)


# --- the chance of one right answer among k ----------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_pass_at_k_is_the_share_of_draws_with_a_right_answer(n: int) -> None:
    for right, k in itertools.product(range(n + 1), range(1, n + 1)):
        answers = [True] * right + [False] * (n - right)
        draws = [any(draw) for draw in itertools.combinations(answers, k)]
        assert pass_at_k(n, right, k) == pytest.approx(sum(draws) / len(draws), abs=1e-12)


@pytest.mark.parametrize(("n", "right", "k"), [(3, 1, 0), (3, 1, 4), (3, -1, 1), (3, 4, 1), (0, 0, 1)])
def test_numbers_of_samples_that_do_not_fit_are_refused(n: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} of {right} right among {n} samples"):
        pass_at_k(n, right, k)


# --- several questions at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("p_values", [[0.04, 0.001, 0.03, 0.5], [0.2, 0.2, 0.2], [0.9, 0.6], [0.01]])
def test_adjusted_p_values_are_the_levels_at_which_the_procedure_first_rejects(p_values: list[float]) -> None:
    """Holm and Benjamini–Hochberg as they are taught: go through the sorted values and stop."""

    def rejected_by_holm(level: float) -> set[int]:
        found: set[int] = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] > level / (len(p_values) - rank):
                break
            found.add(index)
        return found

    def rejected_by_bh(level: float) -> set[int]:
        order = sorted(range(len(p_values)), key=p_values.__getitem__)
        most = max(
            (k for k, index in enumerate(order, 1) if p_values[index] <= level * k / len(p_values)), default=0
        )
        return set(order[:most])

    for adjust, rejected in ((holm, rejected_by_holm), (benjamini_hochberg, rejected_by_bh)):
        for index, adjusted in enumerate(adjust(p_values)):
            assert index not in rejected(adjusted - 1e-9)
            if adjusted < 1.0:
                assert index in rejected(adjusted + 1e-9)


# --- right or wrong --------------------------------------------------------------------------------------


def test_the_score_test_begins_at_twenty_pairs() -> None:
    assert SCORE_FROM == 20
    assert mcnemar_p(2, 7, 19) == mcnemar_mid_p(2, 7)
    assert mcnemar_p(2, 7, 20) == pytest.approx(scipy.stats.norm.cdf(-5 / 3), rel=1e-12)
    assert mcnemar_p(7, 2, 20) == pytest.approx(scipy.stats.norm.cdf(5 / 3), rel=1e-12)
    assert mcnemar_p(0, 0, 20) == mcnemar_p(0, 0, 1) == 1.0


@pytest.mark.parametrize("improved", range(6))
@pytest.mark.parametrize("worsened", range(6))
def test_mid_p_is_counted_toss_by_toss(improved: int, worsened: int) -> None:
    tosses = improved + worsened
    if tosses == 0:
        return
    heads = [sum(toss) for toss in itertools.product((0, 1), repeat=tosses)]
    below, at = sum(head < improved for head in heads), heads.count(improved)
    assert mcnemar_mid_p(improved, worsened) == float(Fraction(2 * below + at, 2 * len(heads)))


@pytest.mark.parametrize(
    ("improved", "worsened", "n", "delta", "expected"),
    [
        (0, 0, 5, 0.0, 0.0),  # nothing changed, and nothing is claimed
        (5, 0, 5, 1.0, 0.0),  # all improved, as claimed
        (0, 5, 5, -1.0, 0.0),
        (4, 0, 5, 1.0, -math.inf),  # one did not: the claim is impossible
        (0, 4, 5, -1.0, math.inf),
    ],
)
def test_tangos_statistic_of_a_claim_without_spread(
    improved: int, worsened: int, n: int, delta: float, expected: float
) -> None:
    assert tango_statistic(improved, worsened, n, delta) == expected


@quick
@given(
    st.floats(0.0, 2.0),
    st.floats(0.0, 2.0),
    st.integers(4, 9),
    st.floats(-0.9, 0.9).filter(lambda delta: abs(delta) > 1e-3),
)
def test_tangos_statistic_of_changes_of_less_than_full_size(
    improved: float, worsened: float, n: int, delta: float
) -> None:
    """The nuisance parameter is where the likelihood's slope is 0, found by halving instead of by formula."""
    same = n - improved - worsened

    def slope(worse: float) -> float:
        return improved / (worse + delta) + worsened / worse - 2.0 * same / (1.0 - delta - 2.0 * worse)

    low, high = max(0.0, -delta) + 1e-13, (1.0 - delta) / 2.0 - 1e-13
    worse = low if slope(low) < 0.0 else scipy.optimize.brentq(slope, low, high, xtol=1e-15)
    variance = n * (2.0 * worse + delta * (1.0 - delta))
    expected = (improved - worsened - n * delta) / math.sqrt(variance)
    assert tango_statistic(improved, worsened, n, delta) == pytest.approx(expected, rel=1e-5, abs=1e-7)


# --- quantiles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-2.5, -0.3, 0.7, 1.0, 3.0])
@pytest.mark.parametrize("degrees", [1.0, 2.0, 10.0])
def test_the_expansion_is_the_one_of_the_handbook(z: float, degrees: float) -> None:
    """Abramowitz & Stegun 26.7.5, in its own letters, also where it is too coarse to be used."""
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    expected = z + g1 / degrees + g2 / degrees**2 + g3 / degrees**3 + g4 / degrees**4
    assert _expanded(z, degrees) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("degrees", [3.0, 999.0, 1000.0, 1001.0])
@pytest.mark.parametrize("probability", [1e-9, 9e-5, 1e-4, 0.3, 0.975, 1 - 1e-4, 1 - 9e-5, 1 - 1e-9])
def test_students_quantiles_are_right_wherever_they_come_from(probability: float, degrees: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=2e-12)


def test_the_expansion_is_used_where_it_is_exact_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing scipy.special for it would take a twentieth of a large session."""
    monkeypatch.setattr("harness.stats.quantiles._expanded", lambda z, degrees: "expanded")
    used = {
        (probability, degrees): student_quantile(probability, degrees) == "expanded"
        for probability in (9e-5, 1e-4, 0.5, 1 - 1e-4, 1 - 9e-5)
        for degrees in (999.0, 1000.0)
    }
    assert [key for key, expanded in used.items() if expanded] == [
        (1e-4, 1000.0),
        (0.5, 1000.0),
        (1 - 1e-4, 1000.0),
    ]


def test_tails_are_those_of_scipy() -> None:
    for value in (-2.0, 0.0, 0.5, 3.0):
        assert normal_tail(value) == pytest.approx(scipy.stats.norm.sf(value), rel=1e-12)
        assert student_tail(value, 7.0) == pytest.approx(scipy.stats.t.sf(value, 7.0), rel=1e-12)


# --- several samples per case ----------------------------------------------------------------------------


def test_samples_make_a_score_by_their_mean_or_by_the_worst() -> None:
    assert reduce_samples((0.2, 1.0, 0.6), "mean") == pytest.approx(0.6)
    assert reduce_samples((0.2, 1.0, 0.6), "all") == 0.2


def test_the_variance_of_a_difference_is_split_as_an_analysis_of_variance_splits_it() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.random((9, 4)), rng.random((9, 4))
    found = split_variance(ours, theirs)
    assert found is not None

    def variance(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return sum((value - mean) ** 2 for value in values) / (len(values) - 1)

    own = [variance(list(one)) + variance(list(two)) for one, two in zip(ours, theirs, strict=True)]
    within = sum(own) / len(own) / 4
    whole = variance([float(one.mean() - two.mean()) for one, two in zip(ours, theirs, strict=True)])
    assert found.samples == 4
    assert found.within == pytest.approx(within)
    assert found.between == pytest.approx(max(whole - within, 0.0), abs=1e-15)
    spread = split_variance(np.repeat([[0.0], [1.0], [0.0]], 2, axis=1), np.zeros((3, 2)))
    assert spread == Repeats(2, 0.0, pytest.approx(1 / 3))


def test_two_cases_and_two_samples_are_the_fewest() -> None:
    two = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert split_variance(two, two) is not None
    assert split_variance(two[:1], two[:1]) is None
    assert split_variance(two[:, :1], two[:, :1]) is None


def test_what_more_samples_are_worth() -> None:
    found = Repeats(samples=2, within=0.3, between=0.1)
    assert found.share_within == pytest.approx(0.75)
    assert found.cases_worth(4) == pytest.approx(0.4 / 0.25)  # half of the part within is left
    assert found.cases_worth(2) == pytest.approx(1.0)
    nothing = Repeats(samples=2, within=0.0, between=0.0)
    assert (nothing.share_within, nothing.cases_worth(8)) == (0.0, 1.0)


# --- clusters --------------------------------------------------------------------------------------------


def test_values_are_summed_by_cluster_in_order_of_appearance() -> None:
    found = group(np.array([1.0, 2.0, 4.0, 8.0]), ["b", "a", "b", "c"])
    assert (found.totals.tolist(), found.sizes.tolist(), len(found)) == ([5.0, 2.0, 8.0], [2.0, 1.0, 1.0], 3)
    alone = group(np.array([1, 2]), None)
    assert (alone.totals.tolist(), alone.sizes.tolist()) == ([1.0, 2.0], [1.0, 1.0])
    assert alone.totals.dtype == np.float64


def clusters(totals: list[float], sizes: list[float]) -> Clusters:
    return Clusters(np.array(totals), np.array(sizes))


@pytest.mark.parametrize(
    ("totals", "sizes", "single"),
    [
        ([1.0, 0.0], [1.0, 1.0], True),
        ([3.0, 0.0], [3.0, 3.0], True),
        ([1.0], [1.0], True),
        ([3.0], [3.0], False),  # one cluster of several cases: no other was seen
        ([1.0, 0.0, 0.0], [1.0, 1.0, 2.0], False),
        ([2.0, 0.0], [3.0, 3.0], False),
        ([0.5, 0.0], [1.0, 1.0], False),
        ([3.0, 0.0, 1.0], [3.0, 3.0, 3.0], False),
    ],
)
def test_clusters_are_single_answers_where_copies_explain_them(
    totals: list[float], sizes: list[float], single: bool
) -> None:
    assert is_single_answers(clusters(totals, sizes)) is single
    both = is_single_answers(clusters([0.0] * len(sizes), sizes), clusters(totals, sizes))
    assert both is single


def test_changes_are_counted_by_what_they_vary() -> None:
    assert effective_changes(np.array([0.5, -0.5, 0.5, 0.0])) == pytest.approx(3.0)
    assert effective_changes(np.array([1.0, 0.1])) == pytest.approx(1.01**2 / 1.0001)
    assert effective_changes(np.zeros(4)) == 0.0


def test_moments_are_those_of_the_bias_reduced_sandwich() -> None:
    """CR2 of a regression on a constant, by matrices: Bell & McCaffrey's correction and degrees."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 6, 9)
    values = [rng.normal(size=size) for size in sizes]
    everything, n = np.concatenate(values), int(sizes.sum())
    codes = np.repeat(np.arange(9), sizes)
    residuals = everything - everything.mean()
    hat = np.full((n, n), 1.0 / n)
    meat, ratios = 0.0, []
    for number in range(9):
        rows = codes == number
        own = np.eye(int(rows.sum())) - hat[np.ix_(rows, rows)]
        values_of, vectors = np.linalg.eigh(own)
        adjust = vectors @ np.diag(values_of**-0.5) @ vectors.T
        meat += float(np.ones(rows.sum()) @ adjust @ residuals[rows]) ** 2
        ratios.append((np.eye(n) - hat)[:, rows] @ adjust @ np.ones(rows.sum()))
    covariance = np.array(ratios) @ np.array(ratios).T
    degrees = np.trace(covariance) ** 2 / (covariance**2).sum()
    totals = np.array([value.sum() for value in values])
    found = moments(totals, sizes.astype(float))
    assert found is not None
    assert found.mean == pytest.approx(everything.mean())
    assert found.error == pytest.approx(math.sqrt(meat) / n, rel=1e-9)
    assert found.degrees == pytest.approx(degrees, rel=1e-9)
    shares = totals - sizes * everything.mean()
    assert found.skewness == pytest.approx(scipy.stats.skew(shares), rel=1e-9)
    lower, upper = student_bounds(found, 0.05)
    reach = scipy.stats.t.ppf(0.95, degrees) * found.error
    assert (lower, upper) == (pytest.approx(found.mean - reach), pytest.approx(found.mean + reach))
    assert moments(totals[:1], sizes[:1].astype(float)) is None
    assert moments(totals[:2], sizes[:2].astype(float)) is not None


def test_values_that_do_not_vary_have_no_skewness() -> None:
    found = moments(np.full(5, 0.3), np.ones(5))
    assert found is not None
    assert (found.error, found.skewness, found.degrees) == (0.0, 0.0, pytest.approx(4.0))


@pytest.mark.parametrize(("skewness", "skewed"), [(0.5, False), (0.6, True), (-0.6, True), (-0.5, False)])
def test_skewness_counts_beyond_its_own_error(skewness: float, skewed: bool) -> None:
    assert Moments(20, 0.0, 1.0, 19.0, skewness).is_skewed is skewed  # √(6/20) = 0.548


# --- many clusters ---------------------------------------------------------------------------------------


def test_an_interval_of_a_mirror_image_mirrors_to_the_last_bit() -> None:
    for improved, worsened, n in ((3, 9, 40), (0, 1, 5), (2.5, 0.25, 7)):
        lower, upper = tango_interval(improved, worsened, n, level=0.05)
        assert tango_interval(worsened, improved, n, level=0.05) == (-upper, -lower)
