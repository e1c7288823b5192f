"""Options and kinds of tests that together could lose a verdict: each blocks or is refused, as alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from .conftest import Project, right_except, sums

BAD, BASE = "--model=replay/bad.jsonl", "--baseline=replay/base.jsonl"

KINDS = {
    "a thread": """
import threading

@pytest.mark.suite("sums")
def test_sums(case, response):
    checker = threading.Thread(target=harness.check, args=(case, response))
    checker.start()
    checker.join()
""",
    "subtests": """
@pytest.mark.suite("sums")
def test_sums(case, response, subtests):
    with subtests.test("length"):
        assert len(response.text) < 100
    with subtests.test("answer"):
        harness.check(case, response)
""",
    "anyio": """
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@pytest.mark.suite("sums")
async def test_sums(case, response):
    harness.check(case, response)
""",
}

NEEDS = {"subtests": "_pytest.subtests", "anyio": "anyio"}


@pytest.fixture
def regressed(sums_project: Project) -> Project:
    """A candidate that has lost 40 points, and no suite yet."""
    (sums_project.path / "suites" / "test_sums.py").unlink()
    return sums_project


def write(project: Project, kind: str) -> None:
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        pytest.skip(f"{NEEDS[kind]} is not installed")
    project.module(f"import pytest\nimport harness\n{KINDS[kind]}", "suites/test_sums.py")


@pytest.mark.parametrize("kind", ["subtests", "anyio"])
def test_a_regression_is_one_in_every_kind_of_test(regressed: Project, kind: str) -> None:
    write(regressed, kind)
    done = regressed.pytester.runpytest_subprocess("-p", "no:hypothesispytest", BAD, BASE)
    done.stdout.fnmatch_lines(["REGRESSED *suite=sums * mean=0.5* baseline_mean=0.9* errors=0 *"])
    assert done.ret == 1
    done.assert_outcomes(passed=30)
    assert "other tests failed" not in done.stdout.str()


def test_a_coroutine_that_nobody_runs_is_an_error(regressed: Project) -> None:
    write(regressed, "anyio")
    done, results = regressed.recorded(BAD, BASE, "-p", "no:anyio", "-W", "ignore")
    assert int(done.ret) in (1, 10)
    assert {case["outcome"] for case in results["cases"]} == {"error"}


def test_an_exception_in_a_thread_is_an_error(regressed: Project) -> None:
    write(regressed, "a thread")
    code, results = regressed.results(BAD, BASE, "-W", "ignore")
    assert code != 0
    wrong = [case for case in results["cases"] if case["outcome"] == "error"]
    assert len(wrong) == 30
    assert "an exception in the thread" in wrong[0]["explanation"]


def test_a_subtest_that_breaks_or_is_skipped_is_no_miss(project: Project) -> None:
    project.golden("sums", sums(2))
    project.outputs("bad", right_except(lambda i: False, 2))
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response, subtests):
    with subtests.test("broken"):
        if case.id == "c0":
            raise ValueError("broken")
        pytest.skip("not today")
""",
        "suites/test_sums.py",
    )
    write_needed = importlib.util.find_spec("_pytest.subtests")
    if write_needed is None:
        pytest.skip("this pytest has no subtests")
    code, results = project.results(BAD)
    assert code != 0
    first, second = results["cases"]
    assert (first["outcome"], second["skipped"]) == ("error", "a subtest was skipped: not today")


@pytest.mark.parametrize("arguments", [(BAD, BASE), ("--harness-plan=plan.json",)], ids=["gate", "plan"])
def test_a_suite_of_a_test_case_of_unittest_is_refused(
    sums_project: Project, arguments: tuple[str, ...]
) -> None:
    sums_project.module(
        """
import unittest
import pytest

@pytest.mark.suite("sums", name="other")
class TestSums(unittest.TestCase):
    def test_sums(self):
        assert True
"""
    )
    done = sums_project.run(*arguments)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*test_own.py::TestSums::test_sums is marked as a suite*unittest.TestCase*"])


@pytest.fixture
def two_suites(project: Project) -> Project:
    """Two suites: the candidate loses one that nothing fails in, and breaks in the other."""
    project.golden("sums", sums())
    project.golden("other", sums(60))
    project.suite("sums")
    project.module(
        """
import pytest
import harness

@pytest.mark.suite("other", gate=harness.Gate(blocks_on=("length",)))
def test_other(case, response):
    pass
""",
        "suites/test_other.py",
    )
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("bad", right_except(lambda i: i % 2 == 0))
    return project


