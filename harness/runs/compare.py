"""Compare what stored runs have already found: pair their cases and decide anew, with their own gates."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.case_result import CaseResult, Role
from harness.clock import utc_now
from harness.errors import UsageError
from harness.exit_codes import ExitCode, most_severe
from harness.gate.decide import decide
from harness.gate.diagnostics import Diagnostic, blocked_by, diagnostics
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate, ReleasePolicy
from harness.gate.release import conditions_of, decide_releases
from harness.gate.slices import SliceResult, slices
from harness.gate.verdict import Verdict
from harness.numerics import differences
from harness.runs.measured_suite import MeasuredSuite, what_changed
from harness.runs.record import RunRecord, candidate_of, new_run_id, results_of
from harness.runs.run_checkpoint import RunCheckpoint, RunRole
from harness.runs.run_environment import ComparedEnvironments, Environment, StoredBaseline
from harness.runs.store import RunStore

__all__ = ["Side", "compare_runs", "find_side", "why_not_comparable"]

_PREFIX = "run:"
_SHORTEST = 4


@dataclass(frozen=True)
class Side:
    """A stored run, or one candidate of it.

    Attributes:
        record: The run.
        checkpoint: Spec of the candidate; None for all of the run's.
    """

    record: RunRecord
    checkpoint: str | None = None

    @property
    def specs(self) -> tuple[str, ...]:
        """The candidates that are meant."""
        if self.checkpoint is not None:
            return (self.checkpoint,)
        return tuple(entry.spec for entry in self.record.candidates)

    @functools.cached_property
    def results(self) -> tuple[CaseResult, ...]:
        """The candidates' results, in the role of a baseline."""
        return tuple(result for spec in self.specs for result in results_of(self.record, spec))

    @property
    def not_needed(self) -> int:
        """Cases that these candidates were not asked because their suites were settled (`--early-stop`)."""
        return sum(verdict.not_needed for verdict in self.record.verdicts if verdict.checkpoint in self.specs)

    @property
    def entry(self) -> RunCheckpoint:
        """What the record says of the first candidate that is meant."""
        return next(entry for entry in self.record.candidates if entry.spec == self.specs[0])

    def distrusted(self, suite: str) -> tuple[str, ...]:
        """Say why these candidates' results in a suite are no evidence; empty where they are."""
        of = [v for v in self.record.verdicts if v.suite == suite and v.checkpoint in self.specs]
        return tuple(f"run {self.record.run}: {why}" for verdict in of for why in verdict.distrusted)

    def measured(self, suite: str) -> MeasuredSuite | None:
        """Return what the run has measured in a suite, where its record says so."""
        environment = self.record.environment
        return environment.suites.get(suite) if isinstance(environment, Environment) else None

    @property
    def identity(self) -> StoredBaseline:
        """Which run this is, whatever its name stands for later."""
        return StoredBaseline(self.record.run, self.entry.spec, self.entry.fingerprint)

    def only(self) -> Side:
        """Return the side with its one candidate named.

        Raises:
            UsageError: The run has none or several.
        """
        return Side(self.record, candidate_of(self.record, self.checkpoint))


def find_side(text: str, store: RunStore) -> Side | None:
    """Return the stored run that an argument names, or None where it names a checkpoint.

    `run:NAME` is a baseline or a run, a bare id (or at least 4 characters of its beginning) a run unless a
    file of that name exists; `#CHECKPOINT` after either picks one candidate.

    Raises:
        UsageError: It names a run that is not there, or fits several, or a candidate the run does not have.
        IntegrityError: The run is damaged.
    """
    explicit = text.startswith(_PREFIX)
    name, _, checkpoint = text.removeprefix(_PREFIX).partition("#")
    if explicit and name in store.baselines():
        accepted = store.baseline(name)
        return Side(accepted.record, candidate_of(accepted.record, checkpoint or accepted.checkpoint))
    if not explicit and name not in store.ids():
        begins = len(name) >= _SHORTEST and any(run.startswith(name) for run in store.ids())
        if not begins or Path(text).exists():
            return None
    record = store.read(name)
    return Side(record, candidate_of(record, checkpoint) if checkpoint else None)


