"""Verdicts on a suite whose cases come in random order, some at a time: is it settled already?

Cases are drawn in a seeded random order, whole clusters together, and the numbers of an unfinished suite are
the anytime-valid ones over what was drawn so far, so that looking often costs no error rate. `must_pass`
cases run first and decide by themselves; in the numbers they count where the order puts them, because a
sequence that starts with picked cases would not be a random one.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult
from harness.cases import Outcome
from harness.gate.decide import decide, settle
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
    from harness.stats.anytime import Suite, Units

__all__ = ["Course", "decide_on_course", "draw", "settled"]

METHOD = "anytime-valid confidence sequence by betting"

Key = tuple[str, str]
"""Test function and case id."""


@dataclass(frozen=True)
class Course:
    """The selected cases of one suite × checkpoint in the order in which they are drawn.

    Attributes:
        units: Clusters in that order, each with its cases.
        must_pass: The cases that decide by themselves.
    """

    units: tuple[tuple[Key, ...], ...]
    must_pass: frozenset[Key] = field(default_factory=frozenset)

    @property
    def planned(self) -> int:
        """How many cases there are."""
        return sum(len(unit) for unit in self.units)

    def drawn(self, done: set[Key]) -> int:
        """Return how many units, from the first on, are done."""
        return next((i for i, unit in enumerate(self.units) if not done.issuperset(unit)), len(self.units))


def draw(
    clusters: Mapping[Key, str], *, seed: int, golden: str, must_pass: frozenset[Key] = frozenset()
) -> Course:
    """Return cases in a random order, whole clusters together.

    Args:
        clusters: Cluster of each case, the case's own id where it has none.
        seed: Of the session.
        golden: Golden set and version; another set is drawn in another order.
        must_pass: Those of the cases that decide by themselves.
    """
    units: dict[str, list[Key]] = {}
    for key, cluster in clusters.items():
        units.setdefault(cluster, []).append(key)
    order = sorted(units)
    random.Random(f"{seed}:{golden}").shuffle(order)  # noqa: S311 (an order, no secret)
    return Course(tuple(tuple(units[cluster]) for cluster in order), must_pass)


def settled(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    course: Course,
    *,
    gate: Gate,
    family: int,
    **about: Any,
) -> Verdict | None:
    """Return the verdict of an unfinished suite if looking on would not change it, else None.

    Args:
        candidate: The candidate's results so far.
        baseline: The baseline's; None without one.
        course: The order of drawing.
        gate: The suite's policy.
        family: How many comparisons of the session share alpha.
        about: What else `harness.gate.decide.decide` takes, but for `planned`.
    """
    look = _look(candidate, baseline, course, gate)
    rule = StoppingRule(margin=gate.margin, alpha=gate.alpha, family=max(family, 1))
    against, reason = _against(look, gate, rule), None
    if against is None:
        reason = _for(look, gate, rule)
    if against is None and (reason is None or not course.must_pass <= look.asked):
        return None
    verdict = _decided(look, rule, gate=gate, planned=len(look.candidate), **about)
    wanted = Status.PASS if against is None else Status.REGRESSED
    if verdict.status is not wanted:  # doubted for another reason, such as an error: go on
        return None
    saved = [key for unit in course.units for key in unit if key not in look.asked]
    ids = tuple(dict.fromkeys(case_id for _, case_id in saved))
    how = against or reason
    note = f"settled after {len(look.candidate)} of {course.planned} cases, {len(saved)} not needed: {how}"
    about = {"stopped": how, "not_needed": len(saved), "not_needed_ids": ids}
    return settle(dataclasses.replace(verdict, **about, notes=(*verdict.notes, note)))


def decide_on_course(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    course: Course,
    *,
    gate: Gate,
    family: int,
    **about: Any,
) -> Verdict:
    """Decide a suite that was not settled before its end, or was interrupted; see `settled`.

    One that ran to its end is tested in full, at the share of alpha that looking has left over. One that
    did not lacks cases, and its numbers are the anytime-valid ones.
    """
    if course.drawn({_key(result) for result in candidate}) < len(course.units):
        rule = StoppingRule(margin=gate.margin, alpha=gate.alpha, family=max(family, 1))
        look = _look(candidate, baseline, course, gate)
        return _decided(look, rule, gate=gate, planned=course.planned, **about)
    spent = dataclasses.replace(gate, alpha=(1.0 - LOOKING) * gate.alpha)
    verdict = decide(candidate, baseline, gate=spent, planned=course.planned, **about)
    p_value = verdict.p_value
    return settle(
        dataclasses.replace(
            verdict,
            gate=gate,
            p_value=None if p_value is None else min(p_value / (1.0 - LOOKING), 1.0),
            method=f"{verdict.method}; {LOOKING:.0%} of alpha went into looking early",
        )
    )


@dataclass(frozen=True)
class _Look:
    """What counts at a look: the units drawn so far, and `must_pass` cases beyond them."""

    candidate: tuple[CaseResult, ...]
    baseline: tuple[CaseResult, ...] | None
    asked: frozenset[Key]
    differences: Units
    scores: Units


def _look(
    candidate: Sequence[CaseResult], baseline: Sequence[CaseResult] | None, course: Course, gate: Gate
) -> _Look:
    import numpy as np

    from harness.stats.anytime import Suite

    drawn = course.units[: course.drawn({_key(result) for result in candidate})]
    place = {key: i for i, unit in enumerate(drawn) for key in unit}
    ours = tuple(r for r in candidate if _key(r) in place or _key(r) in course.must_pass)
    asked = frozenset(_key(result) for result in ours)
    theirs = None if baseline is None else tuple(r for r in baseline if _key(r) in asked)
    pairing = pair_results(ours, theirs, reduce=gate.reduce)
    suite = Suite.of(np.array([len(unit) for unit in course.units], dtype=np.float64))
    differences = [(place.get(_key(p.candidate)), p.difference) for p in pairing.pairs]
    scores = [(place.get(_key(r)), r.score or 0.0) for r in pairing.decided]
    return _Look(ours, theirs, asked, _units(differences, suite, -1.0), _units(scores, suite, 0.0))


def _units(values: Sequence[tuple[int | None, float]], suite: Suite, low: float) -> Units:
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
    if gate.min_score is not None and is_floor_missed(look.scores, gate.min_score, rule):
        return f"the mean lies below min_score, whenever one looks, at level {LOOKING * rule.alpha:.2g}"
    if gate.needs_baseline and is_drop_shown(look.differences, rule):
        return (
            f"a drop is shown, whenever one looks, at level {rule.looking:.2g}, and the rest would not bring "
            f"it back within the margin (chance of that ≤ {rule.foretold:.2g})"
        )
    return None


def _for(look: _Look, gate: Gate, rule: StoppingRule) -> str | None:
    """Say what has shown that the suite passes, or None."""
    if gate.blocks_on or gate.slices:
        return None  # what may still block is no mean, and has no sequence
    if gate.min_score is not None and not is_floor_held(look.scores, gate.min_score, rule):
        return None
    if not gate.needs_baseline:
        return f"the rest would not bring the mean below min_score (chance of that ≤ {rule.foretold:.2g})"
    strict = gate.policy == "non-inferior"
    if not is_fall_excluded(look.differences, rule, strict=strict):
        return None
    if strict:
        return (
            f"a drop beyond the margin is ruled out, whenever one looks, at level {LOOKING * rule.alpha:.2g}"
        )
    return f"the rest would not make it a significant drop (chance of that ≤ {rule.foretold:.2g})"


def _decided(look: _Look, rule: StoppingRule, *, gate: Gate, **about: Any) -> Verdict:
    """Decide on what counts, by the anytime-valid numbers."""
    from harness.stats.anytime import anytime_interval

    # A floor is judged by its own sequence below: here it must neither block nor be doubted.
    open_floor = gate if gate.min_score is None else dataclasses.replace(gate, min_score=0.0)
    verdict = decide(look.candidate, look.baseline, gate=open_floor, **about)
    verdict = dataclasses.replace(verdict, gate=gate)
    if verdict.delta is not None:
        verdict = dataclasses.replace(
            verdict,
            interval=anytime_interval(look.differences, level=rule.alpha / 2.0),
            bounds=anytime_interval(look.differences, level=rule.looking),
            p_value=min(anytime_p_value(look.differences) / LOOKING, 1.0),
            method=METHOD,
        )
    if gate.min_score is not None:
        verdict = dataclasses.replace(
            verdict, floor_interval=anytime_interval(look.scores, level=LOOKING * rule.alpha)
        )
        if is_floor_missed(look.scores, gate.min_score, rule):
            assert verdict.floor_interval is not None
            upper = percent(verdict.floor_interval[1])
            reason = f"the mean score is at most {upper}, below min_score {percent(gate.min_score)}"
            verdict = dataclasses.replace(verdict, blocks=(*verdict.blocks, reason))
    return settle(verdict)


def _key(result: CaseResult) -> Key:
    return (result.test, result.case_id)
