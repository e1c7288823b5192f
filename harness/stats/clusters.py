"""Means of cases that come in clusters: standard errors that count clusters, not cases."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import exact_proportion_bound
from harness.stats.bounded import bounded_interval

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
    """Return the bounds of a mean score in [0, 1], each one-sided at `level`, for any distribution.

    Right-or-wrong scores of independent cases, or copies of them: Clopper–Pearson. Otherwise Gaffke's bound
    over clusters, which is the same for right-or-wrong scores. One cluster of several cases says nothing:
    (0, 1).
    """
    grouped = group(scores, clusters)
    if is_single_answers(grouped):
        return exact_proportion_bound(float((grouped.totals > 0.0).sum()), len(grouped), level=level)
    if len(grouped) < 2:
        return 0.0, 1.0
    return bounded_interval(grouped.totals, grouped.sizes, level=level, low=0.0, high=1.0)
