"""The scripts in benchmarks/ name what the library has: nobody runs all of them before a release."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def names_of_ours(path: Path) -> set[tuple[str, str]]:
    """Return what a script imports from the library: module and name."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "harness"
        for alias in node.names
    }


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_script_imports_is_there(path: Path) -> None:
    for module, name in sorted(names_of_ours(path)):
        try:
            owner = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "harness":
                raise
            pytest.skip(f"{error.name} is not installed")
        if not hasattr(owner, name):
            importlib.import_module(f"{module}.{name}")


def test_some_scripts_import_something() -> None:
    assert sum(bool(names_of_ours(path)) for path in SCRIPTS) > len(SCRIPTS) // 2
