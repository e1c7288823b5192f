"""Confidence sequences: bounds on a mean that hold whenever one looks, also when the data say when.

A gambler who starts with 1 bets, case by case, that the mean is higher than claimed. If the claim is true the
capital is a nonnegative supermartingale, so it ever reaches 1/level with probability at most `level`
(Ville's inequality). The claims that are not yet refuted this way are the confidence sequence.

Two means can be meant. The mean of the *population* that the cases were drawn from: the draws are
independent. The mean of the *suite* itself, a finite population whose cases come in random order without
replacement: what was seen then says what is left, and the bounds close on the exact mean as the last case
comes in. Units are clusters of cases (single cases are clusters of one): clusters come whole.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86:1–27
(2024), arXiv:2010.09686: capital processes in theorem 3, bets spread over a grid in section B.6 (there
called diversified Kelly betting), sampling without replacement in section 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.clusters import Clusters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Units",
    "WholeSuite",
    "anytime_interval",
    "anytime_lower",
    "anytime_upper",
    "bets",
    "log_capital",
]

_BETS = 24
_BISECTIONS = 44
_ROUNDING = 1e-9


@dataclass(frozen=True)
class WholeSuite:
    """What is known of a suite before any answer is.

    Attributes:
        groups: Clusters in it.
        cases: Cases in it.
        largest: Cases in its largest cluster.
        equal: Whether all clusters have that size.
    """

    groups: int
    cases: int
    largest: int = 1
    equal: bool = True

    @classmethod
    def of(cls, sizes: NDArray[np.float64]) -> WholeSuite:
        """Describe a suite by the sizes of its clusters."""
        largest = int(sizes.max())
        return cls(len(sizes), int(sizes.sum()), largest, bool((sizes == largest).all()))


@dataclass(frozen=True)
class Units:
    """Clusters in the order in which they were drawn, and the range of a single value.

    Attributes:
        clusters: Sum of the values and number of cases of each cluster seen.
        suite: The suite that they are drawn from.
        low: Smallest value that a case can have.
        high: Largest value that a case can have.
    """

    clusters: Clusters
    suite: WholeSuite
    low: float
    high: float

    @property
    def mirrored(self) -> Units:
        """The same with every value negated, so that an upper bound is a lower one."""
        return Units(Clusters(-self.clusters.totals, self.clusters.sizes), self.suite, -self.high, -self.low)


def log_capital(units: Units, mean: float, *, finite: bool = False) -> NDArray[np.float64]:
    """Return the logarithm of the capital of bets against "the mean is at most `mean`", shape (G,).

    Entry t is the capital after t + 1 units. It is infinite once the claim is impossible (without
    replacement only: even if every case that is left had the lowest value).

    Args:
        units: What was seen, in the order of drawing.
        mean: The claim, in [low, high].
        finite: Whether the claim is about the suite's own mean and the order a random one; otherwise it is
            about the population that the clusters are drawn from (cases weigh alike in both).
    """
    import numpy as np

    totals, sizes, suite = units.clusters.totals, units.clusters.sizes, units.suite
    surplus = totals - mean * sizes
    expected = np.zeros(len(surplus))
    if finite:
        earlier = np.cumsum(surplus) - surplus
        expected = -earlier / np.arange(suite.groups, suite.groups - len(surplus), -1)
    # A bet of 1 risks everything on the lowest value. With clusters of several sizes it is scaled by the
    # whole range instead, which is less bold, but keeps the capital falling in `mean`.
    reach = (mean - units.low) if suite.equal else (units.high - units.low)
    stake = np.maximum(suite.largest * reach + (expected if suite.equal else 0.0), 0.0)
    gain = surplus - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(stake > _ROUNDING, gain / stake, np.where(gain > _ROUNDING, np.inf, 0.0))
    ratio = np.maximum(ratio, -1.0)
    shares = bets(suite.groups)
    growth = np.cumsum(np.log1p(shares[:, None] * ratio[None, :]), axis=1) - math.log(len(shares))
    top = growth.max(axis=0)
    with np.errstate(invalid="ignore"):
        capital = np.where(np.isinf(top), top, top + np.log(np.exp(growth - top).sum(axis=0)))
    if finite:
        seen = np.cumsum(sizes)
        needed = mean * suite.cases - np.cumsum(totals)
        refuted = needed < units.low * (suite.cases - seen) - _ROUNDING * suite.cases
        capital = np.where(np.logical_or.accumulate(refuted), np.inf, capital)
    return np.asarray(capital, dtype=np.float64)


def anytime_lower(units: Units, *, level: float, finite: bool = False) -> float:
    """Return the lower bound of the mean after everything seen, wrong at any time with probability ≤ level.

    Args:
        units: What was seen, in the order of drawing.
        level: Error probability over the whole sequence, in (0, 1).
        finite: See `log_capital`.
    """
    if not len(units.clusters):
        return units.low
    limit = -math.log(level)

    def refuted(mean: float) -> bool:
        return bool(log_capital(units, mean, finite=finite).max() >= limit)

    low, high = units.low, units.high
    if not refuted(low):
        return low
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def anytime_upper(units: Units, *, level: float, finite: bool = False) -> float:
    """Return the upper bound of the mean; see `anytime_lower`."""
    return -anytime_lower(units.mirrored, level=level, finite=finite)


def anytime_interval(units: Units, *, level: float, finite: bool = False) -> tuple[float, float]:
    """Return (lower, upper) for the mean, each wrong at any time with probability at most `level`."""
    return (
        anytime_lower(units, level=level, finite=finite),
        anytime_upper(units, level=level, finite=finite),
    )


def bets(groups: int) -> NDArray[np.float64]:
    """Return the bets that the capital is spread over, as shares of one that risks it all, shape (24,).

    The boldest pays when nothing changes at all; the most timid is the best one for a suite of this size
    in which the sequence only just reaches its end.
    """
    import numpy as np

    timid = min(0.5, 1.0 / math.sqrt(max(groups, 1)))
    return np.geomspace(timid, 0.999, _BETS)
