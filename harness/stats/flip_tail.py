"""The p-value of a sign-flip test without a draw: how a sum is spread whose terms change sign at random.

If two checkpoints are equally good, each cluster's sum of differences is as likely to have the other sign.
The p-value is the probability that the total comes out as low as it did. It is computed, not sampled:

- few clusters: every pattern of signs;
- values on a lattice (right or wrong, means over k samples, grades with two decimals): term by term, exactly;
- a few large values among many small ones: the large ones like this, the small ones by their normal limit;
- many values of which none stands out: Edgeworth's expansion, to within 2e-5.

So it depends on the values alone, neither on their order nor on a seed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.stats.quantiles import normal_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ENUMERATED", "effective_count", "flip_p_value", "lattice_unit", "total_p_value"]

ENUMERATED = 13
"""Up to this many clusters every pattern weighs so much that ties with the observed one count in full."""

_ALL_PATTERNS = 14  # up to this many values that are not 0, every pattern is looked at
_NORMAL_FROM = 100.0  # so many equal values' worth, and Edgeworth's expansion is off by less than 2e-5
_ALL_LARGE = 64  # with more values than this, those with less than this share of the variance are the rest
_SMALL = 1.0 / 2_000.0
_LATTICE_POINTS = 1 << 17
_QUICK, _LATTICE_WORK = 2_000_000, 100_000_000  # additions: what is always spent, and where nothing else does
_GRID_STEPS, _FINEST_STEPS = 256, 4_096  # per standard deviation: of 64 values and more, and of few
_DECIMALS = 12  # sums of floats that differ by less are equal


def flip_p_value(totals: NDArray[np.float64]) -> float:
    """Return the one-sided p-value for a drop: how likely random signs make the total as low as it is.

    Patterns that tie with the observed one count half, as in McNemar's mid-p; in full where there are at
    most `ENUMERATED` clusters. Where nothing changed there is no evidence, and the value is 1. Beyond four
    standard deviations only its order of magnitude is meant.

    Args:
        totals: Sum of the differences of each cluster, shape (G,).
    """
    ties = 1.0 if len(totals) <= ENUMERATED else 0.5
    return total_p_value(math.fsum(totals), totals, ties=ties)


def total_p_value(total: float, sizes: NDArray[np.float64], *, ties: float = 0.5) -> float:
    """Return the probability that Σ ± size lies below `total`, and `ties` times that of hitting it.

    Args:
        total: What was observed, one of the values that the sum can have.
        sizes: What each term adds or takes away, of either sign, shape (G,). Without any that is not 0 the
            value is 1.
        ties: What a pattern weighs that ties with the observed one.
    """
    import numpy as np

    terms = np.sort(np.round(np.abs(sizes), _DECIMALS))[::-1]  # one order for every order of the cases
    sizes = np.asarray(terms[terms > 0.0], dtype=np.float64)
    if not len(sizes):
        return 1.0
    if total > 0.0 and ties == 0.5:
        return 1.0 - total_p_value(-total, sizes)  # the two sides mirror each other exactly
    variance = float(sizes @ sizes)
    large, small = sizes, sizes[:0]
    if len(sizes) > _ALL_PATTERNS:
        unit = lattice_unit(sizes)
        if unit is None or _work(sizes, unit) > _QUICK:
            if effective_count(sizes) >= _NORMAL_FROM:
                return _edgeworth(total, sizes, unit)
            if len(sizes) > _ALL_LARGE:
                large, small = sizes[sizes**2 > _SMALL * variance], sizes[sizes**2 <= _SMALL * variance]
    sums, shares = _distribution(large, math.sqrt(variance))
    rest = math.sqrt(float(small @ small))
    return min(max(_share_below(total, sums, shares, rest, ties), 0.0), 1.0)


def effective_count(values: NDArray[np.float64]) -> float:
    """Return how many equal values would vary as much under flips: (Σ v²)² / Σ v⁴; 0 without any."""
    squares = values * values
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth > 0.0 else 0.0


def lattice_unit(sizes: NDArray[np.float64]) -> float | None:
    """Return the largest unit that all positive sizes are multiples of; None where there is no coarse one.

    Equal to within 1e-7 of the largest size: far above the float errors of means over k samples, and too
    little for other numbers to have such a unit by accident.
    """
    import numpy as np

    largest = float(sizes.max())
    scaled = sizes / largest
    finest = float(scaled.sum()) / _LATTICE_POINTS
    unit = 0.0
    for size in np.unique(np.round(scaled, 9)).tolist():
        unit = _common_divisor(unit, size)
        if unit < finest:
            return None
    counts = np.round(scaled / unit)
    unit = float(scaled @ counts) / float(counts @ counts)  # without the rounding of single values
    return unit * largest if bool((np.abs(scaled - counts * unit) <= 1e-7).all()) else None


def _common_divisor(first: float, second: float) -> float:
    """Return the greatest common divisor of two floats that are multiples of one to within 1e-7."""
    while second > 1e-7:
        first, second = second, abs(first - second * round(first / second))
    return first


def _work(sizes: NDArray[np.float64], unit: float) -> float:
    """Return how many additions the exact distribution takes on a lattice."""
    return len(sizes) * float(sizes.sum()) / unit


def _distribution(
    sizes: NDArray[np.float64], deviation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the values that Σ ± size can have, rising, and their probabilities.

    Exact for few values and on a lattice. Otherwise on a grid that is finer the fewer values there are, each
    value split between its two neighbours so that the mean stays. What that adds to the variance is taken
    back by drawing the grid together.
    """
    import numpy as np

    if len(sizes) <= _ALL_PATTERNS:
        sums = np.zeros(1)
        for size in sizes.tolist():
            sums = np.concatenate([sums - size, sums + size])
        values, counts = np.unique(np.round(sums, _DECIMALS), return_counts=True)
        return values, counts / len(sums)
    unit = lattice_unit(sizes)
    if unit is not None and _work(sizes, unit) <= _LATTICE_WORK:
        # Σ ± k = 2 Y − Σ k, where each k is part of Y or is not.
        shares = np.ones(1)
        for count in np.round(sizes / unit).astype(int).tolist():
            longer = np.zeros(len(shares) + count)
            longer[: len(shares)] = shares
            longer[count:] += shares
            shares = longer / 2.0
        return np.asarray(unit * (2.0 * np.arange(len(shares)) - (len(shares) - 1)), np.float64), shares
    step = deviation / min(_GRID_STEPS * max(64.0 / len(sizes), 1.0) ** 2, _FINEST_STEPS)
    shares, variance, added = np.ones(1), 0.0, 0.0
    for size in (sizes / step).tolist():
        whole = math.floor(size)
        part = size - whole
        variance, added = variance + size * size, added + part * (1.0 - part)
        reach = whole + 1
        longer = np.zeros(len(shares) + 2 * reach)
        for shift, weight in ((whole, 1.0 - part), (reach, part)):
            for start in (reach - shift, reach + shift):
                longer[start : start + len(shares)] += weight / 2.0 * shares
        shares = longer
    step *= math.sqrt(variance / (variance + added))
    return np.asarray(step * (np.arange(len(shares)) - (len(shares) - 1) / 2.0), np.float64), shares


