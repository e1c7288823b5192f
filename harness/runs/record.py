"""The record of one session: what ran, what every case scored, what every gate said.

It is what `--harness-json` writes and what the run store keeps; `harness/report/record.schema.json` describes
it for other programs.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from harness.case_result import CaseResult, Role
from harness.errors import HarnessError, IntegrityError, UsageError
from harness.exit_codes import Condition
from harness.files.read_json import InvalidJsonError, loads
from harness.files.write_json import dump, encodable, json_line
from harness.gate.classification import Classification, classify
from harness.gate.diagnostics import Diagnostic
from harness.gate.release import Release
from harness.gate.slices import SliceResult
from harness.gate.verdict import Verdict
from harness.runs.run_checkpoint import RunCheckpoint
from harness.runs.run_environment import ComparedEnvironments, Environment, environment_from_dict

__all__ = [
    "SCHEMA_VERSION",
    "RunRecord",
    "candidate_of",
    "case_entries",
    "is_run_id",
    "new_run_id",
    "results_of",
]

SCHEMA_VERSION = 2
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DEPTH = 512


@dataclass(frozen=True)
class RunRecord:
    """One session.

    Attributes:
        run: Id, unique in its store; see `new_run_id`.
        created: When the session started, ISO 8601 in UTC; see `harness.clock`.
        environment: Versions, platform, git commit, seed, command line.
        checkpoints: Candidates, baseline and judge.
        verdicts: One per suite × candidate.
        releases: One per candidate.
        slices: One per suite × candidate × tag.
        diagnostics: One per suite × candidate × property of its answers.
        cases: Every result, of candidates and baselines.
        conditions: Every condition of the exit code that held.
        exit_code: What the session exits with.
        complete: Whether every planned case was reported and every worker has ended well.
        partial: Whether cases were deselected on purpose.
        waived: Whether an inconclusive session was let through on demand (`--inconclusive=warn`).
        nonce: Repeats what the parent process handed to this session, to prove whose record it is.
    """

    run: str
    created: str
    environment: Environment | ComparedEnvironments = field(default_factory=Environment)
    checkpoints: tuple[RunCheckpoint, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    releases: tuple[Release, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    conditions: tuple[Condition, ...] = ()
    exit_code: int = 0
    complete: bool = False
    partial: bool = False
    waived: bool = False
    nonce: str | None = None

    def __post_init__(self) -> None:
        if not is_run_id(self.run):
            raise HarnessError(f"{self.run!r} is no run id: letters, digits, '.', '_' and '-', at most 80")
        for name in ("checkpoints", "verdicts", "releases", "slices", "diagnostics", "cases", "conditions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def candidates(self) -> tuple[RunCheckpoint, ...]:
        """The checkpoints that were gated."""
        return tuple(entry for entry in self.checkpoints if entry.role == "candidate")

    @property
    def baselines(self) -> tuple[RunCheckpoint, ...]:
        """What they were compared with: one checkpoint, or none where that is a stored run or nothing."""
        return tuple(entry for entry in self.checkpoints if entry.role == "baseline")

    @property
    def not_needed(self) -> int:
        """Selected cases that were not run because their suites were settled (`--early-stop`)."""
        return sum(verdict.not_needed for verdict in self.verdicts)

    def results(self, verdict: Verdict, role: Role = Role.CANDIDATE) -> tuple[CaseResult, ...]:
        """Return the results that a verdict is about: its candidate's, or its baseline's."""
        name = verdict.checkpoint if role is Role.CANDIDATE else verdict.baseline
        specs = {name} | {entry.spec for entry in self.checkpoints if entry.name == name}
        return tuple(
            result
            for result in self.cases
            if result.role is role and result.suite == verdict.suite and result.checkpoint in specs
        )

    @functools.cached_property
    def classifications(self) -> tuple[Classification, ...]:
        """Accuracy, precision, recall and F1 of every suite whose cases carry labels, for both sides.

        They follow from the cases, so they are computed anew wherever a record is read.
        """
        found = {}
        for verdict in self.verdicts:
            for role in Role:
                results = self.results(verdict, role)
                one = classify(results, alpha=verdict.alpha) if any(r.label for r in results) else None
                if one is not None:
                    found[(one.suite, one.checkpoint, one.role)] = one
        return tuple(found.values())

    def head(self) -> dict[str, Any]:
        """Return everything but the cases, as plain JSON values whose text can be encoded."""
        head: dict[str, Any] = encodable(
            {
                "schema_version": SCHEMA_VERSION,
                "run": self.run,
                "created": self.created,
                "complete": self.complete,
                "partial": self.partial,
                "waived": self.waived,
                "exit_code": self.exit_code,
                "nonce": self.nonce,
                "conditions": [asdict(condition) for condition in self.conditions],
                "environment": self.environment.as_dict(),
                "checkpoints": [entry.as_dict() for entry in self.checkpoints],
                "verdicts": [verdict.as_dict() for verdict in self.verdicts],
                "releases": [release.as_dict() for release in self.releases],
                "slices": [one.as_dict() for one in self.slices],
                "diagnostics": [one.as_dict() for one in self.diagnostics],
                "classifications": [one.as_dict() for one in self.classifications],
            }
        )
        return head

    def as_dict(self) -> dict[str, Any]:
        """Return the whole record as plain JSON values whose text can be encoded."""
        return self.head() | {
            "cases": encodable(case_entries(self.cases)),
            "baseline_cases": encodable(self._baseline_entries()),
        }

    def to_json(self) -> str:
        """Return the record as JSON text in ASCII, without NaN, a case a line; `from_json` reads it back.

        Raises:
            HarnessError: A number is not finite, or a value is none of JSON's.
        """
        parts = [dump(self.head()).removesuffix("\n}")]
        for name, entries in (
            ("cases", case_entries(self.cases)),
            ("baseline_cases", self._baseline_entries()),
        ):
            lines = ",\n".join(f"  {json_line(entry)}" for entry in entries)
            parts.append(f' "{name}": [\n{lines}\n ]' if lines else f' "{name}": []')
        return ",\n".join(parts) + "\n}"

    def _baseline_entries(self) -> list[dict[str, Any]]:
        return [_entry(result) for result in self.cases if result.role is Role.BASELINE]

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Read what `to_json` wrote.

        Raises:
            IntegrityError: It is no record of this schema version, or it is damaged.
        """
        try:
            data = loads(text, max_depth=_DEPTH)
        except InvalidJsonError as problem:
            raise IntegrityError(f"not a run record: {problem}") from None
        if not isinstance(data, dict):
            raise IntegrityError("not a run record: expected a JSON object")
        try:
            entries = [*data["cases"], *data["baseline_cases"]]
            return cls.from_head(data, [_result(entry) for entry in entries])
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise IntegrityError(f"not a run record: {_said(problem)}") from None

    @classmethod
    def from_head(cls, data: Mapping[str, Any], cases: Sequence[CaseResult]) -> RunRecord:
        """Build a record from what `head` returned and the cases.

        Raises:
            IntegrityError: It is no record of this schema version, or it is damaged.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise IntegrityError(
                f"a run record of schema version {version!r}; this version of Checkpoint Harness reads "
                f"{SCHEMA_VERSION}"
            )
        try:
            return cls(
                run=data["run"],
                created=data["created"],
                environment=environment_from_dict(data["environment"]),
                checkpoints=tuple(RunCheckpoint.from_dict(entry) for entry in data["checkpoints"]),
                verdicts=tuple(Verdict.from_dict(verdict) for verdict in data["verdicts"]),
                releases=tuple(Release.from_dict(release) for release in data["releases"]),
                slices=tuple(SliceResult.from_dict(one) for one in data["slices"]),
                diagnostics=tuple(Diagnostic.from_dict(one) for one in data["diagnostics"]),
                cases=tuple(cases),
                conditions=tuple(Condition(**condition) for condition in data["conditions"]),
                exit_code=data["exit_code"],
                complete=data["complete"],
                partial=data["partial"],
                waived=data["waived"],
                nonce=data["nonce"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, HarnessError) as problem:
            raise IntegrityError(f"a damaged run record: {_said(problem)}") from None


def candidate_of(record: RunRecord, checkpoint: str | None) -> str:
    """Return the spec of a run's only candidate, or of the one named.

    Raises:
        UsageError: It has none, several and none is named, or none of that name.
    """
    names = {entry.spec: entry.name for entry in record.candidates}
    if checkpoint is not None:
        for spec, name in names.items():
            if checkpoint in (spec, name):
                return spec
    elif len(names) == 1:
        return next(iter(names))
    shown = ", ".join(names.values()) or "none"
    if checkpoint is not None:
        raise UsageError(f"run {record.run} has no candidate {checkpoint!r}: it gated {shown}")
    raise UsageError(f"run {record.run} gated {shown}: name one of them, as in  {record.run}#CHECKPOINT")


def results_of(record: RunRecord, spec: str, role: Role = Role.BASELINE) -> tuple[CaseResult, ...]:
    """Return the results of one candidate of a run, in the role that they are to play."""
    return tuple(
        result.in_role(role)
        for result in record.cases
        if result.checkpoint == spec and result.role is Role.CANDIDATE
    )


def new_run_id(created: str) -> str:
    """Return a fresh run id that sorts by time, such as `20260314-092653-5f2c`.

    Args:
        created: As `harness.clock.utc_now` returns it.
    """
    moment = datetime.fromisoformat(created.replace("Z", "+00:00")).astimezone(timezone.utc)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def is_run_id(text: str) -> bool:
    """Whether a text can be a run's id: also a safe name of a directory."""
    return _RUN_ID.fullmatch(text) is not None


