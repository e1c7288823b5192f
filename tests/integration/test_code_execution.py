"""Code of models runs when the command line says so, and its verdicts are those of its tests."""

from __future__ import annotations

import pytest

from harness.errors import ScoringError
from harness.sandbox import Program, run_program

from .conftest import Project

RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
ARGUMENTS = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl")


@pytest.fixture
def code_project(project: Project) -> Project:
    check = {"type": "python_tests", "tests": "assert double(4) == 8"}
    ids = [f"c{index}" for index in range(3)]
    project.golden("code", [{"id": name, "input": f"Double {name}", "checks": [check]} for name in ids])
    project.suite("code")
    project.outputs("good", dict.fromkeys(ids, RIGHT))
    project.outputs("base", dict.fromkeys(ids, "def double(x): return None"))
    return project


def test_without_the_option_every_case_is_an_error(code_project: Project) -> None:
    code, results = code_project.results(*ARGUMENTS)
    assert code == 10
    assert {entry["outcome"] for entry in results["cases"]} == {"error"}
    assert "--allow-code-execution" in results["cases"][0]["explanation"]


def test_with_the_option_the_tests_decide(code_project: Project) -> None:
    code, results = code_project.results(*ARGUMENTS, "--allow-code-execution")
    assert code == 0
    (verdict,) = results["verdicts"]
    assert (verdict["mean"], verdict["baseline_mean"]) == (1.0, 0.0)
    with pytest.raises(ScoringError, match="not allowed"):
        run_program(Program("", ""))


def test_workers_are_allowed_too(code_project: Project) -> None:
    done = code_project.run_process(*ARGUMENTS, "--allow-code-execution", "-n2")
    assert done.ret == 0, done.stdout.str()
