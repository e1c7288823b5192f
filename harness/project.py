"""The project that a run belongs to: its root directory, its paths, who works on it, and its commit."""

from __future__ import annotations

import getpass
import os
import subprocess
from importlib import metadata
from pathlib import Path

from harness.clock import utc_now
from harness.manifest import Provenance

__all__ = ["find_root", "provenance", "relative_to_root"]

_ROOT_FILES = ("pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", ".git")
_LIBRARIES = ("accelerate", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")


def find_root(start: Path) -> Path:
    """Return the project root: the nearest directory at or above `start` with pytest's or git's files.

    pytest finds its rootdir the same way, so that `harness train` writes where `pytest --model` looks.
    Without any such file the root is `start` itself.
    """
    directory = start.resolve()
    for candidate in (directory, *directory.parents):
        if any((candidate / name).exists() for name in _ROOT_FILES):
            return candidate
    return directory


def relative_to_root(path: Path, root: Path) -> str:
    """Spell a path relative to the root with forward slashes, so that records hold no home directory."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive on Windows
        return path.name


def provenance(root: Path, *, why: str | None, seed: int) -> Provenance:
    """Return who trains from which code, now."""
    commit = _git(root, "rev-parse", "HEAD")
    return Provenance(
        who=_git(root, "config", "user.name") or _login_name(),
        why=why,
        created=utc_now(),
        seed=seed,
        git_commit=commit,
        git_dirty=None
        if commit is None
        else bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        versions=_versions(),
    )


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"


def _versions() -> dict[str, str]:
    versions = {}
    for library in ("checkpoint-harness", *_LIBRARIES):
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions
