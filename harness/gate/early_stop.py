"""Verdicts on a suite whose cases come in random order, some at a time: is it settled already?

Cases are drawn in a seeded random order, whole clusters together, and the numbers of an unfinished suite are
the anytime-valid ones over what was drawn so far, so that looking often costs no error rate.
`must_pass` and `must_keep` cases run first and decide by themselves; in the numbers they count where the
order puts them, because a sequence that starts with picked cases would not be a random one.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.case_result import CaseResult
from harness.cases import Outcome
from harness.gate.decide import decide, settle
from harness.gate.evidence import Evidence
from harness.gate.measurements import EarlySettlement, Floor
from harness.gate.pairing import pair_results
from harness.gate.policy import Gate
from harness.gate.verdict import Status, Verdict, percent
from harness.stats.stopping import (
    LOOKING,
    StoppingRule,
    anytime_p_value,
    is_drop_shown,
    is_fall_excluded,
    is_floor_held,
    is_floor_missed,
)

if TYPE_CHECKING:
    from harness.stats.anytime import Units, WholeSuite

__all__ = ["Course", "decide_on_course", "draw", "settled"]

METHOD = "anytime-valid confidence sequence by betting"

Key = tuple[str, str]
"""Test function and case id."""


@dataclass(frozen=True)
class Course:
    """The selected cases of one suite × checkpoint in the order in which they are drawn.

    Attributes:
        units: Clusters in that order, each with its cases.
        decisive: The cases that decide by themselves (`must_pass`, `must_keep`).
    """

    units: tuple[tuple[Key, ...], ...]
    decisive: frozenset[Key] = field(default_factory=frozenset)

    @property
    def planned(self) -> int:
        """How many cases there are."""
        return sum(len(unit) for unit in self.units)

    def drawn(self, done: set[Key]) -> int:
        """Return how many units, from the first on, are done."""
        return next((i for i, unit in enumerate(self.units) if not done.issuperset(unit)), len(self.units))


def draw(
    clusters: Mapping[Key, str], *, seed: int, golden: str, decisive: frozenset[Key] = frozenset()
) -> Course:
    """Return cases in a random order, whole clusters together.

    Args:
        clusters: Cluster of each case, the case's own id where it has none.
        seed: Of the session.
        golden: Golden set and version; another set is drawn in another order.
        decisive: Those of the cases that decide by themselves.
    """
    units: dict[str, list[Key]] = {}
    for key, cluster in clusters.items():
        units.setdefault(cluster, []).append(key)
    order = sorted(units)
    random.Random(f"{seed}:{golden}").shuffle(order)  # noqa: S311 (an order, no secret)
    return Course(tuple(tuple(units[cluster]) for cluster in order), decisive)


def settled(evidence: Evidence, course: Course, *, family: int) -> Verdict | None:
    """Return the verdict of an unfinished suite if looking on would not change it, else None.

    Args:
        evidence: What is known so far; its `planned` does not count here.
        course: The order of drawing.
        family: How many comparisons of the candidate share alpha.
    """
    gate = evidence.gate
    look = _look(evidence, course)
    rule = StoppingRule(margin=gate.margin, alpha=gate.alpha, family=max(family, 1))
    against, reason = _against(look, gate, rule), None
    if against is None:
        reason = _for(look, gate, rule)
    if against is None and (reason is None or not course.decisive <= look.asked):
        return None
    verdict = _decided(evidence, look, rule, planned=len(look.candidate))
    wanted = (Status.PASS,) if against is None else (Status.REGRESSED, Status.FAILED)
    if verdict.status not in wanted:  # doubted for another reason, such as an error: go on
        return None
    saved = [key for unit in course.units for key in unit if key not in look.asked]
    ids = tuple(dict.fromkeys(case_id for _, case_id in saved))
    how = str(against or reason)
    note = f"settled after {len(look.candidate)} of {course.planned} cases, {len(saved)} not needed: {how}"
    settlement = EarlySettlement(how, len(saved), ids)
    return settle(dataclasses.replace(verdict, settlement=settlement, notes=(*verdict.notes, note)))


def decide_on_course(evidence: Evidence, course: Course) -> Verdict:
    """Decide a suite that was not settled before its end, or was interrupted; see `settled`.

    It is tested in full, at the share of alpha that looking has left over. One that was interrupted (`-x`,
    ctrl-C) lacks cases, and so cannot pass: what was reported decides, in whichever order it ran.
    """
    gate = evidence.gate
    spent = dataclasses.replace(gate, alpha=(1.0 - LOOKING) * gate.alpha)
    verdict = decide(dataclasses.replace(evidence, gate=spent, planned=course.planned))
    verdict = dataclasses.replace(verdict, gate=gate)
    if verdict.comparison is not None:
        comparison = dataclasses.replace(
            verdict.comparison,
            p_value=min(verdict.comparison.p_value / (1.0 - LOOKING), 1.0),
            method=f"{verdict.comparison.method}; {LOOKING:.0%} of alpha went into looking early",
            looked_early=True,
        )
        verdict = dataclasses.replace(verdict, comparison=comparison)
    return settle(verdict)


@dataclass(frozen=True)
class _Look:
    """What counts at a look: the units drawn so far, and decisive cases beyond them."""

    candidate: tuple[CaseResult, ...]
    baseline: tuple[CaseResult, ...] | None
    asked: frozenset[Key]
    differences: Units
    scores: Units


def _look(evidence: Evidence, course: Course) -> _Look:
    import numpy as np

    from harness.stats.anytime import WholeSuite

    candidate, baseline = evidence.candidate, evidence.baseline
    drawn = course.units[: course.drawn({_key(result) for result in candidate})]
    place = {key: i for i, unit in enumerate(drawn) for key in unit}
    ours = tuple(r for r in candidate if _key(r) in place or _key(r) in course.decisive)
    asked = frozenset(_key(result) for result in ours)
    theirs = None if baseline is None else tuple(r for r in baseline if _key(r) in asked)
    pairing = pair_results(ours, theirs, reduce=evidence.gate.reduce)
    suite = WholeSuite.of(np.array([len(unit) for unit in course.units], dtype=np.float64))
    differences = [(place.get(_key(p.candidate)), p.difference) for p in pairing.pairs]
    scores = [(place.get(_key(r)), r.score or 0.0) for r in pairing.decided]
    return _Look(ours, theirs, asked, _units(differences, suite, -1.0), _units(scores, suite, 0.0))


def _units(values: Sequence[tuple[int | None, float]], suite: WholeSuite, low: float) -> Units:
    """Sum values by the place of their unit; None is no place in the order."""
    import numpy as np

    from harness.stats.anytime import Units
    from harness.stats.clusters import Clusters

    found: dict[int, list[float]] = {}
    for place, value in values:
        if place is not None:
            found.setdefault(place, []).append(value)
    order = sorted(found)
    totals = np.array([sum(found[place]) for place in order], dtype=np.float64)
    sizes = np.array([len(found[place]) for place in order], dtype=np.float64)
    return Units(Clusters(totals, sizes), suite, low, 1.0)


def _against(look: _Look, gate: Gate, rule: StoppingRule) -> str | None:
    """Say what has shown that the suite regressed, or None."""
    if any(r.must_pass and r.score is not None and r.outcome is not Outcome.PASSED for r in look.candidate):
        return "a must_pass case was missed"
    if _lost(look):
        return "a must_keep case was lost"
    if gate.min_score is not None and is_floor_missed(look.scores, gate.min_score, rule):
        return f"the mean lies below min_score, whenever one looks, at level {LOOKING * rule.alpha:.2g}"
    if gate.needs_baseline and is_drop_shown(look.differences, rule):
        return (
            f"a drop is shown, whenever one looks, at level {rule.looking:.2g}, and the rest would not bring "
            f"it back within the margin (chance of that ≤ {rule.foretold:.2g})"
        )
    return None


def _lost(look: _Look) -> bool:
    passed = {_key(r) for r in look.baseline or () if r.outcome is Outcome.PASSED}
    return any(
        r.must_keep and r.score is not None and r.outcome is not Outcome.PASSED and _key(r) in passed
        for r in look.candidate
    )


def _for(look: _Look, gate: Gate, rule: StoppingRule) -> str | None:
    """Say what has shown that the suite passes, or None."""
    if gate.blocks_on or gate.slices or gate.relative:
        return None  # what may still block is no mean, or hangs on the baseline's, and has no sequence
    if gate.min_score is not None and not is_floor_held(look.scores, gate.min_score, rule):
        return None
    if not gate.needs_baseline:
        return f"the rest would not bring the mean below min_score (chance of that ≤ {rule.foretold:.2g})"
    excluded = dataclasses.replace(rule, margin=gate.excluded_drop)
    if not is_fall_excluded(look.differences, excluded, strict=True):
        return None
    ruled_out = (
        f"a drop of {percent(gate.excluded_drop)} is ruled out, whenever one looks, at level "
        f"{LOOKING * rule.alpha:.2g}"
    )
    if gate.policy == "non-inferior":
        return ruled_out
    if not is_fall_excluded(look.differences, rule, strict=False):
        return None
    return f"{ruled_out}, and the rest would not show one (chance of that ≤ {rule.foretold:.2g})"


def _decided(evidence: Evidence, look: _Look, rule: StoppingRule, *, planned: int) -> Verdict:
    """Decide on what counts, by the anytime-valid numbers."""
    from harness.stats.anytime import anytime_interval

    gate = evidence.gate
    # A floor is judged by its own sequence below: here it must neither block nor be doubted.
    open_floor = gate if gate.min_score is None else dataclasses.replace(gate, min_score=0.0)
    counted = dataclasses.replace(
        evidence, candidate=look.candidate, baseline=look.baseline, gate=open_floor, planned=planned
    )
    verdict = dataclasses.replace(decide(counted), gate=gate)
    if verdict.comparison is not None:
        comparison = dataclasses.replace(
            verdict.comparison,
            interval=anytime_interval(look.differences, level=rule.alpha / 2.0),
            bounds=(  # what is excluded shares alpha with nobody, what is shown does
                anytime_interval(look.differences, level=LOOKING * rule.alpha)[0],
                anytime_interval(look.differences, level=rule.looking)[1],
            ),
            p_value=min(anytime_p_value(look.differences) / LOOKING, 1.0),
            method=METHOD,
            looked_early=True,
        )
        verdict = dataclasses.replace(verdict, comparison=comparison, exclusion=None)
    if gate.min_score is not None:
        floor = Floor(anytime_interval(look.scores, level=LOOKING * rule.alpha))
        verdict = dataclasses.replace(verdict, floor=floor)
        if is_floor_missed(look.scores, gate.min_score, rule):
            upper = percent(floor.interval[1])
            reason = f"the mean score is at most {upper}, below min_score {percent(gate.min_score)}"
            verdict = dataclasses.replace(verdict, failures=(*verdict.failures, reason))
    return settle(verdict)


def _key(result: CaseResult) -> Key:
    return (result.test, result.case_id)
