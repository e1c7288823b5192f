"""Which cases a session asks: a random sample that says so, and those with a tag."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Project, right_except, sums

GOOD, BASE = "--model=replay/good.jsonl", "--baseline=replay/base.jsonl"


@pytest.fixture
def tagged(project: Project) -> Project:
    """Forty sums: the even ones are hard, every fifth is long."""
    cases = sums(40)
    for i, case in enumerate(cases):
        case["tags"] = (["hard"] if i % 2 == 0 else []) + (["long"] if i % 5 == 0 else [])
    project.golden("sums", cases)
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0, 40))
    project.outputs("good", right_except(lambda i: i % 20 == 0, 40))
    return project


def asked(project: Project, *arguments: str) -> list[str]:
    _, record = project.results(GOOD, BASE, *arguments)
    assert record["partial"]
    return [case["id"] for case in record["cases"]]


def test_a_limit_is_a_sample_by_the_seed_and_says_so(sums_project: Project) -> None:
    ten = asked(sums_project, "--limit=10")
    assert len(ten) == 10
    assert ten != [f"c{i}" for i in range(10)]
    assert ten == asked(sums_project, "--limit=10")
    assert set(ten) < set(asked(sums_project, "--limit=20"))
    assert ten != asked(sums_project, "--limit=10", "--seed=1")
    done = sums_project.run(GOOD, BASE, "--limit=10", "--seed=1")
    done.stdout.fnmatch_lines(
        ["harness: --limit: a random sample of at most 10 cases of each suite, seed 1*"]
    )


def test_cases_are_chosen_by_tag(tagged: Project) -> None:
    assert asked(tagged, "--tag=hard") == [f"c{i}" for i in range(0, 40, 2)]
    assert asked(tagged, "--tag-not=hard") == [f"c{i}" for i in range(1, 40, 2)]
    assert asked(tagged, "--tag=hard", "--tag-not=long") == [f"c{i}" for i in range(0, 40, 2) if i % 5]
    assert asked(tagged, "--tag=hard", "--tag=long") == [f"c{i}" for i in range(40) if not i % 2 or not i % 5]
    done = tagged.run(GOOD, BASE, "--tag=hard")
    assert done.ret == 10
    done.stdout.fnmatch_lines(
        ["harness: --tag: only cases with hard: verdicts are partial", "*20 deselected*"]
    )


def test_a_tag_that_no_case_has_is_refused(tagged: Project) -> None:
    done = tagged.run(GOOD, BASE, "--tag=hrad")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*--tag=hrad: no case has this tag (did you mean 'hard'?); tags: hard, long*"])


def test_plain_pytest_says_why_it_exits_with_10(sums_project: Project) -> None:
    sums_project.module("def test_plain():\n    assert True\n", "tests/test_plain.py")
    done = sums_project.run()
    assert done.ret == 10
    (line,) = [line for line in done.outlines if line.startswith("harness: ")]
    assert line.startswith("harness: 1 test of a suite was skipped for want of a model, so exit code 10")
    assert "pytest tests" in line
    alone = sums_project.run("tests")
    assert alone.ret == 0
    assert not [line for line in alone.outlines if line.startswith("harness: ")]


def test_the_command_of_a_case_asks_that_case(sums_project: Project) -> None:
    _, record = sums_project.results(GOOD, BASE, "-k", "c1-")
    assert [case["id"] for case in record["cases"]] == ["c1"]


def test_runs_and_answers_are_kept_out_of_git(sums_project: Project) -> None:
    sums_project.run(GOOD, BASE)
    ignored = Path(sums_project.path / ".harness" / ".gitignore").read_text(encoding="utf-8")
    assert "\n*\n" in ignored
    assert json.loads(next((sums_project.path / ".harness" / "runs").glob("*/run.json")).read_text())["run"]
