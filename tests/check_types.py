"""Run mypy over the package as it is installed.

The repository keeps `plugins/`, `suites/` and `golden/` at the top level and installs them inside `harness`;
type checkers do not follow that mapping, so they are shown a tree of links that has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.scoring.scorers_stub import scorers_stub

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Link the tree, run mypy over it, and return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "harness"
        package.mkdir()
        for entry in (ROOT / "harness").iterdir():
            (package / entry.name).symlink_to(entry)
        for mapped in ("plugins", "suites", "golden"):
            (package / mapped).symlink_to(ROOT / mapped)
        # What a wheel has as scorers.pyi; beside scorers.py, it would be read instead of that.
        (package / "scorers_of_a_wheel.pyi").write_text(scorers_stub(), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "-p",
            "harness",
        ]
        return subprocess.run(
            command, cwd=folder, env={**os.environ, "MYPYPATH": folder}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
