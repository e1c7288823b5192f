"""From the entries of a nightly plan to the checkpoints that are there tonight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from harness.errors import CheckpointError

__all__ = ["tonights_checkpoints"]

_NEWEST = "newest:"
_STEP = re.compile(r"checkpoint-(\d+)")


def tonights_checkpoints(entries: Sequence[str], root: Path) -> dict[str, str]:
    """Return spec → the name under which a checkpoint is followed from night to night.

    `newest:RUN` is the checkpoint of the highest step under `runs/RUN`, and is followed as `newest:RUN`
    though it is another one every week. A pattern stands for every folder that it fits, in order; anything
    else is a spec as `--model` takes it.

    Args:
        entries: The plan's.
        root: The project's directory.

    Raises:
        CheckpointError: An entry stands for nothing.
    """
    found: dict[str, str] = {}
    for entry in entries:
        if entry.startswith(_NEWEST):
            found.setdefault(_newest(entry.removeprefix(_NEWEST), root), entry)
        elif any(character in entry for character in "*?["):
            if PurePath(entry).is_absolute():
                raise CheckpointError(f"{entry}: a pattern is of folders under {root}: give it from there")
            folders = sorted((path for path in root.glob(entry) if path.is_dir()), key=_by_step)
            if not folders:
                raise CheckpointError(f"{entry}: no folder under {root} fits this pattern")
            for folder in folders:
                name = folder.relative_to(root).as_posix()
                found.setdefault(name, name)
        else:
            found.setdefault(entry, entry)
    commas = [spec for spec in found if "," in spec]
    if commas:
        raise CheckpointError(f"{commas[0]}: a comma parts checkpoints: list them one by one")
    return found


def _newest(run: str, root: Path) -> str:
    folder = root / "runs" / run
    steps = [path for path in folder.glob("checkpoint-*") if path.is_dir() and _STEP.fullmatch(path.name)]
    if not steps or PurePath(run).is_absolute() or ".." in PurePath(run).parts:
        raise CheckpointError(f"{_NEWEST}{run}: no checkpoint-N under {folder}")
    return max(steps, key=_by_step).relative_to(root).as_posix()


def _by_step(path: Path) -> tuple[str, int, str]:
    """Order checkpoint-1000 behind checkpoint-200."""
    step = _STEP.fullmatch(path.name)
    return path.parent.as_posix(), -1 if step is None else int(step.group(1)), path.name
