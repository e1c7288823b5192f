"""Intervals for means of few or skewed values: what Student's t gets wrong, and what mends it.

Differences of graded scores are rarely symmetric: most cases barely move and a few collapse. The mean of
such values and its standard error are correlated, and Student's interval then misses on one side far more
often than it says. Hall's transformation takes the skewness out of the t statistic; it equals the
bootstrap-t interval to second order, without a draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.quantiles import student_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Moments", "moments", "skew_bounds", "student_bounds"]


@dataclass(frozen=True)
class Moments:
    """The mean of clustered values and what its t statistic needs.

    Attributes:
        groups: Clusters.
        mean: Mean of all values.
        error: Bias-reduced cluster-robust standard error of the mean (CR2).
        degrees: Its degrees of freedom, by Satterthwaite's approximation.
        skewness: Of the clusters' contributions to the mean.
    """

    groups: int
    mean: float
    error: float
    degrees: float
    skewness: float

    @property
    def is_skewed(self) -> bool:
        """Whether the skewness exceeds its own standard error √(6/G): less is what chance makes."""
        return abs(self.skewness) > math.sqrt(6.0 / self.groups)


def moments(totals: NDArray[np.float64], sizes: NDArray[np.float64]) -> Moments | None:
    """Return the moments of the mean; None for fewer than two clusters.

    With clusters of one size the error is that of `cluster_standard_error` and there are G − 1 degrees of
    freedom. One cluster that holds most cases leaves few: its residual says little of its own variance.

    Args:
        totals: Sum of the values of each cluster, shape (G,).
        sizes: How many values each cluster has, shape (G,).

    Source: Bell & McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
    samples", Survey Methodology 28:169–181 (2002), for a regression on a constant.
    """
    import numpy as np

    groups = len(totals)
    if groups < 2:
        return None
    n = float(sizes.sum())
    mean = math.fsum(totals) / n
    share = sizes / n
    residuals = totals - sizes * mean
    weights = 1.0 / np.maximum(1.0 - share, 1e-12)
    error = math.sqrt(float(weights @ residuals**2)) / n
    # Residuals under a working model of independent cases: variance of cluster g is size_g (1 − share_g),
    # covariance of g and h is −size_g share_h.
    variance = sizes * (1.0 - share)
    trace = float(weights @ variance)
    cross = weights * sizes**2 / n
    off = float(cross.sum()) ** 2 - float(cross @ cross)
    squares = float(((weights * variance) ** 2).sum()) + off
    centred = residuals - residuals.mean()
    spread = math.sqrt(float(centred @ centred) / groups)
    skewness = float((centred**3).mean()) / spread**3 if spread > 1e-12 else 0.0
    return Moments(groups, mean, error, trace**2 / squares, skewness)


def student_bounds(found: Moments, level: float) -> tuple[float, float]:
    """Return Student's bounds of the mean, each one-sided at `level`."""
    reach = student_quantile(1.0 - level, found.degrees) * found.error
    return found.mean - reach, found.mean + reach


def skew_bounds(found: Moments, level: float) -> tuple[float, float]:
    """Return the bounds of the mean, each one-sided at `level`, with the skewness taken out.

    Hall's cubic transformation g(t) = t + a·t² + a²·t³/3 + a/2 with a = skewness / (3√G) has no skewness to
    that order, and is monotone; Student's quantiles replace the normal ones.

    Source: Hall, "On the removal of skewness by transformation", JRSS B 54:221–228 (1992).
    """
    a = found.skewness / (3.0 * math.sqrt(found.groups))
    quantile = student_quantile(1.0 - level, found.degrees)

    def back(z: float) -> float:
        if abs(a) < 1e-9:
            return z
        return (math.copysign(abs(inner := 1.0 + 3.0 * a * (z - a / 2.0)) ** (1.0 / 3.0), inner) - 1.0) / a

    return found.mean - back(quantile) * found.error, found.mean - back(-quantile) * found.error
