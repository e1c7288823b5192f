"""A tree of links that has the package as it is installed, in which single files are replaced.

Whatever imports `harness` with the tree first on its path has the fault, child processes included.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mutation.rooms import ROOT

__all__ = ["InstalledTree"]

_MAPPED = {
    "": "harness",
    "plugins": "plugins",
    "suites": "suites",
    "golden": "golden",
    "examples": "examples",
}


class InstalledTree:
    """The links of one worker.

    Args:
        folder: Where they are made; what lies there is removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        for inside, source in _MAPPED.items():
            _link(ROOT / source, folder / "harness" / inside)

    def replace(self, path: str, source: bytes) -> None:
        """Put another text in the place of a file, named relative to the repository."""
        place = self.folder / path
        place.unlink()
        place.write_bytes(source)

    def restore(self, path: str) -> None:
        """Link a file again."""
        place = self.folder / path
        place.unlink()
        place.symlink_to(ROOT / path)


def _link(source: Path, target: Path) -> None:
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in ("__pycache__", "runs", ".harness")]
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            (place / name).symlink_to(Path(folder, name))
