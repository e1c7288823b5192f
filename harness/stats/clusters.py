"""Means of cases that come in clusters: standard errors that count clusters, not cases."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import exact_proportion_bound
from harness.stats.skewed import moments, skew_bounds, student_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FEW_CHANGED",
    "Clusters",
    "cluster_standard_error",
    "effective_changes",
    "group",
    "is_single_answers",
    "mean_interval",
]

FEW_CHANGED = 5
"""With fewer clusters than this away from the common value, the spread counts as not measured."""


@dataclass(frozen=True)
class Clusters:
    """Values summed by cluster.

    Attributes:
        totals: Sum of the values of each cluster, shape (G,).
        sizes: How many values each cluster has, shape (G,).
    """

    totals: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.totals)


def group(values: NDArray[np.float64], clusters: Sequence[Hashable] | None) -> Clusters:
    """Sum values by cluster, in order of first appearance; without clusters each value is its own."""
    import numpy as np

    if clusters is None:
        return Clusters(values.astype(np.float64), np.ones(len(values)))
    index: dict[Hashable, int] = {}
    codes = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], dtype=np.intp)
    totals = np.bincount(codes, weights=values, minlength=len(index)).astype(np.float64)
    return Clusters(totals, np.bincount(codes, minlength=len(index)).astype(np.float64))


def cluster_standard_error(clusters: Clusters) -> float | None:
    """Return the cluster-robust standard error of the mean of all values; None for fewer than 2 clusters.

    √(G/(G−1) Σ (total_g − size_g · mean)²) / n. With one value per cluster it is s/√n with n−1.

    Source: Liang & Zeger, Biometrika 73:13–22 (1986), with the G/(G−1) correction.
    """
    groups = len(clusters)
    if groups < 2:
        return None
    n = float(clusters.sizes.sum())
    mean = float(clusters.totals.sum()) / n
    residuals = clusters.totals - clusters.sizes * mean
    return math.sqrt(groups / (groups - 1) * float(residuals @ residuals)) / n


def is_single_answers(*sides: Clusters) -> bool:
    """Whether each cluster is one right-or-wrong answer: a single one, or as many copies as in any other.

    Copies of a case within its cluster then change nothing. A single cluster of several cases does not
    count: how much such a cluster can differ from another was not seen.
    """
    if len(sides[0]) == 1 and sides[0].sizes[0] > 1:
        return False
    return all(
        bool(
            (side.sizes == side.sizes[0]).all() and ((side.totals == 0.0) | (side.totals == side.sizes)).all()
        )
        for side in sides
    )


def effective_changes(totals: NDArray[np.float64]) -> float:
    """Return how many equal changes would vary as much as these: (Σ total²)² / Σ total⁴; 0 without any."""
    squares = totals * totals
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth > 0.0 else 0.0


def mean_interval(
    scores: NDArray[np.float64], clusters: Sequence[Hashable] | None, *, level: float
) -> tuple[float, float]:
    """Return the bounds of a mean score in [0, 1], each one-sided at `level`.

    Right-or-wrong scores of independent cases, or copies of them: Clopper–Pearson. Otherwise Student's t
    on the bias-reduced cluster-robust standard error, which one large cluster leaves few degrees of
    freedom; at least as wide as Hall's bounds where the scores are skewed beyond chance, and as
    Clopper–Pearson over the clusters while fewer than `FEW_CHANGED` of them differ from the common score.
    One cluster of several cases says nothing: (0, 1).
    """
    import numpy as np

    grouped = group(scores, clusters)
    n, groups = float(len(scores)), len(grouped)
    mean = float(scores.sum()) / n
    if is_single_answers(grouped):
        return exact_proportion_bound(float((grouped.totals > 0.0).sum()), groups, level=level)
    found = moments(grouped.totals, grouped.sizes)
    if found is None:
        return 0.0, 1.0
    lower, upper = student_bounds(found, level)
    if found.is_skewed:
        low, high = skew_bounds(found, level)
        lower, upper = min(lower, low), max(upper, high)
    averages = grouped.totals / grouped.sizes
    if int((np.abs(averages - np.median(averages)) > 1e-12).sum()) < FEW_CHANGED:
        exact_lower, exact_upper = exact_proportion_bound(mean * groups, groups, level=level)
        lower, upper = min(lower, exact_lower), max(upper, exact_upper)
    return max(lower, 0.0), min(upper, 1.0)