def case_entries(cases: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Return one entry per candidate's result, with the baseline's score, outcome and output beside it."""
    baseline = {result.pair_key: result for result in cases if result.role is Role.BASELINE}
    entries = []
    for result in cases:
        if result.role is not Role.CANDIDATE:
            continue
        other = baseline.get(result.pair_key)
        entry = _entry(result)
        entry["baseline_score"] = None if other is None else other.score
        entry["baseline_outcome"] = None if other is None else other.outcome.value
        entry["baseline_output"] = None if other is None else _first(other.outputs)
        entries.append(entry)
    return entries


def _entry(result: CaseResult) -> dict[str, Any]:
    entry = result.as_dict()
    entry["id"] = entry.pop("case_id")
    entry["score"] = result.score
    entry["output"] = _first(result.outputs)
    return entry


def _result(entry: Mapping[str, Any]) -> CaseResult:
    fields = {name: entry[name] for name in CaseResult.__dataclass_fields__ if name != "case_id"}
    return CaseResult.from_dict(fields | {"case_id": entry["id"]})


def _first(outputs: Sequence[str]) -> str | None:
    return outputs[0] if outputs else None


def _said(problem: Exception) -> str:
    return f"{problem.args[0]!r} is missing" if isinstance(problem, KeyError) else str(problem)
