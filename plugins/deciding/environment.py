"""What the record of a run says of its session: checkpoints, environment, command line."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from harness.project import provenance
from harness.protocols import Checkpoint

from ..session.session import GateSession

__all__ = ["checkpoints_of", "described", "environment_of", "without_secrets"]

_SECRET = re.compile(r"key|token(?!s\b)|secret|password|passwd|credential|auth", re.IGNORECASE)
"""What the name of an argument says whose value is nobody's business; `--max-tokens` is not meant."""


def described(checkpoint: Checkpoint, role: str) -> dict[str, Any]:
    """Return what a record keeps of a checkpoint."""
    return {
        "spec": checkpoint.spec,
        "name": checkpoint.name,
        "fingerprint": checkpoint.fingerprint,
        "role": role,
        "backend": checkpoint.backend,
        "numerics": dict(checkpoint.numerics),
        "trusted": list(checkpoint.trusted),
    }


def checkpoints_of(session: GateSession, rewritten: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Return what a record keeps of a session's candidates, baseline and judge.

    Args:
        session: The session.
        rewritten: Spec → that its files changed during the run: then nobody knows whose answers these are.
    """
    found = [described(checkpoint, "candidate") for checkpoint in session.candidates]
    if session.baseline is not None:
        found.append(described(session.baseline, "baseline"))
    if session.judge is not None:
        found.append(described(session.judge, "judge"))
    return tuple(
        {**one, "rewritten": rewritten[one["spec"]]} if one["spec"] in rewritten else one for one in found
    )


def environment_of(session: GateSession) -> dict[str, Any]:
    """Return what a record keeps of where and how a session ran: versions, commit, options."""
    settings = session.settings
    made = provenance(session.root, why=None, seed=settings.sampling.seed)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {**made.versions, "pytest": pytest.__version__},
        "git_commit": made.git_commit,
        "git_dirty": made.git_dirty,
        "who": made.who,
        "seed": settings.sampling.seed,
        "epochs": settings.sampling.epochs,
        "limit": settings.limit,
        "early_stop": settings.early_stop,
        "baseline": settings.baseline,
        "stored_baseline": None if (side := session.stored_baseline) is None else side.as_dict(),
        "workers": settings.workers,
        "argv": without_secrets(sys.argv[1:]),
    }


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