def test_a_file_that_lf_leaves_out_is_not_passed(two_suites: Project) -> None:
    assert two_suites.run(BAD, BASE).ret != 0
    (two_suites.path / "gates.yaml").write_text("gates:\n  other:\n    margin: 0.03\n", encoding="utf-8")
    code, results = two_suites.results(BAD, BASE, "--lf")
    assert code == 1
    assert results["partial"]
    reasons = " ".join(condition["reason"] for condition in results["conditions"])
    assert "not asked: " in reasons
    assert "test_other.py" in reasons


def test_a_suite_of_gates_yaml_whose_file_is_ignored_is_not_passed(two_suites: Project) -> None:
    (two_suites.path / "gates.yaml").write_text("gates:\n  sums:\n    margin: 0.03\n", encoding="utf-8")
    code, results = two_suites.results(BAD, BASE, "--ignore=suites/test_sums.py")
    assert code == 10
    assert "the suite 'sums' that gates.yaml names" in " ".join(
        condition["reason"] for condition in results["conditions"]
    )


@pytest.fixture
def breaks_late(project: Project) -> Project:
    """A regressed candidate, one of whose last cases breaks the test."""
    project.golden("sums", sums(120))
    project.outputs("base", right_except(lambda i: False, 120))
    project.outputs("bad", right_except(lambda i: i % 2 == 0, 120))
    project.module(
        """
import pytest
import harness

@pytest.mark.suite("sums")
def test_sums(case, response):
    if case.id in ("c30", "c31", "c110", "c111"):
        raise ValueError("broken")
    harness.check(case, response)
""",
        "suites/test_sums.py",
    )
    return project


@pytest.mark.parametrize("stop", ["-x", "--maxfail=2"])
def test_what_was_reported_before_a_stop_decides_under_early_stop_too(
    breaks_late: Project, stop: str
) -> None:
    plain, plainly = breaks_late.results(BAD, BASE, stop)
    early, stopped = breaks_late.results(BAD, BASE, stop, "--early-stop")
    assert [verdict["status"] for verdict in plainly["verdicts"]] == ["REGRESSED"]
    assert [verdict["status"] for verdict in stopped["verdicts"]] == ["REGRESSED"]
    assert plain == early == 1


def test_stopping_at_the_first_failure_has_one_exit_code(breaks_late: Project) -> None:
    pytest.importorskip("xdist")
    assert breaks_late.run(BAD, BASE, "-x").ret == 1
    assert breaks_late.run_process(BAD, BASE, "-x", "-n", "2").ret == 1


def test_suites_that_a_deselection_left_whole_are_compared_as_such(two_suites: Project) -> None:
    from harness.runs.compare import compare_runs, find_side
    from harness.runs.store import RunStore

    runs = [
        two_suites.results(*arguments)[1]["run"]
        for arguments in (("--model=replay/base.jsonl",), (BAD, "-k", "test_other or c1"))
    ]
    store = RunStore(Path(two_suites.path) / ".harness")
    before, after = (find_side(f"run:{run}", store) for run in runs)
    assert before is not None
    assert after is not None
    compared = compare_runs(before.only(), [after])
    assert {verdict.suite: verdict.partial for verdict in compared.verdicts} == {"other": False, "sums": True}


def test_a_session_without_pytests_cache_is_gated(two_suites: Project) -> None:
    assert two_suites.run(BAD, BASE, "-p", "no:cacheprovider").ret == 1


@pytest.mark.parametrize(
    "checked",
    [
        "with contextlib.suppress(Exception):\n        harness.check(case, response)",
        "with ThreadPoolExecutor() as pool:\n        pool.submit(harness.check, case, response)",
    ],
    ids=["suppressed", "in a pool"],
)
def test_a_check_that_failed_unheard_is_an_error(sums_project: Project, checked: str) -> None:
    sums_project.module(
        f"""
import contextlib
from concurrent.futures import ThreadPoolExecutor
import pytest
import harness

@pytest.mark.suite("sums")
def test_sums(case, response):
    {checked}
""",
        "suites/test_sums.py",
    )
    code, results = sums_project.results(BAD, BASE)
    assert code == 10
    wrong = [case for case in results["cases"] if case["role"] == "candidate" and case["outcome"] == "error"]
    assert len(wrong) == 30
    assert "the test went on as if it had not" in wrong[0]["explanation"]


def test_who_records_a_score_has_judged_a_failed_check_himself(sums_project: Project) -> None:
    sums_project.module(
        """
import contextlib
import pytest
import harness

@pytest.mark.suite("sums")
def test_sums(case, response, record_score):
    with contextlib.suppress(harness.CheckFailed):
        record_score(harness.check(case, response))
        return
    record_score(0.25)
""",
        "suites/test_sums.py",
    )
    _, results = sums_project.results(BAD, BASE)
    assert {case["outcome"] for case in results["cases"]} == {"passed", "missed"}
