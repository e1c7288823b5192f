"""Confidence sequences: what they promise under continuous looking, and a reference implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats.anytime import (
    Units,
    WholeSuite,
    anytime_interval,
    anytime_lower,
    anytime_upper,
    bets,
    log_capital,
)
from harness.stats.clusters import Clusters
from harness.stats.stopping import StoppingRule, anytime_p_value, is_drop_shown, is_fall_excluded

Values = NDArray[np.float64]


def units(
    values: Values, *, suite: WholeSuite | None = None, low: float = -1.0, sizes: Values | None = None
) -> Units:
    """Values in the order of drawing; from a suite that holds just these unless told."""
    of = np.ones(len(values)) if sizes is None else sizes
    return Units(Clusters(values, of), suite or WholeSuite.of(of), low, 1.0)


def differences(rng: np.random.Generator, n: int, *, up: float, down: float) -> Values:
    return rng.choice([1.0, -1.0, 0.0], size=n, p=[up, down, 1.0 - up - down])


@pytest.mark.parametrize("finite", [False, True])
def test_bounds_miss_the_mean_at_any_time_no_more_often_than_promised(finite: bool) -> None:
    rng = np.random.default_rng(3)
    runs, level, missed = 1000, 0.1, 0
    for _ in range(runs):
        values = differences(rng, 120, up=0.25, down=0.15)
        mean = values.mean() if finite else 0.1
        found = log_capital(units(rng.permutation(values)), mean, finite=finite)
        if finite:
            found = found[:-1]  # the last case leaves no doubt about the suite's own mean
        missed += bool(found.max() >= -math.log(level))
    assert 0 < missed / runs <= level + 3 * math.sqrt(level * (1 - level) / runs)


def test_clusters_of_many_sizes_keep_the_promise() -> None:
    """Cases of a cluster share their fate, so counting them singly would be wrong far too often."""
    rng = np.random.default_rng(5)
    runs, level, missed, naive = 600, 0.1, 0, 0
    for _ in range(runs):
        sizes = rng.integers(1, 9, size=60).astype(np.float64)
        totals = sizes * rng.choice([0.5, -0.5], size=60)
        missed += bool(log_capital(units(totals, sizes=sizes), 0.0).max() >= -math.log(level))
        cases = np.repeat(totals / sizes, sizes.astype(int))
        naive += bool(log_capital(units(cases), 0.0).max() >= -math.log(level))
    assert missed / runs <= level + 3 * math.sqrt(level * (1 - level) / runs)
    assert naive / runs > 2 * level


def test_without_replacement_the_last_case_leaves_no_doubt() -> None:
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 4, size=30).astype(np.float64)
    totals = np.array([differences(rng, int(size), up=0.3, down=0.3).sum() for size in sizes])
    mean = totals.sum() / sizes.sum()
    for values, of in ((totals, sizes), (differences(rng, 40, up=0.3, down=0.2), None)):
        whole = units(values, sizes=of)
        exact = mean if of is not None else values.mean()
        assert anytime_interval(whole, level=0.05, finite=True) == pytest.approx((exact, exact), abs=1e-6)
        part = Units(Clusters(values[:9], whole.clusters.sizes[:9]), whole.suite, -1.0, 1.0)
        lower, upper = anytime_interval(part, level=0.05, finite=True)
        assert lower < exact < upper


def test_what_is_left_bounds_the_suites_mean_for_certain() -> None:
    """9 of 10 cases gained: even if the last one lost, the mean stays at 0.8; no level can be smaller."""
    seen = units(np.ones(9), suite=WholeSuite(10, 10))
    assert anytime_lower(seen, level=1e-300, finite=True) == pytest.approx(0.8, abs=1e-6)
    assert anytime_upper(seen, level=1e-300, finite=True) == pytest.approx(1.0, abs=1e-6)
    assert anytime_lower(seen, level=1e-300) == pytest.approx(-1.0, abs=1e-3)


def test_swapping_the_sides_mirrors_the_interval() -> None:
    values = differences(np.random.default_rng(1), 50, up=0.3, down=0.1)
    for finite in (False, True):
        lower, upper = anytime_interval(units(values, suite=WholeSuite(80, 80)), level=0.05, finite=finite)
        swapped = anytime_interval(units(-values, suite=WholeSuite(80, 80)), level=0.05, finite=finite)
        assert swapped == pytest.approx((-upper, -lower), abs=1e-9)


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_the_capital_falls_with_the_claim(finite: bool, equal: bool) -> None:
    """Otherwise the claims that are not refuted would be no interval, and bisection would miss some."""
    rng = np.random.default_rng(2)
    sizes = np.ones(25) if equal else rng.integers(1, 6, size=25).astype(np.float64)
    for _ in range(20):
        totals = sizes * rng.uniform(-1, 1, size=25)
        part = Units(Clusters(totals[:15], sizes[:15]), WholeSuite.of(sizes), -1.0, 1.0)
        capital = np.array([log_capital(part, m, finite=finite).max() for m in np.linspace(-0.99, 0.99, 67)])
        finite_part = capital[np.isfinite(capital)]
        assert (np.diff(finite_part) <= 1e-9).all()
        assert np.isfinite(capital).sum() + np.isposinf(capital).sum() == len(capital)


def test_nothing_seen_says_nothing() -> None:
    nothing = Units(Clusters(np.zeros(0), np.zeros(0)), WholeSuite(10, 10), -1.0, 1.0)
    rule = StoppingRule(margin=0.02, alpha=0.05)
    assert anytime_interval(nothing, level=0.05) == (-1.0, 1.0)
    assert anytime_p_value(nothing) == 1.0
    assert not is_drop_shown(nothing, rule)
    assert not is_fall_excluded(nothing, rule, strict=False)


def test_a_collapse_is_seen_at_once_and_an_unchanged_checkpoint_before_the_end() -> None:
    rule = StoppingRule(margin=0.02, alpha=0.05)
    collapsed = units(-np.ones(20), suite=WholeSuite(805, 805))
    assert is_drop_shown(collapsed, rule)
    assert not is_fall_excluded(collapsed, rule, strict=False)
    same = np.zeros(400)
    assert is_fall_excluded(units(same, suite=WholeSuite(805, 805)), rule, strict=True)
    assert not is_fall_excluded(units(same[:60], suite=WholeSuite(805, 805)), rule, strict=False)
    assert not is_drop_shown(units(same, suite=WholeSuite(805, 805)), rule)


def test_a_larger_family_needs_more_evidence() -> None:
    values = -np.ones(11)
    suite = WholeSuite(400, 400)
    assert is_drop_shown(units(values, suite=suite), StoppingRule(margin=0.0, alpha=0.05))
    assert not is_drop_shown(units(values, suite=suite), StoppingRule(margin=0.0, alpha=0.05, family=50))


@pytest.mark.parametrize("population", [None, 200])
def test_capital_agrees_with_the_authors_own_code(
    population: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """confseq 0.0.11; its C++ part is not needed, so its `src` folder on PYTHONPATH is enough."""
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # it was written for NumPy 1
    pytest.importorskip("multiprocess", reason="confseq.betting needs multiprocess")
    betting = pytest.importorskip("confseq.betting", reason="confseq is not installed")
    rng = np.random.default_rng(11)
    values = rng.beta(2, 3, size=120)
    groups = population or 120
    ours = Units(Clusters(values, np.ones(120)), WholeSuite(groups, groups), 0.0, 1.0)
    for claim in (0.2, 0.35, 0.5):
        theirs = np.mean(
            [
                betting.betting_mart(
                    values,
                    claim,
                    lambdas_fn_positive=lambda x, m: np.full(len(x), np.inf),
                    N=population,
                    theta=1,
                    trunc_scale=share,
                )
                for share in bets(groups)
            ],
            axis=0,
        )
        found = log_capital(ours, claim, finite=population is not None)
        possible = np.isfinite(found)  # we know one case earlier that a claim has become impossible
        gap = float(np.abs(np.log(theirs[possible]) - found[possible]).max())
        print(f"confseq, claim {claim}, population {population}: largest difference {gap:.1e}")
        assert gap < 1e-9
        assert (possible | (found == np.inf)).all()
        assert np.isposinf(found[np.isposinf(theirs)]).all()
