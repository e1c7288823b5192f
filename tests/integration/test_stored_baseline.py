"""Against a stored baseline, what is gone or changed since is named, and no candidate passes without it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.errors import UsageError
from harness.runs.compare import compare_runs, find_side
from harness.runs.store import RunStore

from .conftest import Project, right_except, sums

SUITE = """
import pytest
import harness

LONGEST = 600

def is_right(case, response):
    harness.check(case, response)
    return len(response.text) < LONGEST

@pytest.mark.suite("sums")
def test_sums(case, response):
    assert is_right(case, response)
"""
OTHER = """
import pytest
import harness

@pytest.mark.suite("sums", name="safety")
def test_safety(case, response):
    harness.check(case, response)
"""


@pytest.fixture
def accepted(project: Project) -> Project:
    """Two suites and a stored baseline of 90 %; the candidate has 50 %, the same one 90 %."""
    project.golden("sums", sums())
    project.module(SUITE, "suites/test_sums.py")
    project.module(OTHER, "suites/test_safety.py")
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("bad", right_except(lambda i: i % 2 == 0))
    project.outputs("good", right_except(lambda i: i % 12 == 0))
    project.run("--model=replay/base.jsonl")
    store = RunStore(project.path / ".harness")
    store.accept(store.ids()[-1])
    return project


def take_suite_out(project: Project) -> None:
    (project.path / "suites" / "test_safety.py").unlink()


def ignore_suite(project: Project) -> None:
    project.module('collect_ignore = ["test_safety.py"]\n', "suites/conftest.py")


def narrow_python_files(project: Project) -> None:
    (project.path / "tox.ini").write_text("[pytest]\npython_files = test_sums.py\n", encoding="utf-8")


def drop_losing_cases(project: Project) -> None:
    path = project.path / "golden" / "sums" / "v1" / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in sums()[1::2]), encoding="utf-8")


def check_nothing(project: Project) -> None:
    project.module(SUITE.replace("assert is_right(case, response)", "pass"), "suites/test_sums.py")


def check_nothing_in_what_is_called(project: Project) -> None:
    project.module(SUITE.replace("    harness.check(case, response)\n", ""), "suites/test_sums.py")


CHANGES: dict[str, tuple[Callable[[Project], None], str]] = {
    "suite deleted": (take_suite_out, "safety"),
    "suite in collect_ignore": (ignore_suite, "safety"),
    "python_files": (narrow_python_files, "safety"),
    "losing cases deleted": (drop_losing_cases, "c0, c10, c12"),
    "test checks nothing": (check_nothing, "the code of test_sums"),
    "called function checks nothing": (check_nothing_in_what_is_called, "the code of test_sums"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_gone_or_changed_since_the_stored_baseline_is_inconclusive(
    accepted: Project, change: str
) -> None:
    edit, named = CHANGES[change]
    edit(accepted)
    code, results = accepted.results("--model=replay/good.jsonl", "--baseline=run:main")
    assert code == 10
    reasons = [reason for verdict in results["verdicts"] for reason in verdict["reasons"]]
    reasons += [condition["reason"] for condition in results["conditions"]]
    assert named in " ".join(reasons)
    store = RunStore(accepted.path / ".harness")
    stored = find_side(f"run:{results['run']}", store)
    baseline = find_side("run:main", store)
    assert stored is not None
    assert baseline is not None
    assert compare_runs(baseline, [stored]).exit_code == 10


def test_layout_comments_and_names_of_others_change_no_code(accepted: Project) -> None:
    text = SUITE.replace("    assert is", "    # it must be right\n    assert  is").replace(
        'suite("sums")', 'suite("sums", gate=harness.Gate(margin=0.03))'
    )
    accepted.module(f'"""Sums."""\n{text}\n\ndef unrelated():\n    return 1\n', "suites/test_sums.py")
    code, results = accepted.results("--model=replay/good.jsonl", "--baseline=run:main")
    assert (code, {verdict["status"] for verdict in results["verdicts"]}) == (0, {"PASS"})


def test_a_blocked_candidate_is_accepted_only_on_demand(accepted: Project) -> None:
    code, results = accepted.results("--model=replay/bad.jsonl", "--baseline=run:main")
    assert code == 1
    store = RunStore(accepted.path / ".harness")
    with pytest.raises(UsageError, match=r"blocked replay/bad.jsonl .*--blocked-too"):
        store.accept(results["run"])
    assert store.accept(results["run"], blocked_too=True).run == results["run"]


def test_a_run_that_another_test_failed_is_accepted_only_on_demand(accepted: Project) -> None:
    accepted.module("import nothing_of_this_name\n", "suites/test_broken.py")
    _, record = accepted.results("--model=replay/good.jsonl", "--continue-on-collection-errors")
    store = RunStore(accepted.path / ".harness")
    with pytest.raises(UsageError, match=r"not collected: suites/test_broken\.py"):
        store.accept(record["run"])
    assert store.accept(record["run"], blocked_too=True).run == record["run"]


UNSEEN = """
import pytest
import harness

LIMITS = {}
LIMITS["length"] = 600

@pytest.fixture(name="judge_it")
def _judge_it():
    return harness.check

@pytest.fixture(autouse=True)
def quiet():
    yield

@pytest.fixture
def used():
    yield

@pytest.mark.usefixtures("used")
@pytest.mark.suite("sums")
def test_sums(case, response, judge_it):
    judge_it(case, response)
    assert len(response.text) < LIMITS["length"]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return harness.check", "return print"),
        ('LIMITS["length"] = 600', 'LIMITS["length"] = 9999'),
        ("def quiet():\n    yield", "def quiet():\n    print(1)\n    yield"),
        ("def used():\n    yield", "def used():\n    print(1)\n    yield"),
    ],
    ids=["a fixture under another name", "an item of a value", "autouse", "usefixtures"],
)
def test_what_a_test_is_judged_by_counts_wherever_it_stands(
    project: Project, before: str, after: str
) -> None:
    def digest() -> str:
        _, record = project.results("--model=replay/base.jsonl", "--allow-same")
        (suite,) = record["environment"]["suites"].values()
        return str(suite["tests"]["test_sums"])

    project.golden("sums", sums(20))
    project.outputs("base", right_except(lambda i: False, 20))
    assert before in UNSEEN
    project.module(UNSEEN, "suites/test_sums.py")
    first = digest()
    project.module("\n# a comment\n" + UNSEEN, "suites/test_sums.py")
    assert digest() == first
    project.module(UNSEEN.replace(before, after), "suites/test_sums.py")
    assert digest() != first
