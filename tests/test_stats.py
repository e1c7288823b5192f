"""The statistics against published values, other implementations and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import statsmodels.api as sm  # type: ignore[import-untyped]  # ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]  # ships no types
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # ships no types
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # ships no types

from harness.stats.binary import (
    SCORE_FROM,
    exact_proportion_bound,
    mcnemar_mid_p,
    mcnemar_p,
    tango_interval,
    tango_statistic,
)
from harness.stats.clusters import Clusters, cluster_standard_error, group, mean_interval
from harness.stats.flip_tail import flip_p_value
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.paired import compare_pairs
from harness.stats.power import (
    Spread,
    cases_to_settle_drop,
    cases_to_settle_floor,
    minimum_detectable_drop,
)
from harness.stats.sign_flips import MANY, LargeSampleFlips, SignFlips, sign_flips

quick = settings(deadline=None, max_examples=50)

p_values = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=12)
counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100)).filter(lambda t: sum(t) > 0)


# --- multiplicity --------------------------------------------------------------------------------------


@quick
@given(p_values)
def test_holm_and_benjamini_hochberg_equal_statsmodels(values: list[float]) -> None:
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1], abs=1e-12)
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1], abs=1e-12)


def test_no_questions_need_no_adjustment() -> None:
    assert holm([]) == []
    assert benjamini_hochberg([]) == []


# --- McNemar -------------------------------------------------------------------------------------------


def test_mid_p_of_a_published_example() -> None:
    # Airway hyper-responsiveness before and after transplantation (Bentur 2009, in Fagerland 2013):
    # 1 and 7 discordant pairs; exact 0.0703, mid-p 0.0391, two-sided.
    assert 2 * mcnemar_mid_p(1, 7) == pytest.approx(0.0390625, abs=1e-15)


@quick
@given(st.integers(0, 200), st.integers(0, 200))
def test_mid_p_is_the_exact_tail_less_half_of_the_observed_point(improved: int, worsened: int) -> None:
    n = improved + worsened
    if n == 0:
        assert mcnemar_mid_p(0, 0) == 1.0
        return
    tail = scipy.stats.binom.cdf(improved, n, 0.5) - 0.5 * scipy.stats.binom.pmf(improved, n, 0.5)
    assert mcnemar_mid_p(improved, worsened) == pytest.approx(tail, rel=1e-9, abs=1e-300)
    assert mcnemar_mid_p(improved, worsened) + mcnemar_mid_p(worsened, improved) == pytest.approx(1.0)


@pytest.mark.parametrize(("improved", "worsened"), [(0, 5), (3, 9), (12, 40), (101, 160), (7, 7)])
def test_mid_p_equals_statsmodels_exact_less_the_observed_point(improved: int, worsened: int) -> None:
    n = improved + worsened
    exact = mcnemar([[10, worsened], [improved, 10]], exact=True).pvalue
    if improved == worsened:
        assert exact == 1.0
        assert mcnemar_mid_p(improved, worsened) == 0.5
    else:
        assert 2 * mcnemar_mid_p(improved, worsened) == pytest.approx(
            exact - scipy.stats.binom.pmf(improved, n, 0.5), rel=1e-9
        )


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 100))
def test_the_score_test_is_tangos_bound(improved: int, worsened: int, same: int) -> None:
    n = max(improved + worsened + same, SCORE_FROM)
    p_value = mcnemar_p(improved, worsened, n)
    if improved + worsened == 0:
        assert p_value == 1.0
        return
    assert p_value == pytest.approx(1.0 - mcnemar_p(worsened, improved, n))
    upper = tango_interval(improved, worsened, n, level=0.05)[1]
    assert (p_value < 0.05) == (upper < 0.0)
    if p_value <= 0.5:
        assert (mcnemar_mid_p(improved, worsened) <= 0.05) <= (p_value <= 0.05)


def worst_false_alarm(n: int, p_value: Callable[[int, int], float], alpha: float) -> float:
    """Return the largest chance of a p-value ≤ alpha under no difference, over the shares that may flip."""
    shares = np.linspace(0.01, 1.0, 100)
    worst = np.zeros(len(shares))
    for flips in range(n + 1):
        weights = scipy.stats.binom.pmf(flips, n, shares)
        alarms = [won for won in range(flips // 2 + 1) if p_value(won, flips - won) <= alpha]
        worst += weights * scipy.stats.binom.pmf(alarms, flips, 0.5).sum()
    return float(worst.max())


@pytest.mark.parametrize("n", [20, 50, 100])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_score_test_is_at_its_worst_no_worse_than_mid_p(n: int, alpha: float) -> None:
    score = worst_false_alarm(n, lambda won, lost: mcnemar_p(won, lost, n), alpha)
    assert score <= worst_false_alarm(n, mcnemar_mid_p, alpha) + 0.05 * alpha
    assert score <= 1.2 * alpha


def test_with_few_pairs_the_score_test_would_block_too_often() -> None:
    assert mcnemar_p(0, 3, 3) == mcnemar_mid_p(0, 3) == 0.0625
    assert worst_false_alarm(3, lambda won, lost: mcnemar_p(won, lost, SCORE_FROM), 0.05) > 0.12


def test_mid_p_is_fast_and_finite_for_huge_counts() -> None:
    assert mcnemar_mid_p(9_000, 11_000) == pytest.approx(
        scipy.stats.binom.cdf(9_000, 20_000, 0.5) - 0.5 * scipy.stats.binom.pmf(9_000, 20_000, 0.5), rel=1e-6
    )


# --- Tango ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("improved", "worsened", "n", "level", "expected"),
    [
        (1, 7, 21, 0.025, (-0.517, -0.026)),  # Bentur 2009, in Fagerland, Lydersen & Laake 2014
        (6, 16, 161, 0.025, (-0.124, -0.005)),  # Cavo 2012, in the same paper
        (0, 1, 44, 0.05, (-0.096, 0.037)),  # contact lenses in Tango 1998, 90 %
    ],
)
def test_tango_equals_published_intervals(
    improved: int, worsened: int, n: int, level: float, expected: tuple[float, float]
) -> None:
    assert tango_interval(improved, worsened, n, level=level) == pytest.approx(expected, abs=5.1e-4)


def likelihood_statistic(improved: int, worsened: int, n: int, delta: float) -> float:
    """The score statistic with the nuisance parameter found by maximising the likelihood on its own."""
    ties = n - improved - worsened

    def loss(worse: float) -> float:
        better = worse + delta
        terms = ((improved, better), (worsened, worse), (ties, 1 - better - worse))
        if any(p < -1e-15 or (k and p <= 0) for k, p in terms):
            return math.inf
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    if high - low < 1e-12:
        worse = low
    else:
        inside = scipy.optimize.minimize_scalar(
            loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}
        )
        worse = min((low, high, float(inside.x)), key=loss)
    variance = n * (2 * worse + delta * (1 - delta))
    return (improved - worsened - n * delta) / math.sqrt(variance)


@quick
@given(counts, st.floats(-0.95, 0.95).filter(lambda d: abs(d) > 1e-3))
def test_tango_statistic_equals_a_maximised_likelihood(table: tuple[int, int, int], delta: float) -> None:
    improved, worsened, _ = table
    n = sum(table)
    ours, reference = (f(improved, worsened, n, delta) for f in (tango_statistic, likelihood_statistic))
    assert ours == pytest.approx(reference, rel=2e-4, abs=2e-4)


@quick
@given(counts, st.sampled_from([0.005, 0.025, 0.05, 0.1]))
def test_tango_bounds_are_where_the_score_test_stops_rejecting(
    table: tuple[int, int, int], level: float
) -> None:
    improved, worsened, _ = table
    n = sum(table)
    lower, upper = tango_interval(improved, worsened, n, level=level)
    z = scipy.stats.norm.ppf(1 - level)
    assert -1 <= lower <= (improved - worsened) / n <= upper <= 1
    for bound, sign in ((lower, 1), (upper, -1)):
        if abs(bound) < 1 - 1e-9:
            assert sign * tango_statistic(improved, worsened, n, bound - sign * 1e-6) > z - 1e-3
            assert sign * tango_statistic(improved, worsened, n, bound + sign * 1e-6) < z + 1e-3
    assert tango_interval(worsened, improved, n, level=level) == (-upper, -lower)


def test_tango_at_zero_is_mcnemar() -> None:
    assert tango_statistic(4, 9, 100, 0.0) == pytest.approx((4 - 9) / math.sqrt(13))


@pytest.mark.parametrize("n", [1, 5, 50, 500])
def test_without_a_discordant_pair_the_interval_is_open_by_z_squared(n: int) -> None:
    z2 = scipy.stats.norm.ppf(0.95) ** 2
    assert tango_interval(0, 0, n, level=0.05) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))


# --- single means --------------------------------------------------------------------------------------


@quick
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_exact_bounds_equal_statsmodels(table: tuple[int, int]) -> None:
    successes, n = table
    lower, upper = proportion_confint(successes, n, alpha=0.1, method="beta")
    ours = exact_proportion_bound(successes, n, level=0.05)
    assert ours == pytest.approx((lower if successes else 0.0, upper if successes < n else 1.0), abs=1e-9)


def test_mean_of_graded_scores_has_an_interval_a_little_wider_than_students() -> None:
    scores = np.random.default_rng(1).random(400)
    reference = scipy.stats.t.interval(0.9, 399, scores.mean(), scipy.stats.sem(scores))
    lower, upper = mean_interval(scores, None, level=0.05)
    assert reference[0] - 0.003 < lower < reference[0]
    assert reference[1] < upper < reference[1] + 0.003


def test_mean_interval_of_right_or_wrong_scores_is_exact() -> None:
    scores = np.array([1.0] * 9 + [0.0])
    assert mean_interval(scores, None, level=0.05) == exact_proportion_bound(9, 10, level=0.05)


def test_a_mean_says_nothing_from_one_cluster_and_little_from_equal_scores() -> None:
    assert mean_interval(np.array([0.2, 0.3]), ["a", "a"], level=0.05) == (0.0, 1.0)
    lower, upper = mean_interval(np.full(10, 0.5), None, level=0.05)
    # Gaffke's bound: the mean of n values of ½ and of none is rejected where ½ · U^(1/n) is rarely as high.
    assert lower == pytest.approx(0.5 * 0.05**0.1, abs=1e-6)
    assert upper == pytest.approx(1.0 - 0.5 * 0.05**0.1, abs=1e-6)


# --- clusters ------------------------------------------------------------------------------------------


@quick
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(40, 120))
def test_cluster_standard_error_equals_statsmodels(seed: int, groups: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)])
    values = rng.normal(size=n) + rng.normal(size=groups)[codes]
    fit = sm.OLS(values, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert cluster_standard_error(group(values, codes.tolist())) == pytest.approx(fit.bse[0], rel=1e-9)


def test_without_clusters_it_is_the_standard_error_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert cluster_standard_error(group(values, None)) == pytest.approx(scipy.stats.sem(values))
    assert cluster_standard_error(Clusters(np.array([1.0]), np.array([3.0]))) is None


# --- sign flips ----------------------------------------------------------------------------------------


def brute_force_p(totals: list[float]) -> float:
    observed = sum(totals)
    sums = [sum(s * t for s, t in zip(p, totals, strict=True)) for p in _signs(len(totals))]
    return sum(total <= observed + 1e-9 for total in sums) / len(sums)


def _signs(n: int) -> itertools.product[tuple[int, ...]]:
    return itertools.product((1, -1), repeat=n)


eighths = st.lists(st.integers(-8, 8).map(lambda k: k / 8), min_size=1, max_size=7)


@quick
@given(eighths)
def test_few_clusters_are_enumerated_and_equal_brute_force(totals: list[float]) -> None:
    flips = sign_flips(np.array(totals), np.ones(len(totals)))
    assert isinstance(flips, SignFlips)
    assert flips.exact
    assert flips.patterns == 2 ** len(totals)
    assert flips.p_value == pytest.approx(brute_force_p(totals), abs=1e-12)


@quick
@given(eighths, st.sampled_from([0.01, 0.05, 0.1, 0.2]))
def test_bounds_are_the_inversion_of_the_test(totals: list[float], level: float) -> None:
    values = np.array(totals)
    lower, upper = sign_flips(values, np.ones(len(values))).bounds(level)

    def p_drop(delta: float) -> float:
        return brute_force_p([total - delta for total in totals])

    def p_rise(delta: float) -> float:
        return brute_force_p([delta - total for total in totals])

    for p_value, bound, outwards in ((p_drop, upper, 1), (p_rise, lower, -1)):
        assert p_value(bound - outwards * 1e-6) > level
        if abs(bound) < 1:
            assert p_value(bound + outwards * 1e-6) <= level


@quick
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.1]), st.floats(-0.2, 0.2))
def test_p_value_and_bound_never_contradict_each_other(
    seed: int, groups: int, level: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, groups).astype(float)
    totals = np.clip(np.round(rng.normal(shift, 0.3, groups), 1), -1, 1) * sizes
    flips = sign_flips(totals, sizes, draws=2_000)
    mirrored = sign_flips(-totals, sizes, draws=2_000)
    for one in (flips, mirrored):
        if one.p_value != level:
            assert (one.p_value < level) == (one.bounds(level)[1] < 0)
    assert mirrored.bounds(level) == tuple(-bound for bound in reversed(flips.bounds(level)))


def test_random_patterns_approach_the_exact_interval() -> None:
    totals = np.round(np.random.default_rng(3).normal(-0.1, 0.3, 14), 2)
    drawn = sign_flips(totals, np.ones(14), draws=10_000)
    assert isinstance(drawn, SignFlips)
    assert not drawn.exact
    assert drawn.patterns == 10_001
    subsets = np.array(list(itertools.product((0.0, 1.0), repeat=14)))[1:]
    means = np.sort(subsets @ totals / subsets.sum(axis=1))
    exact = means[int(0.05 * len(means))], means[-int(0.05 * len(means)) - 1]
    assert drawn.bounds(0.05) == pytest.approx(exact, abs=0.02)


def test_the_p_value_has_no_part_in_the_draws() -> None:
    few, many = (sign_flips(np.full(100, -1.0), np.ones(100), draws=draws) for draws in (100, 10_000))
    assert few.p_value == many.p_value == pytest.approx(0.5 / 2**100, rel=1e-12)


@quick
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_the_order_of_clusters_and_the_sides_do_not_choose_the_patterns(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, groups).astype(float)
    totals = np.round(rng.normal(0.05, 0.3, groups), 1) * sizes
    order = rng.permutation(groups)
    one = sign_flips(totals, sizes, draws=500)
    two = sign_flips(totals[order], sizes[order], draws=500)
    assert (one.p_value, one.bounds(0.05)) == (two.p_value, two.bounds(0.05))
    other = sign_flips(-totals, sizes, draws=500)
    assert other.bounds(0.05) == tuple(-bound for bound in reversed(one.bounds(0.05)))


def test_ties_count_half_as_in_mcnemars_test() -> None:
    changes = np.array([1.0] * 4 + [-1.0] * 12 + [0.0] * 40)
    found = sign_flips(changes, np.ones(56))
    assert found.p_value == pytest.approx(mcnemar_mid_p(4, 12), rel=1e-12)


@pytest.mark.parametrize("groups", [MANY, MANY + 1])
def test_many_clusters_need_no_draws(groups: int) -> None:
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 4, groups).astype(float)
    totals = sizes * rng.choice([-1.0, 0.0, 0.4], groups, p=[0.3, 0.1, 0.6])
    found = sign_flips(totals, sizes)
    assert isinstance(found, LargeSampleFlips) == (groups > MANY)
    drawn = sign_flips(totals[:MANY], sizes[:MANY])
    assert found.p_value == pytest.approx(flip_p_value(totals), abs=1e-3)
    assert found.bounds(0.05) == pytest.approx(drawn.bounds(0.05), abs=3e-3)
    mirrored = sign_flips(-totals, sizes).bounds(0.05)
    assert mirrored == pytest.approx([-bound for bound in reversed(found.bounds(0.05))], abs=1e-12)


def test_for_many_cases_it_agrees_with_students_t() -> None:
    rng = np.random.default_rng(7)
    base = rng.random(600)
    ours = np.clip(base + rng.normal(-0.01, 0.1, 600), 0, 1)
    found = compare_pairs(ours, base, alpha=0.05)
    reference = scipy.stats.ttest_rel(ours, base, alternative="less")
    assert found.p_value == pytest.approx(reference.pvalue, abs=0.01)
    low, high = scipy.stats.ttest_rel(ours, base).confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high), abs=5e-4)


# --- comparisons ---------------------------------------------------------------------------------------

graded = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 10).map(lambda k: k / 10), min_size=n, max_size=n),
        st.lists(st.integers(0, 10).map(lambda k: k / 10), min_size=n, max_size=n),
        st.none() | st.lists(st.integers(0, 5), min_size=n, max_size=n),
    )
)


@quick
@given(graded)
def test_swapping_the_sides_mirrors_everything(
    sides: tuple[list[float], list[float], list[int] | None],
) -> None:
    ours, theirs, clusters = sides
    one = compare_pairs(np.array(ours), np.array(theirs), clusters, alpha=0.05)
    two = compare_pairs(np.array(theirs), np.array(ours), clusters, alpha=0.05)
    assert one.delta == -two.delta
    assert one.interval == pytest.approx((-two.interval[1], -two.interval[0]), abs=1e-12)
    assert (one.improved, one.worsened) == (two.worsened, two.improved)
    assert one.interval[0] <= one.bounds[0] + 1e-12
    assert one.bounds[1] <= one.interval[1] + 1e-12
    assert one.p_value + two.p_value >= 1 - 1e-12


def test_right_or_wrong_answers_use_mcnemar_and_anything_else_flips_signs() -> None:
    ours, theirs = np.array([1.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
    assert "McNemar" in compare_pairs(ours, theirs, alpha=0.05).method
    assert "sign-flip" in compare_pairs(ours, theirs, ["a", "a", "b", "c"], alpha=0.05).method
    assert "sign-flip" in compare_pairs(ours, theirs, alpha=0.05, single=False).method
    assert "sign-flip" in compare_pairs(ours * 0.5, theirs, alpha=0.05).method


@pytest.mark.parametrize("clusters", [None, ["same"] * 6])
def test_one_unit_proves_nothing(clusters: list[str] | None) -> None:
    n = 6 if clusters else 1
    found = compare_pairs(np.zeros(n), np.full(n, 0.5), clusters, alpha=0.05)
    assert found.p_value == 0.5
    assert found.bounds == (-1.0, 1.0)
    assert found.standard_error is None


def test_equal_scores_prove_no_more_than_equal_answers_do() -> None:
    same = np.full(30, 0.5)
    found = compare_pairs(same, same, alpha=0.05)
    assert found.delta == 0
    assert found.p_value == 1
    lower, upper = tango_interval(0, 0, 30, level=0.05)
    assert found.bounds == pytest.approx((lower, 0.0))
    assert found.interval == pytest.approx(tango_interval(0, 0, 30, level=0.025))
    assert upper > 0.08


def test_a_constant_drop_is_a_drop() -> None:
    found = compare_pairs(np.full(30, 0.4), np.full(30, 0.5), alpha=0.05)
    assert found.delta == pytest.approx(-0.1)
    assert found.bounds == pytest.approx((-0.1, -0.1))
    assert found.p_value == 0.5 / 2**30


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    base = rng.random(200) < 0.7
    flips = np.repeat(rng.random(20) < 0.2, 10)
    ours = np.where(flips, ~base, base).astype(float)
    alone = compare_pairs(ours, base.astype(float), alpha=0.05)
    together = compare_pairs(ours, base.astype(float), np.repeat(np.arange(20), 10).tolist(), alpha=0.05)
    assert together.interval[1] - together.interval[0] > 1.5 * (alone.interval[1] - alone.interval[0])


# --- power ---------------------------------------------------------------------------------------------


def blocked_share(n: int, discordance: float, drop: float, margin: float, runs: int = 4_000) -> float:
    rng = np.random.default_rng(n)
    worse, better = (discordance + drop) / 2, (discordance - drop) / 2
    tables = rng.multinomial(n, [better, worse, 1 - better - worse], size=runs)
    blocked = 0
    for improved, worsened, _ in tables:
        p_value = mcnemar_p(int(improved), int(worsened), n)
        blocked += p_value <= 0.05 and (improved - worsened) / n < -margin - 1e-12
    return blocked / runs


@pytest.mark.parametrize(("n", "discordance"), [(100, 0.3), (200, 0.1), (400, 0.2), (805, 0.1)])
@pytest.mark.parametrize("margin", [0.0, 0.02, 0.08])
def test_the_minimum_detectable_drop_is_blocked_four_times_in_five(
    n: int, discordance: float, margin: float
) -> None:
    spread = Spread(n, n, discordance, measured=False)
    drop = minimum_detectable_drop(spread, margin=margin, alpha=0.05)
    assert drop is not None
    assert blocked_share(n, max(discordance, drop), drop, margin) == pytest.approx(0.8, abs=0.05)


def test_too_few_cases_detect_nothing() -> None:
    assert minimum_detectable_drop(Spread(4, 4, 0.0, measured=False), margin=0.02, alpha=0.05) is None
    assert minimum_detectable_drop(Spread(90, 4, 0.1, measured=True), margin=0.02, alpha=0.05) is None


def test_enough_cases_settle_what_they_are_said_to_settle() -> None:
    spread = Spread(100, 100, 0.1, measured=False)
    needed = cases_to_settle_drop(spread, 0.01, margin=0.02, rules_out=0.02, alpha=0.05)
    assert needed is not None
    worsened, improved = round(0.045 * needed), round(0.055 * needed)
    assert tango_interval(improved, worsened, needed, level=0.05)[0] > -0.02
    drop = cases_to_settle_drop(spread, -0.05, margin=0.02, rules_out=0.1, alpha=0.05)
    assert drop is not None
    assert mcnemar_p(round(0.025 * drop), round(0.075 * drop), drop) <= 0.05
    assert cases_to_settle_drop(spread, -0.02, margin=0.02, rules_out=0.02, alpha=0.05) is None
    assert cases_to_settle_drop(spread, 0.0, margin=0.0, rules_out=0.0, alpha=0.05) is None
    still = Spread(30, 30, 0.0, measured=False)
    zero = cases_to_settle_drop(still, 0.0, margin=0.02, rules_out=0.02, alpha=0.05)
    assert zero is not None
    assert tango_interval(0, 0, zero, level=0.05)[0] > -0.02 > tango_interval(0, 0, zero - 5, level=0.05)[0]


def test_enough_cases_show_that_a_floor_is_missed() -> None:
    needed = cases_to_settle_floor(0.55, 0.6, 0.25, alpha=0.05)
    assert needed is not None
    assert exact_proportion_bound(round(0.55 * needed), needed, level=0.05)[1] < 0.6
    assert cases_to_settle_floor(0.6, 0.6, 0.25, alpha=0.05) is None


# --- what must not matter ------------------------------------------------------------------------------

clustered = st.integers(2, 24).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.sampled_from([0.0, 1.0]) | st.sampled_from([0.25, 0.5]), min_size=n, max_size=n)] * 2,
        st.none() | st.lists(st.integers(0, 9), min_size=n, max_size=n),
    )
)
right_or_wrong = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n)] * 2,
        st.none() | st.lists(st.integers(0, 30), min_size=n, max_size=n),
    )
)
either = clustered | right_or_wrong


@quick
@given(either, st.randoms(use_true_random=False))
def test_the_order_of_cases_never_matters(
    sides: tuple[list[float], list[float], list[int] | None], random: Random
) -> None:
    ours, theirs, clusters = sides
    order = list(range(len(ours)))
    random.shuffle(order)
    one = compare_pairs(np.array(ours), np.array(theirs), clusters, alpha=0.05)
    two = compare_pairs(
        np.array(ours)[order],
        np.array(theirs)[order],
        None if clusters is None else [clusters[i] for i in order],
        alpha=0.05,
    )
    assert (one.delta, one.p_value, one.method) == (two.delta, two.p_value, two.method)
    assert one.interval == pytest.approx(two.interval, abs=1e-9)
    assert one.bounds == pytest.approx(two.bounds, abs=1e-9)


@quick
@given(either, st.integers(2, 5))
def test_copies_of_every_case_within_its_cluster_do_not_shrink_the_interval(
    sides: tuple[list[float], list[float], list[int] | None], copies: int
) -> None:
    ours, theirs, clusters = sides
    own: list[int] = list(range(len(ours))) if clusters is None else clusters
    one = compare_pairs(np.array(ours), np.array(theirs), clusters, alpha=0.05)
    more = compare_pairs(
        np.tile(ours, copies).astype(float), np.tile(theirs, copies).astype(float), own * copies, alpha=0.05
    )
    assert more.delta == pytest.approx(one.delta, abs=1e-12)
    for few, many in ((one.interval, more.interval), (one.bounds, more.bounds)):
        assert many[0] <= few[0] + 1e-9
        assert many[1] >= few[1] - 1e-9
    floor, copied = (mean_interval(np.tile(ours, k).astype(float), own * k, level=0.05) for k in (1, copies))
    assert copied[0] <= floor[0] + 1e-6
    assert copied[1] >= floor[1] - 1e-6
