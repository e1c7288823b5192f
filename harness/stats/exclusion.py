"""What a PASS rules out: a drop of more than so much, with a chance of at most `level` to be wrong.

The promise holds for every distribution of scores, at every number of cases: right-or-wrong answers by an
exact test of paired proportions, everything else by a bound for means on an interval. (One exception:
clusters of unequal size of which many changed; see `_of_unequal_clusters`.) So equal scores and
scores that differ by a millionth prove the same, and neither proves much about few cases: a drop of r can
hide in n cases that did not change with probability (1 − r)ⁿ, which is below 5 % from 29 cases on for 10
points and from 149 cases on for 2.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import tango_interval
from harness.stats.bounded import bounded_lower, mean_at_most_p
from harness.stats.clusters import Clusters, effective_changes, group, is_single_answers
from harness.stats.exact_pairs import paired_drop_p, paired_lower
from harness.stats.family import Question
from harness.stats.joint_flips import unit_totals
from harness.stats.sign_flips import sign_flips

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BOUNDED", "EXACT", "Exclusion", "exclude_drop", "exclude_pooled_drop", "fewest_to_exclude"]

EXACT = "exact test of paired proportions"
BOUNDED = "Gaffke's bound for means on an interval"
UNEQUAL = "sign flips and Tango's bound over clusters of unequal size"

_SAME = 1e-12  # scores that differ by no more are equal
_CHANGES_THAT_TELL = 10.0  # so many equal changes' worth
_MOST_CASES = 1_000_000


@dataclass(frozen=True)
class Exclusion:
    """Whether a drop is excluded.

    Attributes:
        drop: The drop of the mean that was asked about, in (0, 1).
        p_value: Of "the mean falls by at least `drop`".
        excluded: Whether p ≤ level.
        lower: Lower bound of the mean difference, one-sided at the level; above −drop exactly when excluded.
        method: In words.
    """

    drop: float
    p_value: float
    excluded: bool
    lower: float
    method: str


def exclude_drop(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    clusters: Sequence[Hashable] | None = None,
    *,
    drop: float,
    level: float,
    single: bool = True,
) -> Exclusion:
    """Say whether a drop of at least `drop` of the mean is excluded.

    Args:
        candidate: Scores in [0, 1], shape (n,), n ≥ 1.
        baseline: Scores of the same cases in the same order, shape (n,).
        clusters: Cluster of each case; None makes each case its own.
        drop: In (0, 1).
        level: Chance to exclude it wrongly, in (0, ½].
        single: Whether a score is one answer rather than a mean of several, so that 0 and 1 mean wrong and
            right.
    """
    import numpy as np

    differences = candidate - baseline
    differences = np.where(np.abs(differences) <= _SAME, 0.0, differences)
    grouped = group(differences, clusters)
    if single and is_single_answers(group(candidate, clusters), group(baseline, clusters)):
        improved, worsened = int((grouped.totals > 0.0).sum()), int((grouped.totals < 0.0).sum())
        return _of_answers(improved, worsened, len(grouped), drop, level)
    guaranteed = _of_scores(grouped, drop, level)
    if guaranteed.excluded or bool((grouped.sizes == grouped.sizes[0]).all()):
        return guaranteed
    return _of_unequal_clusters(grouped, drop, level) or guaranteed


def exclude_pooled_drop(
    questions: Sequence[Question],
    *,
    drop: float,
    level: float,
    weights: Sequence[float] | None = None,
    single: bool = False,
) -> Exclusion:
    """Say whether a drop of at least `drop` of the mean over all compared cases of a release is excluded.

    Every case counts alike, or as its suite's weight says. Suites that share units are one sample of those
    units. A release of one suite should be asked with `exclude_drop`, which knows more of it.

    Args:
        questions: The suites of one candidate.
        drop: In (0, 1).
        level: Chance to exclude it wrongly, in (0, ½].
        weights: What a case of each suite counts, above 0; None: 1 each.
        single: Whether every score of every suite is one right-or-wrong answer.
    """
    import numpy as np

    scale = [1.0] * len(questions) if weights is None else list(weights)
    units = [question.units for question in questions]
    grouped = Clusters(
        unit_totals([w * q.totals for w, q in zip(scale, questions, strict=True)], units),
        unit_totals([w * q.sizes for w, q in zip(scale, questions, strict=True)], units),
    )
    if (
        single
        and bool((grouped.sizes == 1.0).all())
        and bool(np.isin(grouped.totals, (-1.0, 0.0, 1.0)).all())
    ):
        improved, worsened = int((grouped.totals > 0.0).sum()), int((grouped.totals < 0.0).sum())
        return _of_answers(improved, worsened, len(grouped), drop, level)
    return _of_scores(grouped, drop, level)


def fewest_to_exclude(drop: float, *, level: float, single: bool = False) -> int | None:
    """Return from how many cases on a drop is excluded if nothing changes; None beyond a million.

    Clusters of equal size count as one case each.
    """
    low, high = 0, 1
    while not _is_excluded_without_change(high, drop, level, single):
        low, high = high, 2 * high
        if high > _MOST_CASES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if _is_excluded_without_change(middle, drop, level, single):
            high = middle
        else:
            low = middle
    return high


def _is_excluded_without_change(cases: int, drop: float, level: float, single: bool) -> bool:
    return (paired_drop_p(0, 0, cases, drop) if single else (1.0 - drop) ** cases) <= level


def _of_answers(improved: int, worsened: int, n: int, drop: float, level: float) -> Exclusion:
    p_value = paired_drop_p(improved, worsened, n, drop)
    return _said(drop, p_value, level, paired_lower(improved, worsened, n, level=level), EXACT)


def _of_scores(grouped: Clusters, drop: float, level: float) -> Exclusion:
    p_value = mean_at_most_p(grouped.totals, grouped.sizes, -drop, low=-1.0)
    lower = bounded_lower(grouped.totals, grouped.sizes, level=level, low=-1.0, high=1.0)
    return _said(drop, p_value, level, lower, BOUNDED)


def _of_unequal_clusters(grouped: Clusters, drop: float, level: float) -> Exclusion | None:
    """Exclude a drop where clusters differ in size and enough changed to tell their spread; else None.

    The bound for means on an interval must think of every cluster as of the largest, and hardly excludes
    anything then. The sign-flip bound and Tango's over the clusters, each change a change of full size, must
    both exclude the drop. That is no guarantee for every distribution.
    """
    import numpy as np

    if effective_changes(grouped.totals) < _CHANGES_THAT_TELL:
        return None
    averages = grouped.totals / grouped.sizes
    up, down = float(np.maximum(averages, 0.0).sum()), float(np.maximum(-averages, 0.0).sum())
    flips = sign_flips(grouped.totals, grouped.sizes).bounds(level)[0]
    lower = min(flips, tango_interval(up, down, len(grouped), level=level)[0])
    if lower <= -drop:
        return None
    return Exclusion(drop, level, True, lower, UNEQUAL)


def _said(drop: float, p_value: float, level: float, lower: float, method: str) -> Exclusion:
    """Return the answer; the bound, which is searched for, never contradicts the computed p-value."""
    excluded = p_value <= level
    bound = max(lower, -drop + 1e-9) if excluded else min(lower, -drop)
    return Exclusion(drop, p_value, excluded, bound, method)
