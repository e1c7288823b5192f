"""What the record of a run says of its session: checkpoints, environment, command line."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pytest

from harness.engine.fill import FillReport
from harness.project import provenance
from harness.protocols import Checkpoint
from harness.runs.measured_suite import MeasuredSuite
from harness.runs.run_checkpoint import RunCheckpoint, RunRole
from harness.runs.run_environment import Environment

from ..session.session import GateSession

__all__ = ["checkpoints_of", "environment_of", "without_secrets"]

_SECRET = re.compile(r"key|token(?!s\b)|secret|password|passwd|credential|auth", re.IGNORECASE)
"""What the name of an argument says whose value is nobody's business; `--max-tokens` is not meant."""


def checkpoints_of(session: GateSession, rewritten: Mapping[str, str]) -> tuple[RunCheckpoint, ...]:
    """Return what a record keeps of a session's candidates, baseline and judge.

    Args:
        session: The session.
        rewritten: Spec → that its files changed during the run: then nobody knows whose answers these are.
    """
    roles: list[tuple[Checkpoint | None, RunRole]] = [
        *((candidate, "candidate") for candidate in session.candidates),
        (session.baseline, "baseline"),
        (session.judge, "judge"),
    ]
    return tuple(
        RunCheckpoint.of(checkpoint, role, rewritten=rewritten.get(checkpoint.spec))
        for checkpoint, role in roles
        if checkpoint is not None
    )


def environment_of(
    session: GateSession,
    gates: Mapping[str, Mapping[str, str]],
    requests: FillReport,
    suites: Mapping[str, MeasuredSuite],
) -> Environment:
    """Return what a record keeps of where and how a session ran.

    Args:
        session: The session.
        gates: Suite → field of its gate → where that value comes from.
        requests: What was asked in all processes together.
        suites: Suite → what it measured.
    """
    settings = session.settings
    made = provenance(session.root, why=None, seed=settings.sampling.seed)
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        versions={**made.versions, "pytest": pytest.__version__},
        git_commit=made.git_commit,
        git_dirty=made.git_dirty,
        who=made.who,
        seed=settings.sampling.seed,
        epochs=settings.sampling.epochs,
        limit=settings.limit,
        early_stop=settings.early_stop,
        baseline=settings.baseline,
        stored_baseline=None if (side := session.stored_baseline) is None else side.identity,
        workers=settings.workers,
        argv=tuple(without_secrets(sys.argv[1:])),
        gates=gates,
        suites=suites,
        requests=asdict(requests),
    )


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Return a command line without the values of what may carry a credential, and without the home's name.

    A value stands behind `=` or is the next argument. The home directory becomes `~`.
    """
    home = os.path.expanduser("~").rstrip("/")  # `~` itself where nobody knows it, as in some containers
    kept: list[str] = []
    after_secret = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if after_secret and not argument.startswith("-"):
            kept.append("…")
        elif equals and _SECRET.search(name):
            kept.append(f"{name}=…")
        else:
            kept.append(argument.replace(home, "~") if home not in ("", "~") else argument)
        after_secret = argument.startswith("-") and not equals and _SECRET.search(name) is not None
    return kept
