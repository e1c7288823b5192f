"""When a suite has been asked enough: a verdict that looking on would not change.

Two errors are kept apart. A false block: REGRESSED needs an anytime-valid test about the *population*, at a
share of alpha; a suite that runs to its end is tested once more, at the rest. So under no drop the chance
of a block is at most alpha, however often one looks. And a verdict of the whole *suite* that is foretold
wrongly: what remains is bounded by sampling without replacement, at level `foretold`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats.anytime import Units, WholeSuite, log_capital
from harness.stats.clusters import Clusters
from harness.stats.quantiles import normal_quantile

__all__ = [
    "LOOKING",
    "StoppingRule",
    "anytime_p_value",
    "first_stop",
    "is_drop_shown",
    "is_fall_excluded",
    "is_floor_held",
    "is_floor_missed",
    "looks",
]

_FEWEST = 20
_MOST_LOOKS = 20

LOOKING = 0.2
"""Share of alpha that is spent on looking; the rest is for the suite that runs to its end."""


@dataclass(frozen=True)
class StoppingRule:
    """How sure one must be to stop.

    Attributes:
        margin: The drop of the mean that is acceptable, in [0, 1).
        alpha: Chance of a false block of the release.
        family: Questions that share alpha: the suites of one candidate.
        foretold: Chance that the whole suite would have decided otherwise.
    """

    margin: float
    alpha: float
    family: int = 1
    foretold: float = 0.01

    @property
    def looking(self) -> float:
        """Level of the anytime-valid test of one question."""
        return LOOKING * self.alpha / self.family

    @property
    def left(self) -> float:
        """Level of the test at the end of a suite that was not stopped."""
        return (1.0 - LOOKING) * self.alpha


def anytime_p_value(differences: Units) -> float:
    """Return the p-value for a drop that holds at any time: 1 over the largest capital so far."""
    if not len(differences.clusters):
        return 1.0
    return math.exp(-max(float(log_capital(differences.mirrored, 0.0).max()), 0.0))


def is_drop_shown(differences: Units, rule: StoppingRule) -> bool:
    """Whether there is a drop in the population, and one beyond the margin in the whole suite."""
    seen = differences.clusters
    if not len(seen) or float(seen.totals.sum()) >= -rule.margin * float(seen.sizes.sum()):
        return False
    against = differences.mirrored
    return _reaches(against, 0.0, rule.looking, finite=False) and _reaches(
        against, rule.margin, rule.foretold, finite=True
    )


def is_fall_excluded(differences: Units, rule: StoppingRule, *, strict: bool) -> bool:
    """Whether no drop beyond the margin needs to be looked for any more.

    Args:
        differences: Candidate minus baseline, by cluster.
        rule: The levels.
        strict: Whether the drop must be ruled out in the population (non-inferiority). Otherwise it is
            enough that the whole suite would not show one: its mean would stay above −margin, or the drop
            within what chance explains.
    """
    if _reaches(differences, -rule.margin, LOOKING * rule.alpha, finite=False):
        return True
    if strict or not len(differences.clusters):
        return False
    # The spread over the whole suite is at least what has been seen of it, so a drop must be this deep.
    seen = float(differences.clusters.totals @ differences.clusters.totals)
    chance = normal_quantile(1.0 - rule.left) * math.sqrt(seen) / differences.suite.cases
    depth = max(rule.margin, min(chance, 1.0))
    return _reaches(differences, -depth, rule.foretold, finite=True)


def is_floor_missed(scores: Units, floor: float, rule: StoppingRule) -> bool:
    """Whether the population's mean score lies below an absolute floor."""
    return _reaches(scores.mirrored, -floor, LOOKING * rule.alpha, finite=False)


def is_floor_held(scores: Units, floor: float, rule: StoppingRule) -> bool:
    """Whether the whole suite's mean score would lie above an absolute floor."""
    return _reaches(scores, floor, rule.foretold, finite=True)


def _reaches(units: Units, mean: float, level: float, *, finite: bool) -> bool:
    if not len(units.clusters):
        return False
    return bool(log_capital(units, mean, finite=finite).max() >= -math.log(level))


def looks(groups: int) -> tuple[int, ...]:
    """Return after how many clusters of a suite one looks: at least 20 apart, at most 20 times."""
    step = max(_FEWEST, -(-groups // _MOST_LOOKS))
    return (*range(step, groups, step), groups)


def first_stop(differences: Clusters, rule: StoppingRule, *, strict: bool = False) -> tuple[int, bool] | None:
    """Return when a comparison would have been stopped, and whether at a shown drop; None if never.

    For simulations: what `--early-stop` does with a suite whose answers are all known.

    Args:
        differences: Candidate minus baseline of every cluster of the suite, in the order of drawing.
        rule: The levels.
        strict: Whether the policy is `non-inferior`.

    Returns:
        (clusters seen, whether it regressed). A suite that is never stopped is tested in full, at
        `rule.left`.
    """
    suite = WholeSuite.of(differences.sizes)
    for seen in looks(suite.groups)[:-1]:
        part = Units(Clusters(differences.totals[:seen], differences.sizes[:seen]), suite, low=-1.0, high=1.0)
        if is_drop_shown(part, rule):
            return seen, True
        if is_fall_excluded(part, rule, strict=strict):
            return seen, False
    return None
