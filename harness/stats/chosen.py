"""The best of K checkpoints, and how much better it is: corrected for having been chosen on the same cases.

The highest of twenty equal means lies well above their common truth. Two things follow.

**The interval** holds for all K checkpoints at once, so also for the one that is chosen, whatever it is
chosen by. The level of a single comparison is what makes the K of them together hold, given how they are
correlated: they share their cases and the baseline, so twenty sisters that hardly differ cost little more
than one. The bound at that level is Gaffke's, which needs no normality.

**The estimate** is the median-unbiased one given that the chosen checkpoint came out on top: the difference
at which its lead would be above what was seen half of the time, among samples in which it leads. Where it
leads by far it is the plain difference, where it barely leads it is well below. It is kept within the
interval. With few cases part of the excess is left: the normal law that it is reckoned with knows the spread
no better than the cases do.

The bad luck of a shared baseline is in every difference alike. No correction removes it; the interval allows
for it. Cases that had no part in the choice need no correction at all (`is_held_out`).

Sources: Andrews, Kitagawa & McCloskey, "Inference on winners", Quarterly Journal of Economics 139:305–358
(2024), for the estimate; Hothorn, Bretz & Westfall, Biometrical Journal 50:346–363 (2008), for levels under
correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from harness.stats.bounded import bounded_interval
from harness.stats.draws import standard_normals
from harness.stats.flip_tail import lattice_unit
from harness.stats.quantiles import normal_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Choice", "choose", "is_held_out"]

_DRAWS = 1 << 14
_SEED = 1
_BISECTIONS = 60
_FARTHEST = 12.0  # standard errors below what was seen that the estimate is looked for
_SAME = 1e-9


@dataclass(frozen=True)
class Choice:
    """What the chosen checkpoint's lead over the baseline is worth. Differences in [−1, 1].

    Attributes:
        chosen: Its position.
        candidates: How many there were to choose from.
        difference: Mean difference as seen, without a correction.
        corrected: Median-unbiased given the choice, within the interval.
        interval: Two-sided at 1 − alpha, for all candidates at once.
        level: Of each of its bounds as a single one-sided bound; alpha/2 for one candidate.
    """

    chosen: int
    candidates: int
    difference: float
    corrected: float
    interval: tuple[float, float]
    level: float


def choose(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, alpha: float, chosen: int | None = None
) -> Choice:
    """Correct the difference of a chosen checkpoint from the baseline.

    Args:
        totals: Sum of the differences from the baseline by checkpoint and cluster, weighted where cases weigh
            differently, shape (K, G).
        sizes: Sum of the weights of each cluster's cases, shape (G,).
        alpha: Chance that the interval of any of the K misses, in (0, ½).
        chosen: Position of the one that was chosen; None: the highest mean, the first of equals.
    """
    weight = float(sizes.sum())
    means = totals.sum(axis=1) / weight
    best = int(means.argmax()) if chosen is None else chosen
    groups = len(sizes)
    residuals = totals - means[:, None] * sizes
    covariance = residuals @ residuals.T * groups / max(groups - 1, 1) / weight**2
    level = _level(covariance, alpha)
    interval = bounded_interval(totals[best], sizes, level=level, low=-1.0, high=1.0)
    corrected = (
        _median_unbiased(means, covariance, best, _step(totals) / weight) if groups > 1 else means[best]
    )
    return Choice(
        chosen=best,
        candidates=len(means),
        difference=float(means[best]),
        corrected=min(max(float(corrected), interval[0]), interval[1]),
        interval=interval,
        level=level,
    )


def is_held_out(cluster: str, *, share: float = 0.5) -> bool:
    """Whether a cluster's cases are kept from the choice, to estimate on: by its name, in every run."""
    return int.from_bytes(sha256(cluster.encode()).digest()[:8], "big") < share * 2.0**64


def _level(covariance: NDArray[np.float64], alpha: float) -> float:
    """Return the one-sided level of single bounds of which any is wrong with probability alpha/2."""
    import numpy as np

    count = len(covariance)
    if count == 1:
        return alpha / 2.0
    deviations = np.sqrt(np.diag(covariance))
    varies = deviations > _SAME
    scale = np.where(varies, deviations, 1.0)
    correlation = covariance / np.outer(scale, scale)
    # What does not vary in the sample counts as one more independent comparison.
    correlation[~varies, :] = correlation[:, ~varies] = 0.0
    root = np.linalg.cholesky(np.where(np.eye(count) > 0.0, 1.0 + 1e-9, correlation))
    normal = standard_normals(np.random.PCG64(_SEED), (_DRAWS, count))
    highest = float(np.quantile((normal @ root.T).max(axis=1), 1.0 - alpha / 2.0))
    return min(max(normal_tail(highest), alpha / 2.0 / count), alpha / 2.0)


def _median_unbiased(
    means: NDArray[np.float64], covariance: NDArray[np.float64], best: int, step: float
) -> float:
    """Return the mean at which the best is as likely above as below what was seen, given that it leads.

    Args:
        means: Of all candidates, shape (K,).
        covariance: Of the means, shape (K, K).
        best: Position of the chosen one; candidates with a higher mean had no part in the choice.
        step: By how much means differ at least where they differ: a lead is known to within half of it.
    """
    variance = float(covariance[best, best])
    if variance <= _SAME**2:
        return float(means[best])
    least = -math.inf
    for other in range(len(means)):
        slope = float(covariance[other, best]) / variance
        if other == best or means[other] > means[best] or slope >= 1.0 - _SAME:
            continue
        # What of the other's mean does not move with the best one's decides from where on the best leads.
        apart = float(means[other]) - slope * float(means[best]) - step / 2.0
        least = max(least, apart / (1.0 - slope))
    error, seen = math.sqrt(variance), float(means[best])

    def is_below(mean: float) -> bool:
        above, leading = normal_tail((seen - mean) / error), normal_tail((least - mean) / error)
        return above < leading / 2.0

    low, high = seen - _FARTHEST * error, seen
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _step(totals: NDArray[np.float64]) -> float:
    import numpy as np

    changed = np.abs(totals[np.abs(totals) > _SAME])
    return (lattice_unit(changed) or 0.0) if len(changed) else 0.0
