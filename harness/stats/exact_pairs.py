"""Which drops right-or-wrong answers exclude: an exact test of paired proportions.

Of n cases `improved` are right under the candidate alone and `worsened` under the baseline alone. Tango's
score interval takes its statistic for normal; with few discordant cases it excludes a drop of 10 points in 7
of 100 suites of 30 cases in which there is just that drop. Here the statistic orders the outcomes, and the
p-value is the largest probability, over every share of discordant cases that the claimed drop allows, of an
outcome at least as far from it. So the level holds for every n, and little is lost: with 100 cases it is
Tango's interval but for a hair.

Source: Barnard, Biometrika 34:123–138 (1947), for maximising over the nuisance parameter; Tango, Statistics
in Medicine 17:891–908 (1998), for the statistic; Lloyd & Moldovan, Statistics in Medicine 26:2821–2834
(2007), for paired proportions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.stats.binary import tango_interval
from harness.stats.quantiles import normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["paired_drop_p", "paired_lower"]

_NUISANCES = 80
_REFINED = 12
_REACH = 9.0  # standard deviations of the number of discordant cases; what lies beyond has no weight
_TIE = 1e-9
_CLOSE = 1e-5
_MOST_STEPS = 40


def paired_drop_p(improved: int, worsened: int, n: int, drop: float) -> float:
    """Return the p-value of "the mean falls by at least `drop`": small where such a drop is excluded.

    Args:
        improved: Cases that the candidate alone gets right.
        worsened: Cases that the baseline alone gets right.
        n: All cases, at least 1.
        drop: The claim, in (−1, 1); negative for a rise.
    """
    import numpy as np

    if not -1.0 < drop < 1.0:
        return 1.0 if drop <= -1.0 or worsened == n else 0.0
    limits = _most_worsened(n, -drop, float(_statistic(improved, worsened, n, -drop)))
    # Closer together where few cases are discordant: there the probability varies on the scale of 1/n.
    shares = (np.arange(_NUISANCES) / (_NUISANCES - 1)) ** 2
    p_values = _at_least_as_far(n, drop, shares, limits)
    highest = int(p_values.argmax())
    near = np.linspace(shares[max(highest - 1, 0)], shares[min(highest + 1, _NUISANCES - 1)], _REFINED + 2)
    refined = _at_least_as_far(n, drop, near[1:-1], limits)
    return min(max(float(p_values[highest]), float(refined.max())), 1.0)


def paired_lower(improved: int, worsened: int, n: int, *, level: float) -> float:
    """Return the lower bound of the difference of two paired proportions, one-sided at `level`.

    Found by inverting `paired_drop_p`, to within 1e-5, from Tango's bound on.
    """
    target = normal_quantile(level)

    def distance(drop: float) -> float:
        p_value = paired_drop_p(improved, worsened, n, drop)
        return normal_quantile(min(max(p_value, 1e-15), 1.0 - 1e-15)) - target

    excluded, kept = 1.0, -1.0
    distances = [distance(excluded), 8.0]
    if distances[0] > 0.0:  # every case was lost
        return -1.0
    drop = -tango_interval(improved, worsened, n, level=level)[0]
    for step in range(_MOST_STEPS):
        drop = min(max(drop, kept + _CLOSE / 2.0), excluded - _CLOSE / 2.0)
        found = distance(drop)
        if found > 0.0:
            kept, distances[1] = drop, found
        else:
            excluded, distances[0] = drop, found
        if excluded - kept <= _CLOSE:
            break
        if step == 0:  # the exact bound lies within a hair of Tango's
            drop += 0.02 * (1.0 - abs(drop)) * (1.0 if found > 0.0 else -1.0)
        elif step % 4 == 3:
            drop = (excluded + kept) / 2.0
        else:
            drop = excluded + (kept - excluded) * distances[0] / (distances[0] - distances[1])
    return -excluded


def _statistic(
    improved: NDArray[np.float64] | int, worsened: NDArray[np.float64] | int, n: int, delta: float
) -> NDArray[np.float64]:
    """Return Tango's score statistic of "the difference is `delta`", for many outcomes at once."""
    import numpy as np

    better, worse = np.asarray(improved, dtype=np.float64), np.asarray(worsened, dtype=np.float64)
    linear = -better - worse + (2.0 * n - better + worse) * delta
    constant = -worse * delta * (1.0 - delta)
    root = np.sqrt(np.maximum(linear * linear - 8.0 * n * constant, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of the two spellings of the larger root, the one that does not subtract nearly equal numbers.
        other = np.where(root + linear > 0.0, -2.0 * constant / (root + linear), 0.0)
        share = np.where(linear <= 0.0, (root - linear) / (4.0 * n), other)
        variance = n * (2.0 * share + delta * (1.0 - delta))
        distance = better - worse - n * delta
        value = distance / np.sqrt(np.maximum(variance, 0.0))
    return np.where(variance > 0.0, value, np.where(distance == 0.0, 0.0, np.copysign(np.inf, distance)))


def _most_worsened(n: int, delta: float, observed: float) -> NDArray[np.float64]:
    """Return, for 0 to n discordant cases, how many may have worsened for the statistic to reach `observed`.

    −1 where it does not even if none has.
    """
    import numpy as np

    discordant = np.arange(n + 1, dtype=np.float64)
    low, high = np.full(n + 1, -1.0), discordant.copy()
    for _ in range(n.bit_length() + 1):  # the statistic falls as more of the same number have worsened
        middle = np.ceil((low + high) / 2.0)
        reaches = (middle < 0.0) | (_statistic(discordant - middle, middle, n, delta) >= observed - _TIE)
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle - 1.0)
    return low


def _at_least_as_far(
    n: int, drop: float, shares: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability of an outcome within the limits, for each share of discordant cases.

    Args:
        n: Cases.
        drop: How much more often cases worsen than improve.
        shares: Where the number of discordant cases lies between the fewest and the most that the drop
            allows, in [0, 1], shape (s,).
        limits: By number of discordant cases, the most that may have worsened, shape (n + 1,).
    """
    import numpy as np
    from scipy.special import bdtr, gammaln

    common = shares * (1.0 - abs(drop)) / 2.0
    discordant = np.clip(2.0 * common + abs(drop), 1e-300, 1.0 - 1e-16)
    reach = _REACH * np.sqrt(n * discordant * (1.0 - discordant)) + _REACH**2 / 2.0
    first = np.maximum(np.floor(n * discordant - reach), 0.0).astype(int)
    lengths = np.minimum(np.ceil(n * discordant + reach), n).astype(int) - first + 1
    # One row after the other in a single array: (share, number of discordant cases).
    ends = np.cumsum(lengths)
    row = np.repeat(np.arange(len(shares)), lengths)
    counts = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths) + first[row]
    logarithm = gammaln(n + 1.0) - gammaln(counts + 1.0) - gammaln(n - counts + 1.0)
    logarithm += counts * np.log(discordant)[row] + (n - counts) * np.log1p(-discordant)[row]
    worse = np.minimum((common + max(drop, 0.0)) / discordant, 1.0)
    most = limits[counts]
    tails = np.where(most >= 0.0, bdtr(np.maximum(most, 0.0), counts, worse[row]), 0.0)
    return np.asarray(np.bincount(row, weights=np.exp(logarithm) * tails, minlength=len(shares)), np.float64)
