"""The signatures that a wheel has of `harness.scoring.scorers` are those of the checks."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

from harness.scoring.built_in import BUILT_IN
from harness.scoring.scorers_stub import scorers_stub

ROOT = Path(__file__).resolve().parents[1]


def test_the_stub_names_the_factory_of_every_check() -> None:
    statements = ast.parse(scorers_stub()).body
    imported = {
        alias.asname or alias.name: getattr(importlib.import_module(str(statement.module)), alias.name)
        for statement in statements
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert imported == {name: kind.build for name, kind in BUILT_IN.items()}
    (listed,) = (statement.value for statement in statements if isinstance(statement, ast.Assign))
    assert ast.literal_eval(listed) == sorted(BUILT_IN)


def test_it_is_written_where_nothing_is_installed() -> None:
    """As in the environment that `pip` builds a wheel in: no third-party package, no installed harness."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from harness.scoring.scorers_stub import scorers_stub\n"
        "print(scorers_stub(), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == scorers_stub()
