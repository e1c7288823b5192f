"""What a comparison of this size can see and rule out, and how many cases would settle an open one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats.binary import tango_statistic
from harness.stats.quantiles import normal_quantile, normal_tail

__all__ = [
    "POWER",
    "Spread",
    "cases_to_exclude",
    "cases_to_settle_drop",
    "cases_to_settle_floor",
    "exclusion_power",
    "minimum_detectable_drop",
    "smallest_exclusion",
]

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
    spread: Spread, *, margin: float, alpha: float, power: float = POWER, baseline_mean: float = 1.0
) -> float | None:
    """Return the smallest true drop that is blocked with probability `power`; None where no drop is.

    A mean cannot fall by more than the baseline's own: where that much would not be seen, no drop is.

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

    largest = min(max(baseline_mean, 0.0), 1.0)
    if largest <= 0.0 or not is_seen(largest):
        return None
    low, high = 0.0, largest
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_seen(middle) else (middle, high)
    return high


def exclusion_power(spread: Spread, drop: float, *, level: float, change: float = 0.0) -> float:
    """Return the chance that a drop of at least `drop` is excluded if the mean changes by `change`.

    Reckoned with Tango's statistic, which the exact test of right-or-wrong answers orders by, and with as
    many changes of full size as vary alike where scores are graded. Gaffke's bound asks for about half a lost
    case more.

    Args:
        spread: How much single differences vary.
        drop: What is to be excluded, in (0, 1).
        level: Chance to exclude it wrongly.
        change: True change of the mean; at −drop the chance is about the level.
    """
    n = spread.effective
    square = min(max(spread.square, abs(change)), 1.0)
    critical = normal_quantile(1.0 - level)
    worst = -0.5 / n if spread.measured else 0.0

    def is_excluded(mean: float) -> bool:
        changed = max(square, abs(mean))
        improved, worsened = n * (changed + mean) / 2.0, n * (changed - mean) / 2.0
        return tango_statistic(improved, worsened, max(round(n), 1), -drop) > critical

    low, high = -drop, 1.0
    if not is_excluded(high):
        return 0.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_excluded(middle) else (middle, high)
    noise = math.sqrt(max(square - change * change, 0.0) / n)
    distance = change + worst - high
    return normal_tail(-distance / noise) if noise > 0.0 else float(distance >= 0.0)


def smallest_exclusion(spread: Spread, *, level: float, power: float = POWER) -> float:
    """Return the smallest drop that is excluded with probability `power` if nothing changes; 1 if none is."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        seen = exclusion_power(spread, middle, level=level) >= power
        low, high = (low, middle) if seen else (middle, high)
    return high


def cases_to_exclude(
    spread: Spread, drop: float, *, level: float, power: float = POWER, change: float = 0.0
) -> int | None:
    """Return how many cases in all would exclude a drop with probability `power`, if `change` is true.

    Never fewer than what equal scores need: (1 − drop)ⁿ ≤ level. None where no number would do: the change is
    itself such a drop, or the number is absurd. In clusters of the sizes seen.
    """
    if change <= -drop:
        return None
    ratio = spread.n / spread.effective
    low, high = 0, max(math.ceil(math.log(level) / math.log1p(-drop)), 1)
    least = high

    def is_enough(cases: int) -> bool:
        sized = Spread(cases, cases, spread.square, spread.measured)
        return exclusion_power(sized, drop, level=level, change=change) >= power

    while not is_enough(high):
        low, high = high, 2 * high
        if high * ratio > _MOST_CASES:
            return None
    while high - low > 1 and high > least:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return math.ceil(high * ratio)


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
