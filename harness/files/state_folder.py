"""The folder of runs and cached answers, which git is to leave alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["make_state_folder"]

_IGNORED = "# Made by Checkpoint Harness: runs and cached answers are this machine's own.\n*\n"


def make_state_folder(path: Path) -> None:
    """Make the folder where it is missing, with a `.gitignore` that keeps all of it out of git.

    A folder that is there stays as it is: somebody may want its baselines in git.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    path.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError), (path / ".gitignore").open("x", encoding="utf-8") as stream:
        stream.write(_IGNORED)