def compare_runs(
    baseline: Side,
    candidates: Sequence[Side],
    *,
    allow_same: bool = False,
    policy: ReleasePolicy | None = None,
) -> RunRecord:
    """Decide every suite of the candidates against the baseline's stored results.

    Each suite keeps the gate that its candidate's run decided with. A suite that only the baseline's run
    has is INCONCLUSIVE: it was not run on the candidate.

    Args:
        baseline: What the others are compared with.
        candidates: Runs, or one candidate of each.
        allow_same: Whether runs of the same weights may be compared; otherwise they are INCONCLUSIVE.
        policy: What a release demands beside its suites' gates.

    Raises:
        UsageError: The baseline's run gated several checkpoints and none is named.
        HarnessError: Stored results contradict themselves.
    """
    base = baseline.only()
    assert base.checkpoint is not None
    theirs = results_of(base.record, base.checkpoint)
    decided: list[tuple[Evidence, Verdict]] = []
    slice_results: list[SliceResult] = []
    measured: list[Diagnostic] = []
    cases: list[CaseResult] = []
    entries = [_entry(base, base.checkpoint, "baseline")]
    for side in candidates:
        if not side.specs:
            raise UsageError(f"run {side.record.run} gated no checkpoint: there is nothing to compare")
    sides = {(side.record.run, spec): side for side in candidates for spec in side.specs}
    several = Counter(spec for _, spec in sides)
    for (run, spec), side in sides.items():
        ours = results_of(side.record, spec, Role.CANDIDATE)
        entry = _entry(side, spec, "candidate")
        name = spec
        if several[spec] > 1:  # other weights in each run: what one would type tells them apart
            name = f"{run}#{spec}"
            ours = tuple(replace(result, checkpoint=name) for result in ours)
            entry = replace(entry, spec=name, name=name)
        entries.append(entry)
        problem = why_not_comparable(entry, entries[0], base) or _stopped_early(Side(side.record, spec))
        for suite in sorted({result.suite for result in (*ours, *theirs)}):
            mine = [result for result in ours if result.suite == suite]
            before = _stored_verdict(side.record, suite, spec) or _stored_verdict(base.record, suite, None)
            gate = before.gate if before is not None else Gate()
            golden = mine[0].golden if mine else next(r.golden for r in theirs if r.suite == suite)
            evidence = Evidence(
                suite=suite,
                golden=golden,
                checkpoint=name,
                gate=gate,
                candidate=mine,
                baseline=theirs,
                baseline_name=base.checkpoint,
                planned=before.planned if before is not None and mine else None,
                partial=_is_partial(side.record, before if mine else None),
                baseline_problem=problem or what_changed(side.measured(suite), base.measured(suite)),
                same_weights=not allow_same and entry.fingerprint == entries[0].fingerprint != "",
            )
            changes = diagnostics(evidence)
            measured += changes
            no_evidence = (*Side(side.record, spec).distrusted(suite), *base.distrusted(suite))
            verdict = replace(blocked_by(decide(evidence), changes), distrusted=no_evidence)
            decided.append((evidence, verdict))
            slice_results += slices(evidence)
        cases += ours
    settled, releases = decide_releases(decided, policy)
    conditions = conditions_of(releases)
    return RunRecord(
        run=new_run_id(created := utc_now()),
        created=created,
        environment=ComparedEnvironments(
            compared=(base.record.run, *dict.fromkeys(side.record.run for side in candidates)),
            candidate=candidates[-1].record.environment,
            baseline=base.record.environment,
        ),
        checkpoints=tuple(entries),
        verdicts=settled,
        releases=releases,
        slices=tuple(slice_results),
        diagnostics=tuple(measured),
        cases=(*cases, *theirs),
        conditions=conditions,
        exit_code=most_severe([condition.code for condition in conditions] or [ExitCode.PASS]),
        complete=all(side.record.complete for side in (base, *candidates)),
        partial=any(side.record.partial for side in (base, *candidates)),
    )


def _is_partial(record: RunRecord, verdict: Verdict | None) -> bool:
    """Whether a part of a suite was asked: its own verdict says so, if any does."""
    if verdict is None or not any(one.partial for one in record.verdicts):
        return record.partial or not record.complete
    return verdict.partial or not record.complete


def why_not_comparable(ours: RunCheckpoint, theirs: RunCheckpoint, base: Side) -> str | None:
    """Say why a checkpoint's results cannot be compared with those of a stored baseline, or None.

    Args:
        ours: The candidate; `run` where it is of a stored one.
        theirs: The baseline.
        base: The stored run that the baseline is of.
    """
    if base.record.partial:
        return f"the baseline's run {base.record.run} saw only a part of its cases"
    if not base.record.complete:
        return f"the baseline's run {base.record.run} did not finish"
    if base.not_needed:
        return f"the baseline's run {base.record.run} stopped early and lacks {base.not_needed} cases"
    for entry, run in ((theirs, base.record.run), (ours, ours.run)):
        if entry.rewritten is not None:
            return f"run {run}: {entry.rewritten}: nobody knows whose answers these are; run it again"
    differing = differences(ours.numerics, theirs.numerics, one_backend=ours.backend == theirs.backend)
    if not differing:
        return None
    return f"computed under other numerics than the baseline ({differing}): run both the same way"


def _stopped_early(side: Side) -> str | None:
    if not side.not_needed:
        return None
    return (
        f"run {side.record.run} stopped early and lacks {side.not_needed} cases: its verdict stands, "
        "but it is not compared case by case; run it without --early-stop"
    )


def _entry(side: Side, spec: str, role: RunRole) -> RunCheckpoint:
    unknown = RunCheckpoint(spec=spec, name=spec, role=role)
    entry = next((entry for entry in side.record.candidates if entry.spec == spec), unknown)
    return replace(entry, role=role, run=side.record.run)


def _stored_verdict(record: RunRecord, suite: str, spec: str | None) -> Verdict | None:
    names = {spec} | {entry.name for entry in record.candidates if entry.spec == spec}
    for verdict in record.verdicts:
        if verdict.suite == suite and (spec is None or verdict.checkpoint in names):
            return verdict
    return None
