"""Bounds of a mean that hold for every distribution on an interval, also with rare collapses.

Student's t believes the spread that it sees. Twenty equal scores, or twenty that differ by a millionth, prove
nothing about a collapse in one case of ten, and t excludes it. What holds always needs the ends of the scale.

**Gaffke's bound.** Add one value at the end of the scale that would hurt, give all values random weights that
sum to 1 (uniform on the simplex), and take the quantile of the weighted mean. For right-or-wrong scores this
is Clopper and Pearson's bound; for equal values x it excludes what would have shown with probability 1 −
level, as in (1 − drop)ⁿ; for many values it approaches Student's. It is proven for right-or-wrong scores, and
conjectured in general since 2005, without a counterexample in any search, ours included
(`benchmarks/exclusion_rule.py`). What is proven in general, betting and empirical Bernstein bounds, needs
about twice the cases (docs/decisions).

**Clusters.** A unit is a cluster, and the mean is of cases. "The mean is at most m" says that a cluster's
total less m times its size is at most 0 on average, and that is a mean of independent values again; the value
that is added is the worst that the largest cluster could show.

Nothing is drawn: the weights are exponential variables over their sum, so the p-value is the probability that
a weighted sum of exponential variables is at most 0, which is an integral of a product of simple factors.

Sources: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable", Mathematical Methods of Statistics 14:451–467 (2005); Learned-Miller & Thomas, arXiv:1905.06208
(2019); Phan, Thomas & Learned-Miller, ICML (2021), for what can be proven.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.stats.quantiles import normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["bounded_interval", "bounded_lower", "bounded_upper", "mean_at_most_p"]

_STEP, _FARTHEST = 0.1, 12.0  # of the integral, on a scale that is stretched towards the tails
_NEGLIGIBLE = 36.0  # logarithm of what the integrand may have fallen by where the integral ends
_SADDLE_BISECTIONS = 60
_MOST_VALUES = 1_000  # more values than these are put into so many bins, each with the mean of its values
_CLOSE = 1e-7  # how far apart the two ends of a search for a bound may stay
_MOST_STEPS = 100
_TINY = 1e-9


def mean_at_most_p(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], mean: float, *, low: float
) -> float:
    """Return the p-value of "the mean is at most `mean`": small where a higher mean is shown.

    Args:
        totals: Sum of the values of each cluster, shape (G,).
        sizes: How many values each cluster has, shape (G,).
        mean: The claim, above `low`.
        low: The lowest value that a case can have.
    """
    import numpy as np

    surplus, counts = _counted(totals - mean * sizes)
    worst = (low - mean) * float(sizes.max())
    if worst > -_TINY:  # nothing can lie below the claim
        return 0.0 if surplus[-1] > _TINY else 1.0
    if surplus[-1] <= 0.0:
        return 1.0
    return _sum_at_most_zero(np.append(surplus, worst), np.append(counts, 1.0))


def bounded_lower(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, level: float, low: float, high: float
) -> float:
    """Return the lower bound of the mean, too high with probability at most `level`.

    Args:
        totals: Sum of the values of each cluster, shape (G,), G ≥ 1.
        sizes: How many values each cluster has, shape (G,).
        level: Error probability, in (0, ½].
        low: The lowest value that a case can have.
        high: The highest.
    """
    estimate = math.fsum(totals) / math.fsum(sizes)
    target = normal_quantile(level)

    def above(mean: float) -> float:
        # The normal quantile of the p-value is nearly linear in the claim.
        p_value = mean_at_most_p(totals, sizes, mean, low=low)
        return normal_quantile(min(max(p_value, 1e-15), 1.0 - 1e-15)) - target

    refuted, kept = low, min(max(estimate, low), high)
    distances = [normal_quantile(1e-15) - target, above(kept)]
    if distances[1] <= 0.0:  # all values are the highest that there are
        return kept
    moved = -1
    for _ in range(_MOST_STEPS):
        if kept - refuted <= _CLOSE:
            break
        middle = refuted + (kept - refuted) * distances[0] / (distances[0] - distances[1])
        # The Illinois rule: an end that stays twice counts half, so that both ends move. And a little off the
        # ends, so that the other one comes close as soon as one is.
        middle = min(max(middle, refuted + _CLOSE / 2.0), kept - _CLOSE / 2.0)
        distance = above(middle)
        end = int(distance > 0.0)
        refuted, kept = (refuted, middle) if end else (middle, kept)
        distances[end] = distance
        if moved == end:
            distances[1 - end] /= 2.0
        moved = end
    return refuted


def bounded_upper(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, level: float, low: float, high: float
) -> float:
    """Return the upper bound of the mean; see `bounded_lower`."""
    return -bounded_lower(-totals, sizes, level=level, low=-high, high=-low)


def bounded_interval(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, level: float, low: float, high: float
) -> tuple[float, float]:
    """Return both bounds of the mean, each one-sided at `level`."""
    return (
        bounded_lower(totals, sizes, level=level, low=low, high=high),
        bounded_upper(totals, sizes, level=level, low=low, high=high),
    )


def _counted(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distinct values, rising, and how often each occurs; of many values bins and their means.

    A thousand bins take less than 1e-6 off the variance.
    """
    import numpy as np

    distinct, counts = np.unique(np.round(values, 12), return_counts=True)
    if len(distinct) <= _MOST_VALUES:
        return distinct, counts.astype(np.float64)
    edges = np.linspace(distinct[0], distinct[-1], _MOST_VALUES + 1)
    bins = np.minimum(np.searchsorted(edges, distinct, side="right"), _MOST_VALUES)
    sizes = np.bincount(bins, weights=counts)
    sums = np.bincount(bins, weights=counts * distinct)
    return np.asarray(sums[sizes > 0.0] / sizes[sizes > 0.0]), np.asarray(sizes[sizes > 0.0], np.float64)


