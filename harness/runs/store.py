"""Runs on disk, and the baselines that point at them.

`runs/<id>/run.json` holds a record without its cases, `runs/<id>/cases.parquet` the cases of every
checkpoint, and `baselines/<name>.json` the run and checkpoint that were accepted under a name. Each file is
data, never code; a run appears whole or not at all, and is read back only if its bytes are those written.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.case_result import CaseResult
from harness.cases import content_digest
from harness.clock import utc_now
from harness.errors import ConfigurationError, IntegrityError, StoreError, UsageError
from harness.exit_codes import ExitCode
from harness.files.digest import file_sha256
from harness.files.durable import sync_directory, write_synced
from harness.files.read_json import read_json
from harness.files.state_folder import make_state_folder
from harness.files.write_json import dump, encodable
from harness.gate.verdict import Status
from harness.runs.case_table import read_cases, write_cases
from harness.runs.record import RunRecord, candidate_of, is_run_id, results_of

__all__ = ["AcceptedBaseline", "RunStore", "RunSummary"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BLOCKING = (Status.REGRESSED, Status.FAILED)
_STAGING = ".staging-"
_STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class RunSummary:
    """One line about a stored run.

    Attributes:
        run: Its id.
        created: ISO 8601 in UTC; empty for a damaged run.
        statuses: `{(suite, checkpoint): status}`.
        exit_code: What the session exited with; None for a damaged run.
        complete: Whether every planned case was reported.
        partial: Whether cases were deselected.
        problem: Why the run cannot be read; None where it can.
    """

    run: str
    created: str
    statuses: Mapping[tuple[str, str], str]
    exit_code: int | None
    complete: bool
    partial: bool
    problem: str | None = None


@dataclass(frozen=True)
class AcceptedBaseline:
    """A run that was accepted as a baseline.

    Attributes:
        name: The baseline's name.
        run: The run's id.
        checkpoint: Spec string of the checkpoint whose results it stands for.
        accepted: When, ISO 8601 in UTC.
        record: The whole run.
    """

    name: str
    run: str
    checkpoint: str
    accepted: str
    record: RunRecord

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        """The results of the accepted checkpoint, in the role of a baseline."""
        return results_of(self.record, self.checkpoint)


class RunStore:
    """The runs and baselines under one directory, `.harness` by convention.

    Args:
        path: The directory; made at the first write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    # --- runs ------------------------------------------------------------------------------------------

    def write(self, record: RunRecord) -> Path:
        """Store a run and return its directory. It appears whole or not at all.

        Raises:
            StoreError: The id is taken, or the disk is full or read-only; what was there is kept.
        """
        runs = self.path / "runs"
        final = runs / record.run
        staging = runs / f"{_STAGING}{record.run}-{os.getpid()}"
        try:
            make_state_folder(self.path)
            runs.mkdir(parents=True, exist_ok=True)
            _sweep(runs)
            if final.exists():
                raise StoreError(f"{final}: a run of this id is stored already; runs are never overwritten")
            staging.mkdir()
            cases = staging / "cases.parquet"
            head = record.head() | {"files": {"cases.parquet": write_cases(cases, record.cases)}}
            head["sha256"] = content_digest(head)
            write_synced(staging / "run.json", dump(head).encode("ascii"))
            sync_directory(staging)
            staging.rename(final)
            sync_directory(runs)
        except OSError as problem:
            shutil.rmtree(staging, ignore_errors=True)
            reason = problem.strerror or str(problem)
            raise StoreError(f"{final}: the run could not be stored: {reason}; nothing was changed") from None
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return final

    def read(self, run: str) -> RunRecord:
        """Return a stored run.

        Args:
            run: Its id, or the beginning of it that fits no other run.

        Raises:
            UsageError: No run, or more than one, fits.
            IntegrityError: A file of the run is damaged, missing or edited; it is named.
        """
        folder = self.path / "runs" / self.find(run)
        head = read_json(folder / "run.json", error=IntegrityError)
        _check_digest(folder / "run.json", head)
        cases_path = folder / "cases.parquet"
        try:
            digest = str(head["files"]["cases.parquet"])
        except (KeyError, TypeError):
            raise IntegrityError(f"{folder / 'run.json'}: does not say what the cases' digest is") from None
        try:
            cases = read_cases(cases_path, digest)
        except OSError as problem:
            raise IntegrityError(f"{cases_path}: cannot be read: {problem.strerror or problem}") from None
        try:
            record = RunRecord.from_head(head, cases)
        except IntegrityError as problem:
            raise IntegrityError(f"{folder / 'run.json'}: {problem}") from None
        if record.run != folder.name:
            raise IntegrityError(f"{folder / 'run.json'}: is the record of run {record.run!r}")
        return record

    def head(self, run: str) -> RunRecord:
        """Return a stored run without its cases.

        Raises:
            IntegrityError: Its file is damaged, missing or edited.
        """
        path = self.path / "runs" / run / "run.json"
        head = read_json(path, error=IntegrityError)
        _check_digest(path, head)
        return RunRecord.from_head(head, ())

    def find(self, run: str) -> str:
        """Return the id that a run's id or its beginning stands for.

        Raises:
            UsageError: No run, or more than one, fits.
        """
        ids = self.ids()
        if run in ids:
            return run
        fitting = [one for one in ids if run and one.startswith(run)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            shown = ", ".join(fitting[:5])
            raise UsageError(f"{len(fitting)} runs begin with {run!r}: {shown}; type more of the id")
        newest = f": the newest is {ids[-1]}" if ids else ": run pytest with --model first"
        raise UsageError(f"no run {run!r} in {self.path / 'runs'}{newest}")

    def delete(self, run: str) -> None:
        """Delete a stored run.

        Raises:
            UsageError: There is no such run, or a baseline stands for it.
            StoreError: It cannot be removed.
        """
        identity = self.find(run)
        for name in self.baselines():
            pointer = read_json(self._baseline_path(name), error=IntegrityError)
            if pointer.get("run") == identity:
                raise UsageError(
                    f"run {identity} is the baseline {name!r}: accept another run as it first, with  "
                    f"harness baseline accept RUN --name {name}"
                )
        folder = self.path / "runs" / identity
        staging = folder.with_name(f"{_STAGING}{identity}-{os.getpid()}")
        try:
            folder.rename(staging)  # gone whole, or not at all
            shutil.rmtree(staging)
        except OSError as problem:
            raise StoreError(f"{folder}: cannot be deleted: {problem.strerror or problem}") from None

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all stored runs, sorted."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.path / "runs") if entry.is_dir())
        except FileNotFoundError:
            return ()
        except OSError as problem:
            raise StoreError(f"{self.path / 'runs'}: {problem.strerror or problem}") from None
        return tuple(name for name in names if is_run_id(name))

    def list(self) -> tuple[RunSummary, ...]:
        """Return a line about each stored run, oldest first; a damaged one is listed with its problem."""
        summaries = [self._summary(run) for run in self.ids()]
        return tuple(sorted(summaries, key=lambda summary: (summary.created, summary.run)))

    def _summary(self, run: str) -> RunSummary:
        try:
            record = self.head(run)
        except StoreError as problem:
            return RunSummary(run, "", {}, None, complete=False, partial=False, problem=str(problem))
        return RunSummary(
            run=run,
            created=record.created,
            statuses={(v.suite, v.checkpoint): v.status.value for v in record.verdicts},
            exit_code=record.exit_code,
            complete=record.complete,
            partial=record.partial,
        )

    # --- baselines -------------------------------------------------------------------------------------

    def accept(
        self,
        run: str,
        name: str = "main",
        *,
        checkpoint: str | None = None,
        ci: bool = False,
        force: bool = False,
        blocked_too: bool = False,
    ) -> AcceptedBaseline:
        """Make a run's candidate the baseline of this name, in place of what it was before.

        Args:
            run: Id of the run, or its beginning.
            name: The baseline's name.
            checkpoint: Name or spec of the candidate, where the run gated several.
            ci: Whether this is a CI job, where a baseline must not move by itself.
            force: Accept in a CI job all the same.
            blocked_too: Accept a candidate that a gate has blocked.

        Raises:
            UsageError: The run is partial, incomplete, blocked its candidate, no evidence or has undecided
                cases, its candidate is ambiguous, or this is a CI job.
            IntegrityError: The run is damaged.
        """
        path = self._baseline_path(name)
        if ci and not force:
            raise UsageError(
                f"baseline {name!r} was not updated: CI is set, and a build must not move what it is "
                "measured against; accept the run from a checkout, or pass --force"
            )
        record = self.read(run)
        if record.partial:
            raise UsageError(
                f"run {record.run} saw only a part of its cases: run the whole suite, then accept"
            )
        if not record.complete:
            raise UsageError(f"run {record.run} did not finish: run it again, then accept")
        if record.not_needed:
            raise UsageError(
                f"run {record.run} stopped early and lacks {record.not_needed} cases: a baseline needs every "
                "case; run it without --early-stop, then accept"
            )
        spec = candidate_of(record, checkpoint)
        no_evidence = [
            *(
                entry.rewritten
                for entry in record.candidates
                if entry.spec == spec and entry.rewritten is not None
            ),
            *(why for verdict in record.verdicts if verdict.checkpoint == spec for why in verdict.distrusted),
        ]
        if no_evidence:
            raise UsageError(f"run {record.run}: {no_evidence[0]}: run it again, then accept")
        undecided = [r for r in record.cases if r.checkpoint == spec and r.score is None]
        if undecided:
            raise UsageError(
                f"run {record.run} left {len(undecided)} cases of {spec} undecided (first: "
                f"{undecided[0].case_id!r}): a baseline needs every case; run it again, then accept"
            )
        blocked = [v.suite for v in record.verdicts if v.checkpoint == spec and v.status in _BLOCKING]
        blocked += [
            next(iter(release.reasons), "all suites together")
            for release in record.releases
            if release.checkpoint == spec and release.status in _BLOCKING and not blocked
        ]
        of_candidates = tuple(f"{release.checkpoint}: " for release in record.releases)
        blocked += [
            condition.reason
            for condition in record.conditions
            if condition.code == ExitCode.REGRESSED and not condition.reason.startswith(of_candidates)
        ]
        if blocked and not blocked_too:
            raise UsageError(
                f"run {record.run} blocked {spec} ({', '.join(blocked)}): as a baseline it would make the "
                "loss the measure of what comes next; accept another run, or this one with --blocked-too"
            )
        accepted = AcceptedBaseline(name, record.run, spec, utc_now(), record)
        pointer = {
            "schema_version": 1,
            "name": name,
            "run": record.run,
            "checkpoint": spec,
            "sha256": file_sha256(self.path / "runs" / record.run / "run.json"),
            "accepted": accepted.accepted,
        }
        staging = path.with_name(f"{_STAGING}{name}-{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_synced(staging, dump(encodable(pointer)).encode("ascii") + b"\n")
            staging.replace(path)
            sync_directory(path.parent)
        except OSError as problem:
            with contextlib.suppress(OSError):
                staging.unlink()
            reason = problem.strerror or str(problem)
            raise StoreError(f"{path}: could not be written: {reason}; the baseline is unchanged") from None
        return accepted

    def baseline(self, name: str = "main") -> AcceptedBaseline:
        """Return the baseline of this name, with its run.

        Raises:
            UsageError: There is none of this name.
            IntegrityError: The baseline's file or its run is damaged, or the run is not the one accepted.
        """
        path = self._baseline_path(name)
        if not path.exists():
            known = ", ".join(self.baselines()) or "none"
            raise UsageError(
                f"no baseline {name!r} in {path.parent} (there: {known}): accept one with  "
                "harness baseline accept RUN"
            )
        pointer = read_json(path, error=IntegrityError)
        try:
            run, spec, digest = str(pointer["run"]), str(pointer["checkpoint"]), pointer["sha256"]
            accepted = str(pointer["accepted"])
        except KeyError as problem:
            raise IntegrityError(f"{path}: {problem.args[0]!r} is missing") from None
        run_file = self.path / "runs" / run / "run.json"
        if not is_run_id(run) or not run_file.is_file():
            raise IntegrityError(
                f"{path}: its run {run!r} is not in {self.path / 'runs'}: accept another run"
            )
        if file_sha256(run_file) != digest:
            raise IntegrityError(f"{run_file}: is not the run that was accepted as baseline {name!r}")
        return AcceptedBaseline(name, run, spec, accepted, self.read(run))

    def baselines(self) -> tuple[str, ...]:
        """Return the names of all baselines, sorted."""
        stems = (path.stem for path in (self.path / "baselines").glob("*.json"))
        return tuple(sorted(stem for stem in stems if _NAME.fullmatch(stem)))

    def _baseline_path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(
                f"{name!r} is no name for a baseline: letters, digits, '.', '_' and '-', at most 64, "
                "starting with a letter or digit"
            )
        return self.path / "baselines" / f"{name}.json"


def _check_digest(path: Path, head: Mapping[str, Any]) -> None:
    """Hold a run's head to the digest of all the rest of it."""
    rest = {key: value for key, value in head.items() if key != "sha256"}
    if head.get("sha256") != content_digest(rest):
        raise IntegrityError(f"{path}: is not what was written with this run (its sha256 differs)")


def _sweep(runs: Path) -> None:
    """Remove what killed writers left behind more than a day ago."""
    oldest = time.time() - _STALE_SECONDS
    for entry in runs.glob(f"{_STAGING}*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry)
