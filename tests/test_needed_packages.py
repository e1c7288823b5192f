"""What a test module needs is read from its imports, and a run that left out too much is no green one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from needed_packages import TESTS, needed_packages, summary
from shared_data import skipped_packs


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("import torch.nn\nimport json\nfrom os import path", {"torch"}),
        ("import numpy as np, scipy.stats", {"numpy", "scipy"}),
        ("from tiny_models import save_model", set()),
        ("from tiny_training import recipe", {"pydantic"}),
        ("from harness.train.recipe import Recipe", {"pydantic"}),
        ("from harness.train import recipe_file", {"pydantic"}),
        ("from harness.cases import Case", set()),
        ("def late():\n    import torch", set()),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", set()),
        ("if True:\n    import torch", set()),
    ],
)
def test_what_importing_it_imports_is_needed(tmp_path: Path, text: str, packages: set[str]) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(text, encoding="utf-8")
    assert packages <= needed_packages(path)
    assert not (needed_packages(path) - packages) & {"torch", "pydantic", "scipy"}


def test_relative_imports_are_followed() -> None:
    assert "numpy" not in needed_packages(TESTS / "integration" / "test_exit_codes.py")
    assert "torch" in needed_packages(TESTS / "test_decoding.py")


def test_one_line_says_what_is_left_out() -> None:
    absent = {Path("test_a.py"): ["torch"], Path("test_b.py"): ["peft", "torch"]}
    assert summary(absent) == (
        "2 test modules are left out, whose packages are not installed: torch (2), peft (1)"
    )
    reasons = [
        ("x.py", 3, f"Skipped: data pack '{name}' is not at hand: docs/data-packs.md") for name in "aba"
    ]
    assert skipped_packs([*reasons, "another reason"]) == (
        "3 tests need data that is not in the repository: a (2), b (1); see docs/data-packs.md"
    )
    assert skipped_packs(["another reason"]) == ""


@pytest.mark.parametrize(("wanted", "code"), [(2, 0), (3, 1)])
def test_too_few_tests_are_a_failure(pytester: pytest.Pytester, wanted: int, code: int) -> None:
    """Under this repository's own conftest, in a suite of two tests that pass and one that is skipped."""
    for name in ("conftest.py", "needed_packages.py", "shared_data.py"):
        shutil.copy(TESTS / name, pytester.path)
    pytester.makepyfile(
        "def test_a(): pass\ndef test_b(): pass\ndef test_c():\n    import pytest; pytest.skip()"
    )
    done = pytester.runpytest_subprocess(f"--at-least={wanted}", "-p", "no:cacheprovider")
    assert done.ret == code
    if code:
        done.stdout.fnmatch_lines(["only 2 tests passed, of 3 wanted*"])
