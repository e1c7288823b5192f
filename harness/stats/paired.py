"""One comparison of two checkpoints on the same cases: estimate, interval, p-value, power."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.stats.adjusted import Sample, adjusted_difference
from harness.stats.binary import SCORE_FROM, mcnemar_p, tango_interval
from harness.stats.clusters import (
    FEW_CHANGED,
    Clusters,
    cluster_standard_error,
    effective_changes,
    group,
    is_single_answers,
)
from harness.stats.power import Spread
from harness.stats.sign_flips import FlipTest, sign_flips
from harness.stats.skewed import Moments, moments, skew_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OF_SINGLE_ANSWERS", "SAME", "Comparison", "compare_pairs", "with_adjustment"]

SAME = 1e-12
"""Scores that differ by no more than this are equal: what sums of floats leave behind."""

BINARY = "McNemar's score test, Tango's score interval"
FEW_BINARY = "mid-p McNemar test, Tango's score interval"
OF_SINGLE_ANSWERS = (BINARY, FEW_BINARY)
"""The methods of right-or-wrong answers; every other one is of scores that may change by less."""
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
        adjusted_delta: Over the whole suite, when only a random part of it was asked: standard error,
            interval, bounds and p-value are then of this estimate.
        variance_reduction: Share of the variance that this takes away.
        looked_early: Whether one looked before all cases were in: the p-value allows for that, the
            differences by themselves do not.
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
    adjusted_delta: float | None = None
    variance_reduction: float | None = None
    looked_early: bool = False


def compare_pairs(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float,
    single: bool = True,
) -> Comparison:
    """Compare paired scores.

    Args:
        candidate: Scores in [0, 1], shape (n,), n ≥ 1.
        baseline: Scores of the same cases in the same order, shape (n,).
        clusters: Cluster of each case; None makes each case its own.
        alpha: Level of the one-sided bounds and of the two-sided interval.
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
    up, down = int((grouped.totals > SAME).sum()), int((grouped.totals < -SAME).sum())
    if single and is_single_answers(group(candidate, clusters), group(baseline, clusters)):
        interval = tango_interval(up, down, groups, level=alpha / 2)
        bounds = tango_interval(up, down, groups, level=alpha)
        p_value = mcnemar_p(up, down, groups)
        method = BINARY if groups >= SCORE_FROM else FEW_BINARY
        # Treating a drop as changes of full size is no worst case here: there are no others.
        spread = Spread(n, groups, (up + down) / groups, measured=False)
    else:
        flips = sign_flips(grouped.totals, grouped.sizes)
        p_value, method = flips.p_value, f"{FLIPS} ({flips.described})"
        found = moments(grouped.totals, grouped.sizes)
        measured = up + down >= FEW_CHANGED and error is not None
        tested = _tested(flips, found, alpha)
        interval = _unseen(_tested(flips, found, alpha / 2), grouped, alpha / 2)
        # A drop is shown by what was seen; it is ruled out only if what was not seen is thought of as well.
        bounds = _unseen(tested, grouped, alpha)[0], tested[1]
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


def with_adjustment(comparison: Comparison, sample: Sample, *, alpha: float) -> Comparison:
    """Return the comparison for the whole suite that its pairs are a random part of.

    It stays as it is where the part is too small for that, or is the whole. What it rules out never exceeds
    what the pairs alone rule out where few of them changed: a regression of nothing has no residuals.
    """
    found = adjusted_difference(sample)
    if found is None:
        return comparison
    n = len(sample.candidate)
    clusters = None if sample.clusters is None else sample.clusters[:n]
    changes = group(sample.candidate - sample.baseline[:n], clusters).totals
    interval, bounds = found.bounds(alpha / 2), found.bounds(alpha)
    spread = comparison.spread
    if effective_changes(changes) < FEW_CHANGED:
        interval = _hull(interval, comparison.interval)
        bounds = min(bounds[0], comparison.bounds[0]), bounds[1]
    else:
        left = max(1.0 - found.reduction, 0.0)
        spread = replace(spread, square=spread.square * left, measured=True)
    return replace(
        comparison,
        standard_error=found.error,
        interval=interval,
        bounds=bounds,
        p_value=found.p_value,
        method=f"regression estimate of a suite of {len(sample.baseline):,} cases, Student's t",
        spread=spread,
        adjusted_delta=found.delta,
        variance_reduction=found.reduction,
    )


def _tested(flips: FlipTest, found: Moments | None, level: float) -> tuple[float, float]:
    """Return the bounds of the test; where the differences are skewed beyond chance they also cover Hall's.

    Flipping signs presumes that rises and falls look alike.
    """
    bounds = flips.bounds(level)
    if found is not None and found.is_skewed:
        bounds = _hull(bounds, skew_bounds(found, level))
    return max(bounds[0], -1.0), min(bounds[1], 1.0)


def _unseen(bounds: tuple[float, float], grouped: Clusters, level: float) -> tuple[float, float]:
    """Return bounds that allow for changes of full size not seen yet, where a few make the whole spread."""
    import numpy as np

    if effective_changes(grouped.totals) >= FEW_CHANGED:
        return bounds
    averages = grouped.totals / grouped.sizes
    up, down = float(np.maximum(averages, 0.0).sum()), float(np.maximum(-averages, 0.0).sum())
    return _hull(bounds, tango_interval(up, down, len(grouped), level=level))


def _hull(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(first[0], second[0]), max(first[1], second[1])
