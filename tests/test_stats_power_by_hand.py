"""What a comparison can see, and how many cases would settle it, beside the same by trying all."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from harness.stats.power import Spread, cases_to_settle_drop, cases_to_settle_floor, minimum_detectable_drop

Values = NDArray[np.float64]


SPREADS = [
    Spread(100, 100, 0.3, measured=False),
    Spread(400, 40, 0.1, measured=True),
    Spread(400, 40, 0.1, measured=False),
    Spread(60, 60, 0.0, measured=False),
]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("margin", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_the_smallest_drop_that_is_seen_is_found_by_trying_all(
    spread: Spread, margin: float, alpha: float, power: float
) -> None:
    drops = np.arange(1, 100_001) / 100_000
    square = np.full(len(drops), spread.square) if spread.measured else np.maximum(spread.square, drops)
    effective = spread.n if spread.measured else spread.groups
    critical, quantile = scipy.stats.norm.ppf(1 - alpha), scipy.stats.norm.ppf(power)
    threshold = np.maximum(margin, critical * np.sqrt(square / effective))
    seen = drops >= threshold + quantile * np.sqrt(np.maximum(square - drops**2, 0.0) / effective)
    found = minimum_detectable_drop(spread, margin=margin, alpha=alpha, power=power)
    assert found == pytest.approx(float(drops[seen.argmax()]), abs=2e-5)


def test_the_usual_power_is_four_in_five_and_a_margin_may_hide_any_drop() -> None:
    spread = SPREADS[0]
    default = minimum_detectable_drop(spread, margin=0.02, alpha=0.05)
    assert default == minimum_detectable_drop(spread, margin=0.02, alpha=0.05, power=0.8)
    noisy = Spread(5, 5, 4.0, measured=True)
    assert minimum_detectable_drop(noisy, margin=0.0, alpha=0.05) is None


def test_so_few_clusters_that_all_of_them_prove_nothing_detect_nothing() -> None:
    """Four cannot reach a p of 0.05 and five can; a share of exactly alpha is reached."""
    for groups, detects in ((4, False), (5, True)):
        found = minimum_detectable_drop(Spread(900, groups, 0.01, measured=True), margin=0.0, alpha=0.05)
        assert (found is not None) is detects
    assert minimum_detectable_drop(Spread(900, 2, 0.01, measured=True), margin=0.0, alpha=0.25) is not None


def test_under_a_drop_the_square_is_never_below_what_it_needs() -> None:
    assert Spread(10, 5, 0.1, measured=True).under(0.3) == 0.1
    assert Spread(10, 5, 0.1, measured=False).under(0.3) == 0.3
    assert Spread(10, 5, 0.1, measured=False).under(0.05) == 0.1
    assert Spread(10, 5, 0.1, measured=True).effective == 10.0
    assert Spread(10, 5, 0.1, measured=False).effective == 5.0


def smallest(holds: object, most: int = 200_000) -> int:
    assert callable(holds)
    numbers = np.arange(1, most).astype(float)
    return int(numbers[holds(numbers).argmax()])


@pytest.mark.parametrize("spread", SPREADS[:3])
@pytest.mark.parametrize("delta", [0.03, 0.0, -0.016, -0.024, -0.05])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_the_cases_that_settle_a_drop_are_found_by_trying_all(
    spread: Spread, delta: float, alpha: float, power: float
) -> None:
    margin, rules_out = 0.02, 0.03
    critical, quantile = scipy.stats.norm.ppf(1 - alpha), scipy.stats.norm.ppf(power)
    variance = spread.square - delta**2

    def settles(cases: Values) -> NDArray[np.bool_]:
        noise = np.sqrt(variance / cases)
        if delta >= -margin:  # the bound excludes the drop, as often as wanted; Tango's for no change does
            excluded = delta - (critical + quantile) * noise >= -rules_out
            return np.asarray(excluded & (critical**2 / (cases + critical**2) <= delta + rules_out))
        shown = delta + critical * np.sqrt(spread.square / cases) + quantile * noise <= 0.0
        return np.asarray(shown & (delta + quantile * noise <= -margin))

    found = cases_to_settle_drop(spread, delta, margin=margin, rules_out=rules_out, alpha=alpha, power=power)
    share = spread.n / (spread.n if spread.measured else spread.groups)
    assert found is not None
    assert found / share == pytest.approx(smallest(settles, 2_000_000), abs=2.5)


@pytest.mark.parametrize(
    ("delta", "margin", "rules_out", "settles"),
    [
        (-0.02, 0.02, 0.02, False),  # on both boundaries
        (-0.03, 0.05, 0.02, False),  # too small to be shown, too large to be excluded
        (-0.05, 0.05, 0.02, False),
        (-0.01, 0.02, 0.01, False),
        (-0.02, 0.02, 0.03, True),
        (0.0, 0.0, 0.02, True),
        (-0.0301, 0.03, 0.02, False),  # hundreds of millions
        (-0.0299, 0.03, 0.03, False),
        (0.9, 0.0, 0.9, True),
    ],
)
def test_a_number_of_cases_that_nobody_has_is_none(
    delta: float, margin: float, rules_out: float, settles: bool
) -> None:
    spread = Spread(100, 100, 0.9, measured=True)
    found = cases_to_settle_drop(spread, delta, margin=margin, rules_out=rules_out, alpha=0.01, power=0.99)
    assert (found is not None) is settles


def test_a_difference_beyond_one_needs_no_fewer_cases_than_one() -> None:
    """Without spread only Tango's bound is left: none of a drop that cannot be."""
    spread = Spread(100, 100, 0.81, measured=True)
    assert cases_to_settle_drop(spread, 0.9, margin=0.0, rules_out=0.9, alpha=0.05) == 1


def test_the_usual_power_is_four_in_five() -> None:
    arguments = {"margin": 0.02, "rules_out": 0.05, "alpha": 0.05}
    default = cases_to_settle_drop(SPREADS[0], 0.01, **arguments)
    assert default == cases_to_settle_drop(SPREADS[0], 0.01, **arguments, power=0.8)
    assert default != cases_to_settle_drop(SPREADS[0], 0.01, **arguments, power=0.85)
    assert cases_to_settle_floor(0.59, 0.6, 0.25, alpha=0.05) is not None
    assert cases_to_settle_floor(0.59999, 0.6, 0.25, alpha=0.05) is None


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_the_cases_that_show_a_missed_floor(power: float) -> None:
    reach = scipy.stats.norm.ppf(0.95) + scipy.stats.norm.ppf(power)
    needed = smallest(lambda cases: 0.55 + reach * np.sqrt(0.2 / cases) <= 0.6)
    found = cases_to_settle_floor(0.55, 0.6, 0.2, alpha=0.05, power=power)
    assert found == pytest.approx(needed, abs=1.5)
    if power == 0.8:
        assert cases_to_settle_floor(0.55, 0.6, 0.2, alpha=0.05) == found
    assert cases_to_settle_floor(0.61, 0.6, 0.2, alpha=0.05) is None