def _share_below(
    total: float, sums: NDArray[np.float64], shares: NDArray[np.float64], rest: float, ties: float
) -> float:
    """Return P(sum + rest < total) + ties · P(sum + rest = total), with a normal rest of that deviation."""
    import numpy as np

    tolerance = 1e-9 * max(abs(float(sums[0])), abs(float(sums[-1])), 1e-300)
    if rest <= tolerance:
        below = int(sums.searchsorted(total - tolerance, side="left"))
        through = int(sums.searchsorted(total + tolerance, side="right"))
        return math.fsum(shares[:below]) + ties * math.fsum(shares[below:through])
    distances = (total - sums) / rest
    certain = distances > 9.0
    near = np.flatnonzero(np.abs(distances) <= 9.0)
    blurred = (
        share * normal_tail(-distance) for share, distance in zip(shares[near], distances[near], strict=True)
    )
    return math.fsum(shares[certain]) + math.fsum(blurred)


def _edgeworth(total: float, sizes: NDArray[np.float64], unit: float | None) -> float:
    """Return the mid-p by the expansion around the normal limit up to the sixth cumulant.

    On a lattice the sum of point masses is a trapezoidal sum of the expansion, and exceeds its integral by
    h²/12 times the slope of the density, with h the distance of the points.

    Source: Kolassa, "Series approximation methods in statistics" (2006), ch. 3.
    """
    variance = float((sizes**2).sum())
    fourth = -2.0 * float((sizes**4).sum()) / variance**2
    sixth = 16.0 * float((sizes**6).sum()) / variance**3
    x = total / math.sqrt(variance)
    density = math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)
    third, fifth = x**3 - 3.0 * x, x**5 - 10.0 * x**3 + 15.0 * x
    seventh = x**7 - 21.0 * x**5 + 105.0 * x**3 - 105.0 * x
    plain = normal_tail(-x)
    change = -density * (fourth / 24.0 * third + sixth / 720.0 * fifth + fourth**2 / 1152.0 * seventh)
    if unit is not None:
        change += (2.0 * unit) ** 2 / variance / 12.0 * -x * density
    return max(plain + change, plain / 2.0)
