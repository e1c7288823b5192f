"""One release, one question: does anything in it show a drop?

The suites of one candidate are one family. An unchanged candidate must be blocked at most alpha of the time
over all of them, a lone drop must not drown among the others, and a loss spread thinly must be seen.

**The global test.** For each suite z is how many standard deviations its total lies below 0 when signs are
flipped, and z₀ the same for all compared cases together. The statistic is the likelihood ratio of "something
got worse" to "nothing did", averaged over where the drop may be: in all suites alike, with prior
`POOLED_SHARE`, or in one of them, with the rest of the prior split by the suites' shares. By Neyman and
Pearson's lemma no other test of the same level catches such drops more often on average. Its reference
distribution is computed from joint sign flips: one coin per unit, for all suites that the unit stands in. So
the level holds whatever the suites share.

**Labels.** A suite is named when every set of suites that contains it is rejected: the set of all by the
global test, smaller ones by Bonferroni's with the suites' shares (closed testing). So naming a suite that did
not get worse has a chance of at most alpha too, and no suite is named in a release that is not blocked. A
release may be blocked without a suite being named: then the drop is shown, and where it sits is not.

Sources: Neyman & Pearson, Phil Trans R Soc A 231:289–337 (1933); Westfall & Young, "Resampling-based multiple
testing" (1993), for the joint reference; Marcus, Peritz & Gabriel, Biometrika 63:655–660 (1976), for closed
testing. docs/decisions says what this was chosen over, and by how much.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.draws import DrawnP, settled_p_value
from harness.stats.flip_tail import ENUMERATED, total_p_value
from harness.stats.joint_flips import PATTERNS_AT_ONCE, JointFlips, joint_flips

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DROP_IN_ALL",
    "DROP_IN_ONE",
    "POOLED_SHARE",
    "FamilyDecision",
    "Question",
    "decide_by_p_values",
    "decide_family",
    "label_suites",
    "likelihood_ratio",
]

POOLED_SHARE = 0.25
"""Prior of a drop in all suites alike; the rest belongs to a drop in one of them."""

DROP_IN_ONE, DROP_IN_ALL = 2.6, 2.8
"""Which drops the likelihood ratios are of, in standard deviations of a suite and of all cases."""

_SAME = 1e-9  # scores that differ by less are equal
_HIGHEST = 100.0  # standard deviations; beyond, the ratio of 30,000 lost cases overflows


@dataclass(frozen=True)
class Question:
    """What one suite's comparison is to the release.

    Attributes:
        totals: Sum of the differences, candidate minus baseline, of each cluster, shape (G,).
        sizes: Cases in each cluster, shape (G,).
        p_value: One-sided p for a drop by the suite's own test, before any adjustment.
        units: Names of the clusters, shape (G,). The same name in two suites is the same unit: the same
            cases, or cases about the same thing. None where no unit is shared.
        share: Of alpha, relative to the other suites; above 0. A suite with half of the sum keeps half.
        margin: The drop of the mean that is acceptable, in [0, 1).
        z: Standard deviations below 0, where the suite's own test is not about the plain total (a regression
            estimate); None: as the flips have it.
        delta: Estimated mean difference where it is not the plain one.
        is_below_zero: Whether the suite's own one-sided interval lies below 0, where a gate asks for that
            too.
    """

    totals: NDArray[np.float64]
    sizes: NDArray[np.float64]
    p_value: float
    units: Sequence[Hashable] | None = None
    share: float = 1.0
    margin: float = 0.0
    z: float | None = None
    delta: float | None = None
    is_below_zero: bool = True

    @property
    def cases(self) -> float:
        """How many cases were compared."""
        return float(self.sizes.sum())

    @property
    def mean(self) -> float:
        """Mean difference in [−1, 1]."""
        return math.fsum(self.totals) / self.cases if self.delta is None else self.delta

    @property
    def is_beyond_margin(self) -> bool:
        """Whether the drop that was seen is larger than what is acceptable."""
        return self.mean < -self.margin - _SAME and self.is_below_zero


@dataclass(frozen=True)
class FamilyDecision:
    """What the suites of one candidate say together.

    Attributes:
        p_value: Of the global test.
        draws: Random patterns that it took; 0 where it was computed without.
        settled: False where so many draws left p within 0.001 of alpha; it then counts as alpha.
        pooled: Mean difference over all compared cases, in [−1, 1].
        pooled_p_value: One-sided, by joint flips; for showing, it decides nothing by itself.
        adjusted: For each suite the smallest alpha at which it would be named; never below `p_value`.
        blocks: Whether a drop is shown, and lies beyond the margin of a suite or of the release.
        named: Suites (positions, strongest first) that are shown to have dropped beyond their margin.
        suspects: Further suites with p ≤ alpha by themselves and a drop beyond their margin, strongest first:
            where to look when a release is blocked and too few suites are named to explain it.
    """

    p_value: float
    draws: int
    settled: bool
    pooled: float
    pooled_p_value: float
    adjusted: tuple[float, ...]
    blocks: bool
    named: tuple[int, ...]
    suspects: tuple[int, ...]


def decide_family(questions: Sequence[Question], *, alpha: float) -> FamilyDecision:
    """Decide whether a release shows a drop, and in which suites.

    With a single suite everything is the suite's own test. The order of suites, of clusters and of cases does
    not matter, nor does any seed.

    Args:
        questions: The suites of one candidate that count, at least one.
        alpha: Chance that an unchanged candidate is blocked, in (0, ½).

    Raises:
        ValueError: There is no question, or a share is not above 0.
    """
    if not questions or any(not question.share > 0.0 for question in questions):
        raise ValueError("a release needs at least one suite, and each a share of alpha above 0")
    flips = joint_flips([q.totals for q in questions], [q.units for q in questions])
    if len(questions) == 1:
        found = DrawnP(questions[0].p_value, 0)
        pooled_p_value = found.p_value
    else:
        found, pooled_p_value = _global_test(questions, flips, alpha)
    adjusted = label_suites(
        [question.p_value for question in questions],
        [question.share for question in questions],
        found.p_value,
    )
    cases = sum(question.cases for question in questions)
    pooled = sum(question.mean * question.cases for question in questions) / cases
    margin = sum(question.margin * question.cases for question in questions) / cases
    ranked = sorted(range(len(questions)), key=lambda i: (questions[i].p_value / questions[i].share, i))
    beyond = [i for i in ranked if questions[i].is_beyond_margin]
    is_shown = found.p_value <= alpha
    suspects = [i for i in beyond if questions[i].p_value <= alpha]
    blocks = is_shown and bool(suspects or (len(questions) > 1 and pooled < -margin - _SAME))
    named = [i for i in beyond if blocks and adjusted[i] <= alpha]
    return FamilyDecision(
        p_value=found.p_value,
        draws=found.draws,
        settled=found.settled,
        pooled=pooled,
        pooled_p_value=pooled_p_value,
        adjusted=adjusted,
        blocks=blocks,
        named=tuple(named),
        suspects=tuple(i for i in suspects if i not in named),
    )


def decide_by_p_values(questions: Sequence[Question], *, alpha: float) -> FamilyDecision:
    """Decide a release by p-values alone: Bonferroni over all suites, Holm for the labels, with shares.

    For p-values that allow for looking early: the differences by themselves no longer do, and there is no
    test of all cases together.

    Args:
        questions: The suites of one candidate that count, at least one.
        alpha: Chance that an unchanged candidate is blocked, in (0, ½).
    """
    shares, p_values = [q.share for q in questions], [q.p_value for q in questions]
    whole = math.fsum(shares)
    smallest = min(p * whole / share for p, share in zip(p_values, shares, strict=True))
    p_value = min(smallest, 1.0)
    adjusted = label_suites(p_values, shares, p_value)
    cases = sum(question.cases for question in questions)
    ranked = sorted(range(len(questions)), key=lambda i: (p_values[i] / shares[i], i))
    named = tuple(i for i in ranked if questions[i].is_beyond_margin and adjusted[i] <= alpha)
    return FamilyDecision(
        p_value=p_value,
        draws=0,
        settled=True,
        pooled=sum(question.mean * question.cases for question in questions) / cases,
        pooled_p_value=p_value,
        adjusted=adjusted,
        blocks=bool(named),
        named=named,
        suspects=(),
    )


def likelihood_ratio(
    z: NDArray[np.float64], pooled_z: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the averaged likelihood ratio of a drop, the statistic of the global test.

    Sums of signs have lighter tails than normal variables, so its mean over all patterns is at most 1: it is
    also an e-value.

    Args:
        z: Standard deviations below 0 by suite, shape (…, k).
        pooled_z: The same for all cases together, shape (…).
        shares: Of alpha by suite, shape (k,), with sum 1.
    """
    import numpy as np

    z, pooled_z = np.minimum(z, _HIGHEST), np.minimum(pooled_z, _HIGHEST)
    one = np.exp(DROP_IN_ONE * z - DROP_IN_ONE**2 / 2.0) @ shares
    everywhere = np.exp(DROP_IN_ALL * pooled_z - DROP_IN_ALL**2 / 2.0)
    return np.asarray((1.0 - POOLED_SHARE) * one + POOLED_SHARE * everywhere)


