"""Choose the best checkpoint of stored runs: hard constraints first, then declared objectives.

A checkpoint is eligible only if every gate it went through says PASS: on the same cases as the others', under
the same policy, against the same baseline. The eligible ones are ranked by a weighted mean of suite scores,
or suite by suite. Who is not distinguishable from the choice, by paired tests on shared cases, is said. The
validation loss decides nothing: it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult, Role
from harness.gate.pairing import cluster_of, reduced
from harness.gate.release import Release
from harness.gate.verdict import Status, Verdict
from harness.runs.record import RunRecord
from harness.runs.run_checkpoint import RunCheckpoint
from harness.runs.run_environment import Environment
from harness.runs.selection_rule import Objective, SelectionRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Baseline", "Contender", "Ranked", "Selection", "case_identity", "contenders", "select_best"]

_SAME = 1e-12


@dataclass(frozen=True)
class Baseline:
    """What a suite was gated against.

    Attributes:
        name: As the verdict calls it.
        identity: Its fingerprint. Where that is not known, what no other run's baseline can be.
    """

    name: str
    identity: str

    def __str__(self) -> str:
        return f"{self.name} ({self.identity[:12]})"


@dataclass(frozen=True)
class Contender:
    """A checkpoint with what stored runs say of it.

    Attributes:
        spec: What it was gated as.
        name: Display name.
        fingerprint: Of what decides its answers.
        runs: The runs that gated it, oldest first.
        verdicts: Suite → newest verdict.
        cases: Suite → its results there; a score is what the suite's gate looked at.
        baselines: Suite → what that verdict compares with, under a policy that compares.
        baseline_cases: Suite → results of that baseline; a score is what the suite's gate looked at.
        releases: Suite → the decision on all suites of the run that its verdict is of.
        problems: Why a run of it decides nothing, one sentence each.
        sources: Suite → field of its gate → where that came from.
    """

    spec: str
    name: str
    fingerprint: str
    runs: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    cases: Mapping[str, tuple[CaseResult, ...]]
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    baseline_cases: Mapping[str, tuple[CaseResult, ...]] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranked:
    """A contender's place.

    Attributes:
        contender: The checkpoint.
        refused: Why it is not eligible, one sentence each; empty where it is.
        means: Suite of an objective → mean score.
        value: Weighted mean of the objectives' scores; None where it is not eligible.
        p_value: Two-sided, against the choice, after Holm; None for the choice itself and the refused.
        tied: Whether it is not distinguishable from the choice.
    """

    contender: Contender
    refused: tuple[str, ...] = ()
    means: Mapping[str, float] = field(default_factory=dict)
    value: float | None = None
    p_value: float | None = None
    tied: bool = False


@dataclass(frozen=True)
class Selection:
    """The choice and why.

    Attributes:
        rule: What was asked for, with every default filled in.
        ranked: The eligible contenders, best first, then those that are refused.
        why: One sentence.
    """

    rule: SelectionRule
    ranked: tuple[Ranked, ...]
    why: str

    @property
    def best(self) -> Contender | None:
        """The choice; None where nothing is eligible."""
        first = self.ranked[0] if self.ranked else None
        return None if first is None or first.refused else first.contender

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "best": None if self.best is None else self.best.spec,
            "why": self.why,
            "rule": dataclasses.asdict(self.rule),
            "ranked": [
                {
                    "checkpoint": one.contender.spec,
                    "fingerprint": one.contender.fingerprint,
                    "runs": list(one.contender.runs),
                    "refused": list(one.refused),
                    "means": dict(one.means),
                    "value": one.value,
                    "p_value": one.p_value,
                    "not_distinguishable_from_best": one.tied,
                }
                for one in self.ranked
            ],
        }


def contenders(records: Sequence[RunRecord]) -> tuple[Contender, ...]:
    """Collect the candidates of runs; where a suite was gated twice, the newest run counts."""
    found: dict[tuple[str, str], Contender] = {}
    for record in sorted(records, key=lambda one: (one.created, one.run)):
        for entry in record.candidates:
            spec, fingerprint = entry.spec, entry.fingerprint
            old = found.get((spec, fingerprint))
            verdicts = {v.suite: v for v in record.verdicts if v.checkpoint == spec}
            cases: dict[str, list[CaseResult]] = {}
            for result in record.cases:
                if result.role is Role.CANDIDATE and result.checkpoint == spec:
                    verdict = verdicts.get(result.suite)
                    how = "mean" if verdict is None else verdict.gate.reduce
                    cases.setdefault(result.suite, []).append(reduced(result, how))
            merged = {suite: tuple(results) for suite, results in cases.items()}
            baselines = {v.suite: _baseline(v, record) for v in verdicts.values() if v.gate.needs_baseline}
            theirs = {
                v.suite: tuple(reduced(r, v.gate.reduce) for r in record.results(v, Role.BASELINE))
                for v in verdicts.values()
                if v.gate.needs_baseline
            }
            releases = {
                suite: release
                for suite in verdicts
                for release in record.releases
                if release.checkpoint == spec
            }
            found[(spec, fingerprint)] = Contender(
                spec=spec,
                name=entry.name,
                fingerprint=fingerprint,
                runs=(*(old.runs if old else ()), record.run),
                verdicts={**(old.verdicts if old else {}), **verdicts},
                cases={**(old.cases if old else {}), **merged},
                baselines={**(old.baselines if old else {}), **baselines},
                baseline_cases={**(old.baseline_cases if old else {}), **theirs},
                releases={**(old.releases if old else {}), **releases},
                problems=(*(old.problems if old else ()), *_problems(record, entry)),
                sources={**(old.sources if old else {}), **_gate_sources(record)},
            )
    return tuple(found.values())


def select_best(found: Sequence[Contender], rule: SelectionRule) -> Selection:
    """Rank contenders by a rule.

    Without objectives, every suite that a contender was gated on counts alike. Ties are decided by the
    higher score all the same, and are said.
    """
    if not rule.objectives:
        suites = sorted({suite for one in found for suite in one.verdicts})
        rule = dataclasses.replace(rule, objectives=tuple(Objective(suite) for suite in suites))
    judged = [Ranked(one, _refused(one, found, rule)) for one in found]
    refused = [one for one in judged if one.refused]
    eligible = [one.contender for one in judged if not one.refused]
    if not eligible:
        return Selection(rule, tuple(refused), "no checkpoint is eligible")
    order = (
        sorted(eligible, key=lambda one: -_value(one, rule.objectives))
        if rule.order == "weighted"
        else _lexicographic(eligible, rule)
    )
    return _with_ties(order, refused, rule)


def _with_ties(order: Sequence[Contender], refused: Sequence[Ranked], rule: SelectionRule) -> Selection:
    from harness.stats.multiplicity import holm

    best = order[0]
    p_values = holm([_p_value(best, one, rule.objectives) for one in order[1:]])
    ranked = [
        Ranked(
            contender=one,
            means={objective.suite: _mean(one, objective.suite) for objective in rule.objectives},
            value=_value(one, rule.objectives),
            p_value=p_value,
            tied=p_value is not None and p_value > rule.alpha,
        )
        for one, p_value in zip(order, [None, *p_values], strict=True)
    ]
    tied = [one.contender.name for one in ranked if one.tied]
    others = f"; not distinguishable from {', '.join(tied)}" if tied else ""
    how = "highest weighted score" if rule.order == "weighted" else "best suite by suite, as declared,"
    why = f"{best.name}: the only one that is eligible"
    if len(order) > 1:
        why = f"{best.name}: {how} of {len(order)} eligible{others}"
    return Selection(rule, (*ranked, *refused), why)


def _gate_sources(record: RunRecord) -> Mapping[str, Mapping[str, str]]:
    return record.environment.gates if isinstance(record.environment, Environment) else {}


def _problems(record: RunRecord, candidate: RunCheckpoint) -> list[str]:
    sides = (candidate, *record.baselines)
    found = [f"run {record.run}: {entry.rewritten}" for entry in sides if entry.rewritten is not None]
    if record.partial:
        return [*found, f"run {record.run} saw only a part of its cases"]
    return found if record.complete else [*found, f"run {record.run} did not finish"]


def _baseline(verdict: Verdict, record: RunRecord) -> Baseline:
    environment = record.environment
    stored = environment.stored_baseline if isinstance(environment, Environment) else None
    fingerprints = [entry.fingerprint for entry in record.baselines if entry.spec == verdict.baseline]
    if not fingerprints and stored is not None:
        fingerprints = [stored.fingerprint]
    known = fingerprints[0] if fingerprints else ""
    return Baseline(str(verdict.baseline), known or f"of run {record.run}")


def _refused(one: Contender, found: Sequence[Contender], rule: SelectionRule) -> tuple[str, ...]:
    """Say why a contender is not eligible: whatever is not known to be good is not."""
    reasons = list(one.problems)
    wanted = {suite for other in found for suite in other.verdicts}
    wanted |= {objective.suite for objective in rule.objectives} | set(rule.require)
    for suite in sorted(wanted):
        verdict = one.verdicts.get(suite)
        if verdict is None:
            reasons.append(f"{suite}: no verdict")
        elif verdict.status is not Status.PASS:
            missed = ", ".join(verdict.missed_must_pass)
            why = f"must_pass missed: {missed}" if missed else (verdict.reasons or ("",))[0]
            reasons.append(f"{suite}: {verdict.status.value}: {why}")
        reasons += _unlike(suite, one, found)
    # Suites that pass one by one can hide a drop of all of them together.
    reasons += [
        f"release: {release.status.value}: {(release.reasons or ('',))[0]}"
        for release in one.releases.values()
        if release.status is not Status.PASS and not reasons
    ]
    for suite in dict.fromkeys(objective.suite for objective in rule.objectives):
        verdict, cases = one.verdicts.get(suite), one.cases.get(suite, ())
        if verdict is None:
            continue
        if verdict.not_needed:
            reasons.append(
                f"{suite}: stopped early and lacks {verdict.not_needed} cases: run it without --early-stop"
            )
        elif not cases or any(result.score is None for result in cases):
            reasons.append(f"{suite}: cases were not decided")
        else:
            keys = {case_identity(result) for result in cases}
            fuller = [
                o for o in found if not keys >= {case_identity(result) for result in o.cases.get(suite, ())}
            ]
            if fuller:
                reasons.append(
                    f"{suite}: answered other cases than {fuller[0].name}, fewer, or under other sampling: "
                    "gate both alike, or leave one out"
                )
    return tuple(dict.fromkeys(reasons))


def _unlike(suite: str, one: Contender, found: Sequence[Contender]) -> list[str]:
    """Say how a contender's gate on a suite was not that of the others; neither of two is the right one."""
    reasons = []
    mine = one.verdicts.get(suite)
    for other in found:
        theirs = other.verdicts.get(suite)
        if mine is None or theirs is None:
            continue
        against, otherwise = one.baselines.get(suite), other.baselines.get(suite)
        if against and otherwise and against.identity != otherwise.identity:
            reasons.append(
                f"{suite}: gated against {against}, {other.name} against {otherwise}: gate both against one "
                "baseline, or leave one out"
            )
        if mine.gate != theirs.gate:
            own, others = mine.gate.as_dict(), theirs.gate.as_dict()
            apart = [f"{name} {own[name]}, there {others[name]}" for name in own if own[name] != others[name]]
            reasons.append(
                f"{suite}: gated under another policy than {other.name} ({'; '.join(apart)}): gate both "
                "under one, or leave one out"
            )
        if reasons:
            break
    return reasons


