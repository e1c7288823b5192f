"""The project that a run belongs to: its root directory, its paths, who works on it, and its commit."""

from __future__ import annotations

import configparser
import contextlib
import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from harness.checkpoints.manifest import Provenance
from harness.clock import utc_now

__all__ = ["find_root", "ini_value", "provenance", "relative_to_root"]

_CONFIGURING = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
"""Files that configure pytest whatever they hold."""
_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest"}
_TABLES = {"pyproject.toml": ("tool", "pytest"), "tox.ini": ("pytest",), "setup.cfg": ("tool:pytest",)}
"""Files that configure pytest where they have this table."""
_ELSE = ("pyproject.toml", "setup.py", ".git")
_LIBRARIES = ("accelerate", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")


def find_root(start: Path) -> Path:
    """Return the project root: pytest's rootdir, so that `harness train` writes where `pytest --model` looks.

    That is the nearest directory at or above `start` where a file configures pytest; else the nearest with a
    `pyproject.toml`, else with a `setup.py`. Where pytest would take the working directory, it is the
    repository of git, else `start` itself. The rule: https://docs.pytest.org/en/stable/reference/customize.html
    """
    directory = start.resolve()
    above = (directory, *directory.parents)
    for candidate in above:
        if _configures_pytest(candidate):
            return candidate
    for name in _ELSE:
        for candidate in above:
            if (candidate / name).exists():
                return candidate
    return directory


def _configures_pytest(directory: Path) -> bool:
    if any((directory / name).is_file() for name in _CONFIGURING) or _pytest_table(directory):
        return True
    for name, section in _SECTIONS.items():
        parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        with contextlib.suppress(configparser.Error, ValueError):  # pytest itself says what is wrong with it
            if parser.read(directory / name, encoding="utf-8") and section in parser:
                return True
    return False


def _pytest_table(directory: Path) -> bool:
    """Whether there is a pyproject.toml that speaks of pytest: one that does not is passed over."""
    if not (directory / "pyproject.toml").is_file():
        return False
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    with contextlib.suppress(OSError, ValueError, AttributeError):  # as above
        text = (directory / "pyproject.toml").read_text(encoding="utf-8")
        return bool(tomllib.loads(text).get("tool", {}).get("pytest"))
    return False


def ini_value(root: Path, key: str) -> str:
    """Return the value of one of pytest's ini keys in a project, as pytest reads it; empty without one.

    The first of pytest's files that configures it is the only one that is read. The order and the names:
    https://docs.pytest.org/en/stable/reference/customize.html
    """
    for name in _CONFIGURING:
        if (root / name).is_file():
            table = _ini_tables(root / name).get("pytest")
            return _text_of(table, key)
    for name, path in _TABLES.items():
        tables: object = _ini_tables(root / name)
        for part in path:
            tables = tables.get(part) if isinstance(tables, Mapping) else None
        if isinstance(tables, Mapping):
            own = tables.get("ini_options", tables) if name == "pyproject.toml" else tables
            return _text_of(own, key)
    return ""


def _text_of(table: object, key: str) -> str:
    value = table.get(key, "") if isinstance(table, Mapping) else ""
    return value if isinstance(value, str) else ""


def _ini_tables(path: Path) -> Mapping[str, object]:
    """Return the sections of an ini or TOML file; nothing of one that cannot be read: pytest says why."""
    if path.suffix == ".toml":
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        with contextlib.suppress(OSError, ValueError):
            return tomllib.loads(path.read_text(encoding="utf-8"))
        return {}
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    with contextlib.suppress(configparser.Error, ValueError):
        parser.read(path, encoding="utf-8")
        return {section: dict(parser[section]) for section in parser.sections()}
    return {}


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