def label_suites(
    p_values: Sequence[float], shares: Sequence[float], global_p_value: float
) -> tuple[float, ...]:
    """Return for each suite the smallest alpha at which closed testing names it.

    Bonferroni's test of a set of suites with shares has the p-value min pᵢ · (sum of shares) / shareᵢ; its
    closure is Holm's method with weights, less the set of all suites, which the global test decides.

    Source: Holm, Scandinavian Journal of Statistics 6:65–70 (1979), section 5 for weights.
    """
    count = len(p_values)
    adjusted = [global_p_value] * count
    if count == 1:
        return tuple(adjusted)
    order = sorted(range(count), key=lambda i: p_values[i] / shares[i])
    left, highest = math.fsum(shares), global_p_value
    for rank, suite in enumerate(order):
        others = [shares[i] for i in order if i != suite]
        total = left - min(others) if rank == 0 else left
        highest = max(highest, min(1.0, p_values[suite] * max(total / shares[suite], 1.0)))
        adjusted[suite] = highest
        left = max(left - shares[suite], 0.0)
    return tuple(adjusted)


def _global_test(questions: Sequence[Question], flips: JointFlips, alpha: float) -> tuple[DrawnP, float]:
    """Return the p-value of the global test, and that of all cases together for showing."""
    import numpy as np

    deviations = flips.deviations
    shares = np.array([question.share for question in questions])
    shares = shares / shares.sum()
    observed = np.array(
        [
            q.z if q.z is not None else -math.fsum(q.totals) / deviation if deviation > 0.0 else 0.0
            for q, deviation in zip(questions, deviations.tolist(), strict=True)
        ]
    )
    spread = math.sqrt(max(float(flips.covariance.sum()), 0.0))
    if not flips.units or not (deviations > 0.0).any():
        return DrawnP(1.0, 0), 1.0
    weights = deviations / spread if spread > 1e-12 else np.zeros(len(deviations))
    reached = float(likelihood_ratio(observed, np.asarray(observed @ weights), shares))

    def extreme(z: NDArray[np.float64], ties: float) -> float:
        ratios = likelihood_ratio(z, z @ weights, shares)
        above = ratios > reached * (1.0 + _SAME)
        return float(above.sum() + ties * (~above & (ratios >= reached * (1.0 - _SAME))).sum())

    clusters = sum(len(question.totals) for question in questions)
    ties = 1.0 if clusters <= ENUMERATED else 0.5
    everything = math.fsum(math.fsum(question.totals) for question in questions)
    pooled_p_value = total_p_value(everything, flips.summed(), ties=ties)
    if flips.units <= ENUMERATED:
        patterns = flips.every_pattern()
        return DrawnP(extreme(patterns, ties) / len(patterns), 0), pooled_p_value
    batches = flips.draws()

    def draw(count: int) -> float:
        return sum(extreme(next(batches), 0.5) for _ in range(count // PATTERNS_AT_ONCE))

    return settled_p_value(draw, alpha), pooled_p_value
