"""What may not end with exit code 0, whatever the gates say, and what is told of it."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.runs.store import RunStore

from .conftest import Project, right_except, sums

GOOD, BASE = "--model=replay/good.jsonl", "--baseline=replay/base.jsonl"


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_module_that_cannot_be_collected_does_not_pass(
    sums_project: Project, workers: tuple[str, ...]
) -> None:
    sums_project.module("import nothing_of_this_name\n", "suites/test_broken.py")
    run = sums_project.run_process if workers else sums_project.run
    assert run(GOOD, BASE, *workers).ret == (1 if workers else 2)  # xdist's workers run what there is
    done = run(GOOD, BASE, "--continue-on-collection-errors", *workers)
    assert done.ret == 1
    done.stdout.fnmatch_lines(["also: not collected: suites/test_broken.py"])


FAILS_WHILE_RUNNING = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    result = yield
    session.testsfailed += 1  # as pytest-cov does when too little is covered
    return result
"""
FAILS_AT_THE_END = """
def pytest_sessionfinish(session):
    session.exitstatus = 7
"""


@pytest.mark.parametrize(("plugin", "code"), [(FAILS_WHILE_RUNNING, 1), (FAILS_AT_THE_END, 7)])
def test_what_another_plugin_fails_does_not_pass(sums_project: Project, plugin: str, code: int) -> None:
    sums_project.module(plugin, "conftest.py")
    assert sums_project.run(GOOD, BASE).ret == code


def test_too_many_warnings_do_not_pass(sums_project: Project) -> None:
    sums_project.module(
        "import warnings\n\ndef test_old():\n    warnings.warn('old')\n", "suites/test_old.py"
    )
    assert sums_project.run(GOOD, BASE, "-Wdefault").ret == 0
    assert sums_project.run(GOOD, BASE, "-Wdefault", "--max-warnings=0").ret == 6


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_teardown_that_fails_is_an_error_of_its_case(
    sums_project: Project, workers: tuple[str, ...]
) -> None:
    sums_project.module(
        """
import pytest
import harness

@pytest.fixture
def connection(case):
    yield
    assert case.id != "c5", "left open"

@pytest.mark.suite("sums")
def test_sums(case, response, connection):
    harness.check(case, response)
""",
        "suites/test_sums.py",
    )
    done = sums_project.run_process(GOOD, BASE, *workers) if workers else sums_project.run(GOOD, BASE)
    assert done.ret == 10
    done.stdout.fnmatch_lines(["INCONCLUSIVE*errors=1*c5*"])
    done.stdout.no_fnmatch_line("*other tests failed*")


def test_a_run_that_stopped_is_incomplete_and_no_baseline(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] == "c3"} for case in sums()])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("good", right_except(lambda i: i == 3))
    code, results = project.results(GOOD, BASE, "-x")
    assert (code, results["complete"], len(results["cases"])) == (1, False, 4)
    with pytest.raises(UsageError, match="did not finish"):
        RunStore(project.path / ".harness").accept(results["run"])
    code, results = project.results(GOOD, BASE)
    assert (code, results["complete"]) == (1, True)
    accepted = RunStore(project.path / ".harness").accept(results["run"], blocked_too=True)
    assert len(accepted.cases) == 60


def test_an_error_in_one_sample_is_what_the_case_is_told_by(project: Project) -> None:
    project.golden("sums", sums(30))
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response):
    if response.text == "boom":
        raise RuntimeError("the scorer broke")
    assert response.text == case.target
""",
        "suites/test_sums.py",
    )
    answers = {case: [str(answer)] * 2 for case, answer in right_except(lambda i: False, 30).items()}
    project.outputs("base", answers)
    project.outputs("good", answers | {"c3": ["wrong", "boom"]})
    code, results = project.results(GOOD, BASE, "--epochs=2")
    (case,) = (case for case in results["cases"] if case["id"] == "c3")
    assert (code, case["outcome"]) == (10, "error")
    assert case["explanation"] == "RuntimeError: the scorer broke"


TWICE = {
    "parametrize": """
import pytest

@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.suite("sums")
def test_sums(case, response, strict):
    assert response.text == case.target or not strict
""",
    "fixture": """
import pytest

@pytest.fixture(params=[True, False])
def strict(request):
    return request.param

@pytest.mark.suite("sums")
def test_sums(case, response, strict):
    assert response.text == case.target or not strict
""",
}


@pytest.mark.parametrize("kind", TWICE)
def test_a_suites_test_with_other_parameters_is_refused(sums_project: Project, kind: str) -> None:
    sums_project.module(TWICE[kind], "suites/test_sums.py")
    done = sums_project.run(GOOD, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*suites/test_sums.py::test_sums: a test of a suite runs once per case*"])


def test_two_tests_of_one_name_in_a_suite_are_refused(sums_project: Project) -> None:
    """Their results would be joined with each other's baseline."""
    text = "import pytest\n\n@pytest.mark.suite('sums')\ndef test_sums(case, response):\n    assert False\n"
    sums_project.module(text, "suites/test_again.py")
    done = sums_project.run(GOOD, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(
        ["*suites/test_again.py::test_sums and suites/test_sums.py::test_sums have one*"]
    )


def test_a_place_for_results_that_is_not_there_is_said_before_anything_runs(sums_project: Project) -> None:
    done = sums_project.run(GOOD, BASE, "--harness-json=no/such/folder/results.json")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*no/such/folder/results.json: there is no folder *"])
    assert not (sums_project.path / ".harness").exists()


@pytest.mark.parametrize(
    "message",
    [{"role": "user", "content": None}, {"role": "user", "content": [{"text": "Hi"}]}, {"role": "user"}],
)
def test_a_prompt_that_is_no_text_is_never_asked(sums_project: Project, message: object) -> None:
    sums_project.module(
        f"def test_free(checkpoint):\n    checkpoint.generate([{message!r}])\n", "suites/test_free.py"
    )
    done = sums_project.run(GOOD, BASE)
    assert done.ret == 1
    done.stdout.fnmatch_lines(["E*each message needs a `role` and a `content`, both strings*"])
