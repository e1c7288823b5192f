"""Looking on beside the same bet after bet: the capital of each claim, and when a suite was asked enough.

What tests of error rates are too coarse for is seen here: a constant that is off by a tenth, a term with the
wrong sign.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from harness.stats.anytime import Units, WholeSuite, anytime_interval, anytime_lower, bets, log_capital
from harness.stats.clusters import Clusters
from harness.stats.stopping import (
    LOOKING,
    StoppingRule,
    anytime_p_value,
    first_stop,
    is_drop_shown,
    is_fall_excluded,
    is_floor_held,
    is_floor_missed,
    looks,
)

# --- at any time -----------------------------------------------------------------------------------------


def capital_by_loops(units: Units, mean: float, *, finite: bool) -> list[float]:
    """The capital of each bet, cluster after cluster, and their average."""
    suite = units.suite
    shares = bets(suite.groups)
    purses = [1.0] * len(shares)
    found, owed, seen, gained, impossible = [], 0.0, 0, 0.0, False
    for number, (total, size) in enumerate(zip(units.clusters.totals, units.clusters.sizes, strict=True)):
        expected = -owed / (suite.groups - number) if finite else 0.0
        if suite.equal:
            stake = max(suite.largest * (mean - units.low) + expected, 0.0)
        else:
            stake = suite.largest * (units.high - units.low)
        gain = total - mean * size - expected
        without_a_stake = math.inf if gain > 1e-9 else 0.0
        ratio = max(gain / stake, -1.0) if stake > 1e-9 else without_a_stake
        purses = [purse * (1.0 + share * ratio) for purse, share in zip(purses, shares, strict=True)]
        owed += total - mean * size
        seen, gained = seen + int(size), gained + total
        needed = mean * suite.cases - gained
        impossible |= finite and needed < units.low * (suite.cases - seen) - 1e-9 * suite.cases
        average = sum(purses) / len(purses)
        found.append(math.inf if impossible or math.isinf(average) else math.log(average))
    return found


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("claim", [-1.0, -0.4, 0.0, 0.3])
@pytest.mark.parametrize("range_of", [(-1.0, 1.0), (0.0, 1.0)])
def test_the_capital_equals_that_of_bets_placed_one_by_one(
    finite: bool, equal: bool, claim: float, range_of: tuple[float, float]
) -> None:
    low, high = range_of
    if claim < low:
        return
    rng = np.random.default_rng(12)
    sizes = np.full(24, 2.0) if equal else rng.integers(1, 5, 24).astype(float)
    for lean in (0.2, 0.8):
        totals = sizes * (low + (high - low) * rng.beta(4 * lean, 4 * (1 - lean), 24))
        part = Units(Clusters(totals[:17], sizes[:17]), WholeSuite.of(sizes), low, high)
        expected = capital_by_loops(part, claim, finite=finite)
        assert log_capital(part, claim, finite=finite) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_claim_that_the_first_case_refutes_is_refuted_for_good() -> None:
    """The lowest mean that there is, and a case above it; one at the lowest value says nothing."""
    suite = WholeSuite(10, 10)
    for finite in (False, True):
        seen = Units(Clusters(np.array([-1.0, 0.0, -1.0]), np.ones(3)), suite, -1.0, 1.0)
        assert log_capital(seen, -1.0, finite=finite).tolist() == [0.0, math.inf, math.inf]


def test_a_suite_is_described_by_its_clusters() -> None:
    assert WholeSuite.of(np.array([1.0, 3.0, 2.0])) == WholeSuite(groups=3, cases=6, largest=3, equal=False)
    assert WholeSuite.of(np.array([2.0, 2.0])) == WholeSuite(groups=2, cases=4, largest=2, equal=True)
    assert WholeSuite(5, 5) == WholeSuite(groups=5, cases=5, largest=1, equal=True)


def test_bets_reach_from_timid_to_bold() -> None:
    for groups, timid in ((1, 0.5), (2, 0.5), (4, 0.5), (100, 0.1), (10_000, 0.01), (0, 0.5)):
        found = bets(groups)
        assert found[0] == pytest.approx(timid)
        assert found[-1] == pytest.approx(0.999)
        assert len(found) == 24
        assert np.diff(np.log(found)) == pytest.approx(np.log(0.999 / timid) / 23)


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_a_bound_is_the_claim_at_which_the_capital_reaches_its_limit(finite: bool, level: float) -> None:
    rng = np.random.default_rng(13)
    part = Units(
        Clusters(rng.choice([-1.0, 0.0, 1.0], 60, p=[0.1, 0.4, 0.5]), np.ones(60)),
        WholeSuite(90, 90),
        -1.0,
        1.0,
    )
    lower, upper = anytime_interval(part, level=level, finite=finite)
    assert lower == anytime_lower(part, level=level, finite=finite)
    for bound, units in ((lower, part), (-upper, part.mirrored)):
        assert log_capital(units, bound - 1e-9, finite=finite).max() >= -math.log(level)
        assert log_capital(units, bound + 1e-9, finite=finite).max() < -math.log(level)


def test_a_bound_that_nothing_refutes_is_the_lowest_value() -> None:
    part = Units(Clusters(np.zeros(2), np.ones(2)), WholeSuite(50, 50), 0.0, 1.0)
    assert anytime_lower(part, level=0.05) == 0.0
    nothing = Units(Clusters(np.zeros(0), np.zeros(0)), WholeSuite(50, 50), 0.25, 1.0)
    assert anytime_lower(nothing, level=0.05) == 0.25


def test_a_mirrored_look_negates_values_and_range() -> None:
    part = Units(Clusters(np.array([0.5]), np.array([2.0])), WholeSuite(9, 9), 0.0, 1.0)
    mirrored = part.mirrored
    assert (mirrored.low, mirrored.high, mirrored.suite) == (-1.0, 0.0, part.suite)
    assert (mirrored.clusters.totals.tolist(), mirrored.clusters.sizes.tolist()) == ([-0.5], [2.0])


# --- when to stop ----------------------------------------------------------------------------------------

RULE = StoppingRule(margin=0.1, alpha=0.05, family=4)


def test_the_error_is_shared_between_looking_and_the_end() -> None:
    assert LOOKING == 0.2
    assert RULE.looking == pytest.approx(0.2 * 0.05 / 4)
    assert RULE.left == pytest.approx(0.8 * 0.05)
    assert StoppingRule(margin=0.1, alpha=0.05) == StoppingRule(0.1, 0.05, family=1, foretold=0.01)


def seen(values: list[float], groups: int = 400, low: float = -1.0) -> Units:
    return Units(Clusters(np.array(values), np.ones(len(values))), WholeSuite(groups, groups), low, 1.0)


LOOKS = {
    f"{down} down, {up} up, {same} same": seen([-1.0] * down + [1.0] * up + [0.0] * same)
    for down in (0, 6, 12, 40, 90)
    for up in (0, 5, 60)
    for same in (0, 30, 150, 240)
    if down + up + same
}


def reaches(units: Units, claim: float, level: float, *, finite: bool) -> bool:
    return max(capital_by_loops(units, claim, finite=finite)) >= -math.log(level)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_stops_for_the_reasons_that_are_written_down(name: str) -> None:
    """The docstrings of `is_drop_shown` and `is_fall_excluded`, over looks of many kinds."""
    part = LOOKS[name]
    totals, n = part.clusters.totals, len(part.clusters)
    below = totals.sum() < -0.1 * n
    population = reaches(part.mirrored, 0.0, 0.2 * 0.05 / 4, finite=False)
    suite = reaches(part.mirrored, 0.1, 0.01, finite=True)
    assert is_drop_shown(part, RULE) == (below and population and suite)
    excluded = reaches(part, -0.1, 0.2 * 0.05, finite=False)
    assert is_fall_excluded(part, RULE, strict=True) == excluded
    chance = scipy.stats.norm.ppf(0.96) * math.sqrt(float(totals @ totals)) / 400
    foretold = reaches(part, -max(0.1, min(chance, 1.0)), 0.01, finite=True)
    assert is_fall_excluded(part, RULE, strict=False) == (excluded or foretold)
    assert anytime_p_value(part) == pytest.approx(
        math.exp(-max(max(capital_by_loops(part.mirrored, 0.0, finite=False)), 0.0))
    )


def test_looks_of_every_kind_stop_and_go_on() -> None:
    """What the test above compares is not always the same answer."""
    answers = {
        (
            is_drop_shown(part, RULE),
            is_fall_excluded(part, RULE, strict=True),
            is_fall_excluded(part, RULE, strict=False),
        )
        for part in LOOKS.values()
    }
    assert answers >= {(True, False, False), (False, False, False), (False, False, True), (False, True, True)}


@pytest.mark.parametrize("hits", [2, 15, 20, 26, 38])
@pytest.mark.parametrize("floor", [0.1, 0.5, 0.9])
def test_a_floor_is_missed_by_the_population_and_held_by_the_suite(hits: int, floor: float) -> None:
    part = seen(
        [0.0, 1.0] * min(hits, 40 - hits) + [float(hits > 20)] * abs(40 - 2 * hits), groups=60, low=0.0
    )
    assert is_floor_missed(part, floor, RULE) == reaches(part.mirrored, -floor, 0.2 * 0.05, finite=False)
    assert is_floor_held(part, floor, RULE) == reaches(part, floor, 0.01, finite=True)


def test_floors_are_held_missed_and_open() -> None:
    high, low = seen([1.0] * 50, groups=60, low=0.0), seen([0.0] * 50, groups=60, low=0.0)
    assert is_floor_held(high, 0.5, RULE)
    assert not is_floor_missed(high, 0.5, RULE)
    assert is_floor_missed(low, 0.5, RULE)
    assert not is_floor_held(low, 0.5, RULE)
    few = seen([1.0, 0.0], groups=60, low=0.0)
    assert not is_floor_held(few, 0.5, RULE)
    assert not is_floor_missed(few, 0.5, RULE)
    nothing = seen([], groups=60, low=0.0)
    assert not is_floor_held(nothing, 0.0, RULE)
    assert not is_floor_missed(nothing, 1.0, RULE)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (5, (5,)),
        (20, (20,)),
        (21, (20, 21)),
        (60, (20, 40, 60)),
        (400, tuple(range(20, 401, 20))),
        (401, (*range(21, 401, 21), 401)),
        (805, (*range(41, 805, 41), 805)),
    ],
)
def test_one_looks_every_twenty_clusters_and_at_most_twenty_times(
    groups: int, expected: tuple[int, ...]
) -> None:
    assert looks(groups) == expected
    assert len(looks(groups)) <= 20


def test_a_comparison_stops_at_the_first_look_that_settles_it() -> None:
    rng = np.random.default_rng(14)
    rule = StoppingRule(margin=0.1, alpha=0.05)
    found = set()
    for lean in (-0.6, -0.3, -0.05, 0.0, 0.3):
        for _ in range(8):
            totals = np.clip(np.round(rng.normal(lean, 0.4, 200)), -1, 1)
            whole = Clusters(totals, np.ones(200))
            for strict in (False, True):
                expected = None
                for number in looks(200)[:-1]:
                    part = Units(Clusters(totals[:number], np.ones(number)), WholeSuite(200, 200), -1.0, 1.0)
                    if is_drop_shown(part, rule):
                        expected = (number, True)
                    elif is_fall_excluded(part, rule, strict=strict):
                        expected = (number, False)
                    if expected is not None:
                        break
                assert first_stop(whole, rule, strict=strict) == expected
                found.add(None if expected is None else expected[1])
            assert first_stop(whole, rule) == first_stop(whole, rule, strict=False)
    assert found == {None, True, False}
