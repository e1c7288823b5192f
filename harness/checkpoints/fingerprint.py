"""What a local model *is*: digests of every file that decides its answers.

The fingerprint covers weights, adapter, configuration, tokenizer and chat template, and nothing else: not
the directory's name, not the manifest, not optimizer state. Two directories with one content share it; one
flipped bit changes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.cases import content_digest
from harness.checkpoints.manifest import model_files
from harness.files.digest import file_sha256

__all__ = ["DigestMemo", "fingerprint_directory"]


class DigestMemo:
    """Remembers file digests between sessions, so that unchanged gigabytes are hashed once.

    An entry counts only while device, inode, size, mtime and ctime are all unchanged. A process cannot set
    ctime, so writing to a file in place is always seen, even when size and mtime are put back.

    Args:
        path: JSON file to keep the digests in; None keeps them for this process only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: dict[str, list[str]] = {}
        self._changed = False
        if path is not None and path.is_file():
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
                self._entries = {
                    name: [str(entry[0]), str(entry[1])]
                    for name, entry in stored.items()
                    if isinstance(entry, list) and len(entry) == 2
                }
            except (OSError, ValueError, AttributeError):
                self._entries = {}  # a memo only saves time: without it everything is hashed again

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file, from memory when the file is untouched."""
        real = os.path.realpath(path)
        stat = os.stat(real)
        state = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
        known = self._entries.get(real)
        if known is not None and known[0] == state:
            return known[1]
        digest = file_sha256(Path(real))
        self._entries[real] = [state, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write the memo for the next session; failing to is no error."""
        if self._path is None or not self._changed:
            return
        staged = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            staged.write_text(json.dumps(self._entries), encoding="utf-8")
            staged.replace(self._path)
            self._changed = False
        except OSError:
            staged.unlink(missing_ok=True)


def fingerprint_directory(path: Path, memo: DigestMemo | None = None) -> tuple[str, Mapping[str, str]]:
    """Hash a model or adapter directory.

    Returns:
        The fingerprint (sha256, 64 hex digits) over the sorted (file name, sha256) pairs, and the pairs.
    """
    memo = memo or DigestMemo()
    digests = {name: memo.sha256(path / name) for name in model_files(path)}
    return content_digest(digests), digests
