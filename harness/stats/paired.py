"""One comparison of two checkpoints on the same cases: estimate, interval, p-value, power."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import mcnemar_mid_p, tango_interval
from harness.stats.clusters import FEW_CHANGED, Clusters, cluster_standard_error, effective_changes, group
from harness.stats.flips import FlipTest, sign_flips
from harness.stats.power import Spread
from harness.stats.skewed import Moments, moments, skew_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SAME", "Comparison", "compare_pairs"]

SAME = 1e-12
"""Scores that differ by no more than this are equal: what sums of floats leave behind."""

BINARY = "mid-p McNemar test, Tango score interval"
FLIPS = "sign-flip permutation test and its inversion"


@dataclass(frozen=True)
class Comparison:
    """What n pairs say about candidate minus baseline; differences in [−1, 1].

    Attributes:
        n: Pairs.
        groups: Independent clusters among them.
        mean: Mean score of the candidate.
        baseline_mean: Mean score of the baseline.
        delta: Mean difference.
        standard_error: Cluster-robust; None with fewer than two clusters.
        interval: Two-sided at 1 − alpha.
        bounds: (lower, upper), each one-sided at alpha: what verdicts look at.
        p_value: One-sided, for a drop.
        improved: Pairs whose score rose.
        worsened: Pairs whose score fell.
        method: Test and interval, in words.
        spread: For power and sample size.
    """

    n: int
    groups: int
    mean: float
    baseline_mean: float
    delta: float
    standard_error: float | None
    interval: tuple[float, float]
    bounds: tuple[float, float]
    p_value: float
    improved: int
    worsened: int
    method: str
    spread: Spread


def compare_pairs(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float,
    seed: int = 0,
    single: bool = True,
) -> Comparison:
    """Compare paired scores.

    Args:
        candidate: Scores in [0, 1], shape (n,), n ≥ 1.
        baseline: Scores of the same cases in the same order, shape (n,).
        clusters: Cluster of each case; None makes each case its own.
        alpha: Level of the one-sided bounds and of the two-sided interval.
        seed: Of the permutation test's draws; results depend on the order of the cases with it.
        single: Whether a score is one answer rather than a mean of several, so that 0 and 1 mean wrong
            and right.
    """
    import numpy as np

    differences = candidate - baseline
    differences[np.abs(differences) <= SAME] = 0.0
    grouped = group(differences, clusters)
    n, groups = len(differences), len(grouped)
    improved, worsened = int((differences > 0).sum()), int((differences < 0).sum())
    delta = math.fsum(differences) / n
    error = cluster_standard_error(grouped)
    values = np.concatenate([candidate, baseline])
    if single and groups == n and bool(np.all((values == 0.0) | (values == 1.0))):
        interval = tango_interval(improved, worsened, n, level=alpha / 2)
        bounds = tango_interval(improved, worsened, n, level=alpha)
        p_value, method = mcnemar_mid_p(improved, worsened), BINARY
        # Treating a drop as changes of full size is no worst case here: there are no others.
        spread = Spread(n, groups, (improved + worsened) / n, measured=False)
    else:
        flips = sign_flips(grouped.totals, grouped.sizes, seed=seed)
        p_value, method = flips.p_value, f"{FLIPS} ({flips.described})"
        found = moments(grouped)
        up, down = int((grouped.totals > SAME).sum()), int((grouped.totals < -SAME).sum())
        measured = up + down >= FEW_CHANGED and error is not None
        interval, bounds = (_bounds(flips, found, grouped, level) for level in (alpha / 2, alpha))
        if found is not None and found.is_skewed:
            method += ", skewness corrected"
        square = n * error**2 + delta**2 if measured and error is not None else (up + down) / groups
        spread = Spread(n, groups, square, measured)
    return Comparison(
        n=n,
        groups=groups,
        mean=math.fsum(candidate) / n,
        baseline_mean=math.fsum(baseline) / n,
        delta=delta,
        standard_error=error,
        interval=interval,
        bounds=bounds,
        p_value=p_value,
        improved=improved,
        worsened=worsened,
        method=method,
        spread=spread,
    )


def _bounds(flips: FlipTest, found: Moments | None, grouped: Clusters, level: float) -> tuple[float, float]:
    """Return the bounds of the test, made wider where its symmetry or its sample cannot be trusted.

    Flipping signs presumes that rises and falls look alike. Where the differences are skewed beyond chance,
    the bounds also cover Hall's; where a few clusters make the whole spread, changes of full size that were
    not seen yet.
    """
    import numpy as np

    lower, upper = flips.bounds(level)
    if found is not None and found.is_skewed:
        low, high = skew_bounds(found, level)
        lower, upper = min(lower, low), max(upper, high)
    if effective_changes(grouped.totals) < FEW_CHANGED:
        up = float(np.maximum(grouped.totals / grouped.sizes, 0.0).sum())
        down = float(np.maximum(-grouped.totals / grouped.sizes, 0.0).sum())
        low, high = tango_interval(up, down, len(grouped), level=level)
        lower, upper = min(lower, low), max(upper, high)
    return max(lower, -1.0), min(upper, 1.0)
