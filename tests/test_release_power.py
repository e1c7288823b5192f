"""What can be shown and excluded before a run: against simulations of the rules themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.bounded import mean_at_most_p
from harness.stats.exact_pairs import paired_drop_p
from harness.stats.power import (
    Spread,
    cases_to_exclude,
    exclusion_power,
    minimum_detectable_drop,
    smallest_exclusion,
)
from harness.stats.release_power import ReleasePlan, SuitePlan

FLIPS = Spread(100, 100, 0.22, measured=False)


def plan(shares: tuple[float, ...], **fields: float) -> ReleasePlan:
    return ReleasePlan(tuple(SuitePlan(FLIPS, 0.8, 0.02, share, **fields) for share in shares), 0.05)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_unchanged_release_is_blocked_at_alpha(count: int) -> None:
    assert plan((1.0,) * count).blocked([0.0] * count) == pytest.approx(0.05, abs=0.006)


def test_a_lone_suite_sees_what_its_own_power_says() -> None:
    alone = minimum_detectable_drop(FLIPS, margin=0.02, alpha=0.05)
    assert plan((1.0,)).detectable(0) == pytest.approx(alone, abs=0.003)
    assert plan((1.0,)).detectable() == plan((1.0,)).detectable(0)


@pytest.mark.parametrize(
    ("shares", "drops", "simulated"),
    [  # what `benchmarks/release_rule.py` counts on outcomes of real models at this rate of flips, in percent
        ((1.0,) * 5, (0.1, *[0.0] * 4), 45),
        ((1.0,) * 20, (0.1, *[0.0] * 19), 28),
        ((19.0, *[1.0] * 19), (0.1, *[0.0] * 19), 58),
        ((1.0,) * 5, (0.05,) * 5, 67),
        ((1.0,) * 20, (0.03,) * 20, 80),
    ],
)
def test_the_plan_foretells_what_is_caught(
    shares: tuple[float, ...], drops: tuple[float, ...], simulated: float
) -> None:
    assert 100 * plan(shares).blocked(drops) == pytest.approx(simulated, abs=3.5)


def test_more_suites_hide_a_lone_drop_and_show_a_common_one() -> None:
    few, many = plan((1.0,) * 2), plan((1.0,) * 12)
    assert (few.detectable(0) or 1.0) < (many.detectable(0) or 1.0)
    assert (few.detectable() or 1.0) > (many.detectable() or 1.0)
    assert (plan((11.0, *[1.0] * 11)).detectable(0) or 1.0) < (many.detectable(0) or 1.0)


def test_suites_over_the_same_cases_are_one() -> None:
    suites = (SuitePlan(FLIPS, 0.8, 0.02),) * 4
    together = ReleasePlan(suites, 0.05, correlation=np.ones((4, 4)))
    assert together.blocked([0.1] * 4) == pytest.approx(plan((1.0,)).blocked([0.1]), abs=0.02)


@pytest.mark.parametrize(("baseline_mean", "seen"), [(0.0, False), (0.1, False), (0.2, True)])
def test_no_drop_is_larger_than_the_baselines_own_score(baseline_mean: float, seen: bool) -> None:
    found = minimum_detectable_drop(FLIPS, margin=0.02, alpha=0.05, baseline_mean=baseline_mean)
    release = ReleasePlan((SuitePlan(FLIPS, baseline_mean, 0.02),), 0.05).detectable(0)
    for drop in (found, release):
        assert (drop is not None) is seen
        assert drop is None or drop <= baseline_mean


def test_nothing_that_changes_leaves_drops_of_full_size_to_see() -> None:
    still = Spread(60, 60, 0.0, measured=False)
    found = ReleasePlan((SuitePlan(still), SuitePlan(still)), 0.05).detectable(0)
    assert found is not None
    assert 0.02 < found < 0.15


@pytest.mark.parametrize(
    ("n", "rate", "drop", "change"),
    [
        (50, 0.05, 0.1, 0.0),
        (50, 0.2, 0.1, 0.0),
        (100, 0.15, 0.1, 0.0),
        (100, 0.22, 0.1, -0.03),
        (400, 0.1, 0.05, 0.0),
    ],
)
def test_the_chance_to_exclude_a_drop_is_that_of_the_test(
    n: int, rate: float, drop: float, change: float
) -> None:
    rng = np.random.default_rng(n)
    runs = 250
    chances = [(rate - change) / 2, 1 - rate, (rate + change) / 2]
    answers = rng.multinomial(n, chances, runs)
    exact = np.mean([paired_drop_p(int(up), int(down), n, drop) <= 0.05 for down, _, up in answers])
    foretold = exclusion_power(Spread(n, n, rate, measured=False), drop, level=0.05, change=change)
    assert exact == pytest.approx(foretold, abs=0.04 + 3 * math.sqrt(foretold * (1 - foretold) / runs))
    bounded = np.mean(
        [
            mean_at_most_p(np.repeat([-1.0, 0.0, 1.0], counts), np.ones(n), -drop, low=-1.0) <= 0.05
            for counts in answers[:100]
        ]
    )
    graded = exclusion_power(Spread(n, n, rate, measured=True), drop, level=0.05, change=change)
    assert bounded == pytest.approx(graded, abs=0.08 + 3 * math.sqrt(graded * (1 - graded) / 100))


def test_cases_to_exclude_fit_the_power() -> None:
    spread = Spread(100, 100, 0.15, measured=False)
    cases = cases_to_exclude(spread, 0.1, level=0.05)
    assert cases is not None
    assert exclusion_power(Spread(cases, cases, 0.15, False), 0.1, level=0.05) >= 0.8
    assert exclusion_power(Spread(cases - 3, cases - 3, 0.15, False), 0.1, level=0.05) < 0.8
    assert cases_to_exclude(Spread(50, 50, 0.0, False), 0.1, level=0.05) == 29  # (1 − 0.1)²⁹ < 5 %
    assert cases_to_exclude(spread, 0.1, level=0.05, change=-0.1) is None
    clustered = cases_to_exclude(Spread(100, 50, 0.15, False), 0.1, level=0.05)
    assert clustered == pytest.approx(2 * cases, abs=2)


def test_the_smallest_exclusion_is_excluded_four_times_of_five() -> None:
    smallest = smallest_exclusion(FLIPS, level=0.05)
    assert exclusion_power(FLIPS, smallest, level=0.05) == pytest.approx(0.8, abs=0.01)
    assert smallest_exclusion(Spread(2, 2, 0.5, False), level=0.05) > 0.7
