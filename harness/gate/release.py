"""The decision on one candidate: may it ship? The suites of one candidate are one family.

Other candidates of a session, a comparison or the store never change it. The first rule that holds decides:

1. REGRESSED: a suite that counts is REGRESSED, or all of them together show a drop.
2. FAILED: a suite that counts misses an absolute requirement.
3. INCONCLUSIVE: a required suite is missing, a critical suite is INCONCLUSIVE or none PASSes, the two sides
   are the same weights, or a drop over all suites together is not excluded.
4. PASS.

A `supporting` suite can block and not delay; an `advisory` one is shown and does neither.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.exit_codes import Condition, ExitCode
from harness.gate.decide import settle
from harness.gate.evidence import Evidence
from harness.gate.pairing import cluster_of
from harness.gate.policy import ReleasePolicy
from harness.gate.verdict import Status, Verdict, percent, points
from harness.stats.clusters import group
from harness.stats.exclusion import exclude_pooled_drop
from harness.stats.family import FamilyDecision, Question, decide_by_p_values, decide_family
from harness.stats.paired import SAME

__all__ = ["EarlierRun", "Release", "conditions_of", "decide_release", "decide_releases"]

_CODES = {
    Status.PASS: ExitCode.PASS,
    Status.REGRESSED: ExitCode.REGRESSED,
    Status.FAILED: ExitCode.REGRESSED,
    Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True)
class EarlierRun:
    """A stored run that gated the same weights before.

    Attributes:
        run: Its id.
        created: ISO 8601 in UTC.
        status: What it said of the candidate.
    """

    run: str
    created: str
    status: Status


@dataclass(frozen=True)
class Release:
    """The decision on one candidate.

    Attributes:
        checkpoint: Spec of the candidate.
        baseline: What it was compared with; None without one.
        status: PASS, REGRESSED, FAILED or INCONCLUSIVE.
        reasons: Why, one sentence each, the deciding ones first.
        alpha: Chance that an unchanged candidate is blocked.
        family: How many suites share alpha.
        p_value: Of the test whether anything in them fell; None where nothing was compared.
        delta: Mean difference over all compared cases, in [−1, 1]; None where nothing was compared.
        earlier: Stored runs of the same weights, oldest first: each was a try to pass.
    """

    checkpoint: str
    baseline: str | None
    status: Status
    reasons: tuple[str, ...]
    alpha: float
    family: int = 0
    p_value: float | None = None
    delta: float | None = None
    earlier: tuple[EarlierRun, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that this candidate asks for."""
        return _CODES[self.status]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        earlier = [dataclasses.asdict(run) | {"status": run.status.value} for run in self.earlier]
        return dataclasses.asdict(self) | {
            "status": self.status.value,
            "reasons": list(self.reasons),
            "earlier": earlier,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Release:
        """Read what `as_dict` wrote."""
        earlier = tuple(EarlierRun(**{**run, "status": Status(run["status"])}) for run in data["earlier"])
        status, reasons = Status(data["status"]), tuple(data["reasons"])
        return cls(**{**data, "status": status, "reasons": reasons, "earlier": earlier})


def conditions_of(releases: Sequence[Release]) -> tuple[Condition, ...]:
    """Return what asks for an exit code other than 0: one condition for each reason of each candidate."""
    return tuple(
        Condition(int(release.exit_code), f"{release.checkpoint}: {reason}")
        for release in releases
        if release.status is not Status.PASS
        for reason in release.reasons
    )


def decide_releases(
    decided: Sequence[tuple[Evidence, Verdict]], policy: ReleasePolicy | None = None
) -> tuple[tuple[Verdict, ...], tuple[Release, ...]]:
    """Decide each candidate by itself; verdicts and releases come in the order of what was given.

    Args:
        decided: Each suite × candidate with its verdict as a lone question.
        policy: What every release demands.
    """
    candidates = dict.fromkeys(verdict.checkpoint for _, verdict in decided)
    settled: dict[tuple[str, str], Verdict] = {}
    releases = []
    for checkpoint in candidates:
        verdicts, release = decide_release([d for d in decided if d[1].checkpoint == checkpoint], policy)
        settled |= {(verdict.suite, checkpoint): verdict for verdict in verdicts}
        releases.append(release)
    return tuple(settled[verdict.suite, verdict.checkpoint] for _, verdict in decided), tuple(releases)


def decide_release(
    decided: Sequence[tuple[Evidence, Verdict]], policy: ReleasePolicy | None = None
) -> tuple[tuple[Verdict, ...], Release]:
    """Decide one candidate: adjust its suites' questions to each other, settle them, and draw the sum.

    Args:
        decided: Its suites with their verdicts as lone questions, at least one.
        policy: What the release demands.
    """
    policy = policy or ReleasePolicy()
    plain = [dataclasses.replace(verdict, adjusted_p=None) for _, verdict in decided]
    counted = [index for index, verdict in enumerate(plain) if verdict.gate.tier != "advisory"]
    alpha = max(plain[index].gate.alpha for index in counted or range(len(plain)))
    tested = [index for index in counted if plain[index].gate.needs_baseline and plain[index].is_compared]
    family = _family([(decided[index][0], plain[index]) for index in tested], alpha)
    if family is not None:
        for index, adjusted in zip(tested, family.adjusted, strict=True):
            plain[index] = dataclasses.replace(plain[index], adjusted_p=adjusted)
    verdicts = tuple(settle(verdict) for verdict in plain)
    spread = None if family is None else _spread_drop(family, [verdicts[index] for index in tested])
    pooled = _pooled_drop_that_is_left([(decided[index][0], verdicts[index]) for index in tested], alpha)
    status, reasons = _summed(verdicts, [verdicts[index] for index in counted], policy, spread, pooled)
    return verdicts, Release(
        checkpoint=verdicts[0].checkpoint,
        baseline=next((verdict.baseline for verdict in verdicts if verdict.baseline is not None), None),
        status=status,
        reasons=reasons,
        alpha=alpha,
        family=len(tested),
        p_value=None if family is None else family.p_value,
        delta=None if family is None else family.pooled,
    )


def _family(tested: Sequence[tuple[Evidence, Verdict]], alpha: float) -> FamilyDecision | None:
    """Decide the suites' questions together; None where there is none."""
    if not tested:
        return None
    questions = [_question(evidence, verdict) for evidence, verdict in tested]
    looked = any(v.comparison is not None and v.comparison.looked_early for _, v in tested)
    return (decide_by_p_values if looked else decide_family)(questions, alpha=alpha)


def _question(evidence: Evidence, verdict: Verdict) -> Question:
    import numpy as np

    compared = verdict.comparison
    assert compared is not None
    pairs = evidence.pairing.pairs
    clusters = [cluster_of(pair.candidate) for pair in pairs]
    differences = np.array([pair.difference for pair in pairs], dtype=np.float64)
    differences[np.abs(differences) <= SAME] = 0.0
    grouped = group(differences, clusters)
    # A variant of a set, such as `jailbreaks:safety`, asks about the same cases as the set itself.
    origin = evidence.golden.rpartition(":")[2]
    margin = verdict.margin_here
    return Question(
        totals=grouped.totals,
        sizes=grouped.sizes,
        p_value=compared.p_value,
        units=[(origin, cluster) for cluster in dict.fromkeys(clusters)],
        share=verdict.gate.share,
        margin=margin,
        is_below_zero=compared.bounds[1] < (-margin if verdict.gate.minimum_effect else 0.0),
    )


def _pooled_drop_that_is_left(tested: Sequence[tuple[Evidence, Verdict]], alpha: float) -> str | None:
    """Say that a drop over all suites together is not excluded; None where it is, or there is one suite."""
    looked = any(v.comparison is not None and v.comparison.looked_early for _, v in tested)
    if len(tested) < 2 or looked or any(verdict.same_weights for _, verdict in tested):
        return None
    cases = sum(verdict.n for _, verdict in tested)
    drop = sum((verdict.rules_out or 0.0) * verdict.n for _, verdict in tested) / cases
    if not 0.0 < drop < 1.0:
        return None
    questions = [_question(evidence, verdict) for evidence, verdict in tested]
    pooled = exclude_pooled_drop(questions, drop=drop, level=alpha)
    if pooled.excluded:
        return None
    return (
        f"over all {len(tested)} suites together a drop of {percent(round(drop, 4))} is not ruled out: the "
        f"interval reaches down to {points(pooled.lower)} points"
    )


def _spread_drop(family: FamilyDecision, tested: Sequence[Verdict]) -> str | None:
    """Say that all suites together fell where that is shown and no single one is; else None."""
    if not family.blocks or family.named or any(verdict.same_weights for verdict in tested):
        return None
    numbers = f"p = {family.p_value:.2g} over {len(tested)} suites"
    if family.suspects:
        names = ", ".join(tested[index].suite for index in family.suspects)
        return f"a drop is shown ({numbers}), though in no suite by itself: look first at {names}"
    return f"a loss spread over the suites is shown: {points(family.pooled)} points, {numbers}"


def _summed(
    verdicts: Sequence[Verdict],
    counted: Sequence[Verdict],
    policy: ReleasePolicy,
    spread: str | None,
    pooled: str | None,
) -> tuple[Status, tuple[str, ...]]:
    """Return the status of a release, and why.

    Args:
        verdicts: Of all suites.
        counted: Of those that are not advisory.
        policy: What the release demands.
        spread: That all suites together fell, though none is shown to by itself; None where that is not so.
        pooled: That a drop over all suites together is not excluded; None where it is.
    """
    for status in (Status.REGRESSED, Status.FAILED):
        against = [verdict for verdict in counted if verdict.status is status]
        if against:
            return status, tuple(_reason(verdict) for verdict in against)
        if spread is not None:
            return Status.REGRESSED, (spread,)
    open_questions = [
        f"{suite}: a required suite was not gated"
        for suite in policy.required
        if suite not in {verdict.suite for verdict in verdicts}
    ]
    open_questions += [f"{v.suite}: only a part of it was selected" for v in counted if v.partial]
    critical = [verdict for verdict in counted if verdict.gate.tier == "critical"]
    open_questions += [
        _reason(verdict)
        for verdict in critical
        if verdict.status is Status.INCONCLUSIVE and not verdict.partial
    ]
    if not critical:
        open_questions.append("no critical suite was gated, so nothing says that the candidate may ship")
    if pooled is not None and not open_questions:
        open_questions.append(pooled)
    if open_questions:
        return Status.INCONCLUSIVE, tuple(open_questions)
    undecided = [v.suite for v in counted if v.status is Status.INCONCLUSIVE]
    passed = f"every critical suite passes ({len(critical)})"
    if undecided:
        passed += f"; supporting and inconclusive: {', '.join(undecided)}"
    return Status.PASS, (passed,)


def _reason(verdict: Verdict) -> str:
    why = verdict.reasons[0] if verdict.reasons else ""
    return f"{verdict.suite}: {verdict.status.value}" + (f": {why}" if why else "")
