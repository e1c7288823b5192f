"""Files that are on the disk when the call returns."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["sync_directory", "write_synced"]


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and see it to the disk."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_directory(path: Path) -> None:
    """See a directory's entries to the disk, where the platform can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
