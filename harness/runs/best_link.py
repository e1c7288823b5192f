"""`runs/<name>/best`: the checkpoint that was chosen among those of a training run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.files.durable import replace_synced, sync_directory

__all__ = ["BEST", "point_to", "training_run_of"]

BEST = "best"


def training_run_of(checkpoint: Path, root: Path) -> Path | None:
    """Return `runs/<name>` of a checkpoint that lies directly in one, else None."""
    run = checkpoint.resolve().parent
    return run if run.parent == (root / "runs").resolve() else None


def point_to(checkpoint: Path, why: Mapping[str, Any]) -> Path:
    """Make `best` beside a checkpoint a link to it, in one step, and write why to `best.json`.

    As a model, `runs/<name>/best` then means that checkpoint.

    Raises:
        StoreError: Something else is in the way, or the disk cannot take it; the old choice stands.
    """
    target = checkpoint.resolve()
    link = target.parent / BEST
    if link.exists() and not link.is_symlink():
        raise StoreError(f"{link}: is no link that harness select made: move it away, then select again")
    staged = link.with_name(f".{BEST}.{os.getpid()}")
    try:
        staged.unlink(missing_ok=True)  # of a process that was killed here
        staged.symlink_to(target.name, target_is_directory=True)  # before the reasons: it may be refused
        replace_synced(link.with_name(f"{BEST}.json"), (json.dumps(why, indent=1) + "\n").encode("ascii"))
        os.replace(staged, link)
        sync_directory(link.parent)
    except OSError as problem:
        with contextlib.suppress(OSError):
            staged.unlink()
        reason = problem.strerror or str(problem)
        raise StoreError(f"{link}: could not be set: {reason}; the old choice stands") from None
    return link
