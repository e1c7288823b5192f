"""Files that are on the disk when the call returns."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["replace_synced", "sync_directory", "write_synced"]


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def replace_synced(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader sees the old bytes or the new ones, a crash loses neither."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_synced(staged, data)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """See a directory's entries to the disk, where the platform can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
