"""What a comparison of this size can see, and how many cases would settle an open one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats.quantiles import normal_quantile

__all__ = ["POWER", "Spread", "cases_to_settle_drop", "cases_to_settle_floor", "minimum_detectable_drop"]

POWER = 0.8
_MOST_CASES = 10_000_000
_BISECTIONS = 60


@dataclass(frozen=True)
class Spread:
    """How much single differences vary.

    Attributes:
        n: Cases.
        groups: Independent clusters of cases.
        square: Mean square of a difference when nothing changes on average, per case and times the
            clusters' design effect. For right-or-wrong answers it is the share of discordant pairs.
        measured: False where too few cases changed to measure it; a drop is then thought of as made of
            changes of full size, which is the worst case.
    """

    n: int
    groups: int
    square: float
    measured: bool

    def under(self, drop: float) -> float:
        """Return the mean square of a difference if the mean falls by `drop`: never below what that needs."""
        return self.square if self.measured else max(self.square, drop)

    @property
    def effective(self) -> float:
        """How many independent cases there are to the worst-case reckoning: the clusters."""
        return float(self.n if self.measured else self.groups)


def minimum_detectable_drop(
    spread: Spread, *, margin: float, alpha: float, power: float = POWER
) -> float | None:
    """Return the smallest true drop that is blocked with probability `power`; None where no drop is.

    The observed drop must exceed both the margin and the critical value of a one-sided test at `alpha`
    (before any adjustment for other suites). Normal approximation with the variance under the null for
    the critical value and under the drop for its spread.

    Source: Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43:207–211 (1987), with a margin added.
    """
    if 2.0**-spread.groups > alpha:
        return None  # even if every cluster got worse, the test would not reject
    critical, quantile = normal_quantile(1.0 - alpha), normal_quantile(power)

    def is_seen(drop: float) -> bool:
        square = spread.under(drop)
        threshold = max(margin, critical * math.sqrt(square / spread.effective))
        noise = math.sqrt(max(square - drop * drop, 0.0) / spread.effective)
        return drop >= threshold + quantile * noise

    if not is_seen(1.0):
        return None
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_seen(middle) else (middle, high)
    return high


def cases_to_settle_drop(
    spread: Spread, delta: float, *, margin: float, rules_out: float, alpha: float, power: float = POWER
) -> int | None:
    """Return how many cases in all would settle a question of a drop with probability `power`.

    Settled is: the one-sided interval lies above −rules_out, so that a drop of that size is excluded; or
    below 0 with the mean below −margin, so that a drop is shown. The second where `delta` lies below
    −margin: more cases will show it. None where no number would: the true difference lies on the boundary,
    or the number is absurd.

    Args:
        spread: How much single differences vary.
        delta: The true mean difference.
        margin: The drop of the estimate that blocks when proven, in [0, 1).
        rules_out: The drop that is to be excluded, in (0, 1].
        alpha: Level of the one-sided interval.
        power: Probability of settling it.
    """
    critical, quantile = normal_quantile(1.0 - alpha), normal_quantile(power)
    variance = max(spread.square - delta * delta, 0.0)
    if delta < -margin:
        shown = (critical * math.sqrt(spread.square) + quantile * math.sqrt(variance)) ** 2 / delta**2
        needed = max(shown, quantile**2 * variance / (delta + margin) ** 2)
    elif (distance := delta + rules_out) > 0.0:
        needed = (critical + quantile) ** 2 * variance / distance**2
        # Even without a single change, n cases leave a drop of z²/(n + z²) open (Tango's bound).
        needed = max(needed, critical**2 * (1.0 / min(distance, 1.0) - 1.0))
    else:
        return None
    return _whole(needed * spread.n / spread.effective)


def cases_to_settle_floor(
    mean: float, floor: float, variance: float, *, alpha: float, power: float = POWER
) -> int | None:
    """Return how many cases would show that a mean score lies below a floor, if `mean` is true."""
    if mean >= floor:
        return None
    needed = (normal_quantile(1.0 - alpha) + normal_quantile(power)) ** 2 * variance / (floor - mean) ** 2
    return _whole(needed)


def _whole(cases: float) -> int | None:
    return math.ceil(cases) + 1 if cases < _MOST_CASES else None
