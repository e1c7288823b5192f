"""Where a command finds a project's runs and golden sets: where pytest finds them, from any folder of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from harness.project import find_root, ini_value

__all__ = ["GOLDEN", "STATE", "golden_folders", "state_folder"]


def state_folder() -> Path:
    """Return the folder of runs and answers: `HARNESS_STATE`, the ini key harness_state, or `.harness`."""
    return _in_project(os.environ.get("HARNESS_STATE") or "", "harness_state", ".harness")


def golden_folders() -> list[Path]:
    """Return the folder of the project's golden sets: the ini key harness_golden, or `golden`."""
    return [_in_project("", "harness_golden", "golden")]


def _in_project(given: str, key: str, default: str) -> Path:
    root = find_root(Path.cwd())
    folder = root / (given or ini_value(root, key) or default)
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


STATE: Any = typer.Option(
    state_folder,
    "--state",
    metavar="DIR",
    help="Where runs, baselines and answers are kept.",
    show_default="harness_state of pytest's ini file, or .harness, in the project",
)
GOLDEN: Any = typer.Option(
    golden_folders,
    "--golden",
    metavar="DIR",
    help="Where your sets are; repeatable. The shipped ones come last.",
    show_default="harness_golden of pytest's ini file, or golden, in the project",
)