def _sum_at_most_zero(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return P(Σ value · E ≤ 0), where each value stands `count` times before an exponential variable E.

    The moment generating function is Π (1 − value·s)^−count. Its inversion integral is taken along the
    vertical line through the saddle point, where the integrand neither oscillates nor is large; the
    trapezoidal rule converges exponentially there. Both values and signs may be mixed, but not all of one
    sign.

    Source: Daniels, "Tail probability approximations", International Statistical Review 55:37–48 (1987).
    """
    import numpy as np

    is_left = float(values @ counts) > 0.0  # 0 lies in the left tail
    left, right = (1.0 / float(values.min()), 0.0) if is_left else (0.0, 1.0 / float(values.max()))
    for _ in range(_SADDLE_BISECTIONS):
        saddle = (left + right) / 2.0
        with np.errstate(divide="ignore"):
            slope = float((counts * values / (1.0 - values * saddle)).sum()) - 1.0 / saddle
        if slope < 0.0:
            left = saddle
        else:
            right = saddle
    if float((1.0 - values * saddle).min()) <= 0.0:  # the saddle point lies within rounding of a pole
        return 0.0 if is_left else 1.0
    curvatures = (values / (1.0 - values * saddle)) ** 2
    curvature = float(counts @ curvatures) + 1.0 / saddle**2
    width = 1.0 / math.sqrt(curvature)
    # It falls at least as (1 + x²/m)^(−m/2) at x widths, with m equal values' worth of curvature.
    equals = max(curvature**2 / (float(counts @ curvatures**2) + 1.0 / saddle**4), 1.0)
    farthest = math.asinh(math.sqrt(equals * math.expm1(min(2.0 * _NEGLIGIBLE / equals, 40.0))))
    nodes = np.arange(0.0, min(farthest, _FARTHEST) + _STEP, _STEP)
    line = saddle + 1j * width * np.sinh(nodes)
    logarithms = counts @ np.log(1.0 - values[:, None] * line[None, :])
    weights = width * np.cosh(nodes) * _STEP
    weights[0] /= 2.0
    tail = abs(float((np.exp(-logarithms) / line).real @ weights)) / math.pi
    return min(max(tail if is_left else 1.0 - tail, 0.0), 1.0)