def _lexicographic(eligible: Sequence[Contender], rule: SelectionRule) -> list[Contender]:
    """Order by the first suite; those not distinguishable from its leader by the next, and so on."""
    from harness.stats.multiplicity import holm

    ahead, behind = list(eligible), list[Contender]()
    for objective in rule.objectives:
        leader, *others = sorted(ahead, key=lambda one: -_mean(one, objective.suite))
        p_values = holm([_p_value(leader, one, (objective,)) for one in others])
        close = [one for one, p in zip(others, p_values, strict=True) if p > rule.alpha]
        behind = [*(one for one in others if one not in close), *behind]
        ahead = [leader, *close]
    by_suite = sorted(ahead, key=lambda one: [-_mean(one, objective.suite) for objective in rule.objectives])
    return [*by_suite, *behind]


def _mean(one: Contender, suite: str) -> float:
    scores = [result.score for result in one.cases[suite] if result.score is not None]
    return sum(scores) / len(scores)


def _value(one: Contender, objectives: Sequence[Objective]) -> float:
    total = sum(objective.weight for objective in objectives)
    return sum(objective.weight * _mean(one, objective.suite) for objective in objectives) / total


def _p_value(best: Contender, other: Contender, objectives: Sequence[Objective]) -> float:
    """Return the two-sided p-value of the difference in weighted score, by sign flips per cluster."""
    import numpy as np

    from harness.stats.clusters import group
    from harness.stats.sign_flips import sign_flips

    # In units of one case of mean weight: what counts as equal must not depend on how weights are spelled.
    unit = sum(objective.weight for objective in objectives) / sum(
        len(best.cases[objective.suite]) for objective in objectives
    )
    values: list[NDArray[np.float64]] = []
    clusters: list[object] = []
    for objective in objectives:
        theirs = {case_identity(result): result for result in other.cases[objective.suite]}
        pairs = [(result, theirs[case_identity(result)]) for result in best.cases[objective.suite]]
        found = np.array([(b.score or 0.0) - (a.score or 0.0) for a, b in pairs])
        found[np.abs(found) <= _SAME] = 0.0
        values.append(found * (objective.weight / unit / len(found)))
        # A cluster is one fate within a suite: suites ask different things.
        clusters += [(objective.suite, cluster_of(result)) for result, _ in pairs]
    joined = np.concatenate(values)
    if not joined.any():
        return 1.0
    grouped = group(joined, clusters)
    worse = sign_flips(grouped.totals, grouped.sizes).p_value
    better = sign_flips(-grouped.totals, grouped.sizes).p_value
    return min(1.0, 2.0 * min(worse, better))


def case_identity(result: CaseResult) -> tuple[object, ...]:
    """Return what two results share that answer the same case under the same sampling."""
    return (result.golden, result.test, result.case_id, result.content_hash, result.config_hash)
