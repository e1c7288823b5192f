"""Where and how a session ran, as its record keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.runs.measured_suite import MeasuredSuite

__all__ = ["ComparedEnvironments", "Environment", "StoredBaseline", "environment_from_dict"]


@dataclass(frozen=True)
class StoredBaseline:
    """Which stored run a session was compared with: a name such as `run:main` moves on to others.

    Attributes:
        run: Id of the run.
        spec: The candidate of it that was meant.
        fingerprint: Of that candidate.
    """

    run: str
    spec: str
    fingerprint: str


@dataclass(frozen=True)
class Environment:
    """Versions, commit, options and what was asked of one session.

    Attributes:
        python: Version of Python.
        platform: Operating system and machine.
        versions: Package → version.
        git_commit: Of the project; None outside a repository.
        git_dirty: Whether something was not committed; None outside a repository.
        who: User name.
        seed: Of every draw.
        epochs: Samples per case.
        limit: Most cases of a suite that were taken; None for all.
        early_stop: Whether suites were stopped as soon as their verdict was settled.
        baseline: What `--baseline` said.
        stored_baseline: The stored run that this stood for; None for a checkpoint.
        workers: What `--workers` said.
        argv: The command line without what may be a secret.
        gates: Suite → field of its gate → where that value comes from.
        suites: Suite → what it measured.
        requests: How many requests were wanted, reused, generated and failed.
    """

    python: str | None = None
    platform: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None
    who: str | None = None
    seed: int | None = None
    epochs: int | None = None
    limit: int | None = None
    early_stop: bool = False
    baseline: str | None = None
    stored_baseline: StoredBaseline | None = None
    workers: str | None = None
    argv: Sequence[str] = ()
    gates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    suites: Mapping[str, MeasuredSuite] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `environment_from_dict` reads them back."""
        return asdict(self) | {"argv": list(self.argv)}


@dataclass(frozen=True)
class ComparedEnvironments:
    """The environments of the stored runs that a comparison was made of.

    Attributes:
        compared: Ids of the runs, the baseline's first.
        candidate: Of the last candidate's run.
        baseline: Of the baseline's run.
    """

    compared: tuple[str, ...]
    candidate: Environment | ComparedEnvironments
    baseline: Environment | ComparedEnvironments

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `environment_from_dict` reads them back."""
        return {
            "compared": list(self.compared),
            "candidate": self.candidate.as_dict(),
            "baseline": self.baseline.as_dict(),
        }


def environment_from_dict(data: Mapping[str, Any]) -> Environment | ComparedEnvironments:
    """Read what `as_dict` of either class wrote; a record of an earlier version may say less.

    Raises:
        KeyError: Something is missing that must be there.
        TypeError: There is a field that no version has written.
    """
    if "compared" in data:
        return ComparedEnvironments(
            compared=tuple(data["compared"]),
            candidate=environment_from_dict(data["candidate"]),
            baseline=environment_from_dict(data["baseline"]),
        )
    stored = data.get("stored_baseline")
    named = None if stored is None else StoredBaseline(stored["run"], stored["spec"], stored["fingerprint"])
    suites = {name: MeasuredSuite(**suite) for name, suite in (data.get("suites") or {}).items()}
    argv = tuple(data.get("argv") or ())
    return Environment(**{**data, "stored_baseline": named, "suites": suites, "argv": argv})
