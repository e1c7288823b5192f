"""One comparison of two checkpoints on the same cases: estimate, interval, p-value, power."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import mcnemar_mid_p, tango_interval
from harness.stats.clusters import FEW_CHANGED, cluster_standard_error, group
from harness.stats.flips import sign_flips
from harness.stats.power import Spread

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
        interval, bounds, p_value = flips.bounds(alpha / 2), flips.bounds(alpha), flips.p_value
        method = FLIPS + (" (every pattern)" if flips.exact else f" ({flips.patterns - 1:,} draws)")
        up, down = int((grouped.totals > SAME).sum()), int((grouped.totals < -SAME).sum())
        measured = up + down >= FEW_CHANGED and error is not None
        if not measured:
            # Too few changes to know their spread: also allow for changes of full size (hull of both).
            interval = _hull(interval, tango_interval(up, down, groups, level=alpha / 2))
            bounds = _hull(bounds, tango_interval(up, down, groups, level=alpha))
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


def _hull(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(first[0], second[0]), max(first[1], second[1])
