"""Selecting, stopping, rerunning and distributing: the verdict never says more than what ran."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Project, right_except, sums

BASE = "--baseline=replay/base.jsonl"
GOOD = "--model=replay/good.jsonl"
BAD = "--model=replay/bad.jsonl"


def test_deselection_is_partial(sums_project: Project) -> None:
    code, results = sums_project.results(GOOD, BASE, "-k", "c1")
    assert code == 10
    assert results["verdicts"][0]["partial"] is True
    assert sums_project.run(BAD, BASE, "--deselect", "suites/test_sums.py::test_sums[c1-bad]").ret == 1
    assert sums_project.run(GOOD, BASE, "--deselect", "suites/test_sums.py::test_sums[c1-good]").ret == 10


def test_selecting_by_node_id_is_partial(sums_project: Project) -> None:
    assert sums_project.run(GOOD, BASE, "suites/test_sums.py::test_sums[c1-good]").ret == 10


def test_a_suite_that_is_not_asked_for_is_not_missed(sums_project: Project) -> None:
    sums_project.golden("more", sums(20))
    sums_project.suite("more")
    assert sums_project.run(GOOD, BASE, "suites/test_sums.py").ret == 0
    code, results = sums_project.results(GOOD, BASE, "-k", "test_sums")
    assert code == 10
    assert any("more" in condition["reason"] for condition in results["conditions"])


def test_partial_runs_are_no_baseline(sums_project: Project) -> None:
    from harness.errors import UsageError
    from harness.runs.store import RunStore

    _, results = sums_project.results(GOOD, BASE, "--limit=5")
    with pytest.raises(UsageError, match="only a part"):
        RunStore(sums_project.path / ".harness").accept(results["run"])


def test_last_failed_reruns_what_was_missed(sums_project: Project) -> None:
    sums_project.run(GOOD, BASE)
    done = sums_project.run(GOOD, BASE, "--lf")
    assert done.ret == 10
    done.stdout.fnmatch_lines(["*3 missed*"])


def test_exitfirst_stops_at_red_not_at_a_miss(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] == "c40"} for case in sums()])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: False))
    project.outputs("bad", right_except(lambda i: i % 10 == 0))
    code, results = project.results(BAD, BASE, "-x")
    assert code == 1
    assert [case["id"] for case in results["cases"]][-1] == "c40"
    assert results["verdicts"][0]["status"] == "REGRESSED"


def test_collect_only_asks_nothing(sums_project: Project) -> None:
    done = sums_project.run(GOOD, BASE, "--collect-only", "-q")
    assert done.ret == 0
    assert "suites/test_sums.py::test_sums[c0-good]" in done.stdout.str()
    assert not (sums_project.path / ".harness").exists()


@pytest.mark.parametrize(
    "body",
    [
        "pytest.skip('not today')",
        "pytest.xfail('known')",
    ],
)
def test_all_skipped_is_inconclusive(project: Project, body: str) -> None:
    project.golden("sums", sums(3))
    project.module(f"import pytest\n\n@pytest.mark.suite('sums')\ndef test_it(response):\n    {body}\n")
    model = project.outputs("base", right_except(lambda i: False, 3))
    code, results = project.results(f"--model={model}", f"--baseline={model}")
    assert code == 10
    assert results["verdicts"][0]["status"] == "INCONCLUSIVE"


def test_cases_marked_as_expected_failures_are_not_decided(project: Project) -> None:
    project.golden("sums", sums(3))
    project.module(
        """
import pytest

@pytest.mark.xfail(reason="known")
@pytest.mark.suite("sums")
def test_it(case, response):
    assert response.text == case.target
"""
    )
    project.outputs("base", right_except(lambda i: False, 3))
    project.outputs("bad", right_except(lambda i: True, 3))
    for model in ("base", "bad"):
        assert project.run(f"--model=replay/{model}.jsonl", BASE).ret == 10


def test_a_fixture_that_skips_is_inconclusive(project: Project) -> None:
    project.golden("sums", sums(3))
    project.module(
        """
import pytest

@pytest.fixture
def gpu():
    pytest.skip("no GPU")

@pytest.mark.suite("sums")
def test_it(gpu, case, response):
    assert response.text == case.target
"""
    )
    model = project.outputs("base", right_except(lambda i: False, 3))
    assert project.run(f"--model={model}", f"--baseline={model}").ret == 10


def test_suites_without_a_model_are_skipped_and_inconclusive(sums_project: Project) -> None:
    done = sums_project.run_process("suites", "-rs")
    assert done.ret == 10
    done.stdout.fnmatch_lines(["*no --model given*", "*skipped*"])
    assert sums_project.run_process("suites", "-n2").ret == 10


# --- workers -------------------------------------------------------------------------------------------


def told(results: dict[str, Any]) -> Any:
    keys = ("suite", "checkpoint", "status", "n", "mean", "delta", "interval", "p_value", "worsened_ids")
    cases = sorted((case["id"], case["outcome"], case["score"]) for case in results["cases"])
    return [[verdict[key] for key in keys] for verdict in results["verdicts"]], cases, results["exit_code"]


@pytest.mark.parametrize("model", ["good", "bad"])
def test_workers_give_the_same_verdicts_and_fill_once(sums_project: Project, model: str) -> None:
    path = sums_project.path / "results.json"
    arguments = (f"--model=replay/{model}.jsonl", BASE, f"--harness-json={path}")
    distributed = sums_project.run_process(*arguments, "-n2")
    first = json.loads(path.read_text())
    assert first["environment"]["requests"] == {"wanted": 120, "reused": 0, "generated": 120, "failed": 0}
    alone = sums_project.run_process(*arguments)
    assert told(first) == told(json.loads(path.read_text()))
    assert distributed.ret == alone.ret == (0 if model == "good" else 1)


def test_a_worker_that_dies_is_inconclusive(sums_project: Project) -> None:
    sums_project.module(
        """
import os
import signal
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response):
    if case.id == "c30":
        os.kill(os.getpid(), signal.SIGKILL)
    assert response.text == case.target
""",
        "suites/test_sums.py",
    )
    done = sums_project.run_process(GOOD, BASE, "-n2", "--max-worker-restart=1")
    assert done.ret == 10
    done.stdout.fnmatch_lines(["*lost worker*"])


def test_a_worker_that_dies_at_the_end_is_inconclusive(sums_project: Project) -> None:
    sums_project.module(
        """
import os

def pytest_sessionfinish(session):
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw0":
        os._exit(0)
""",
        "conftest.py",
    )
    assert sums_project.run_process(GOOD, BASE, "-n2", "--max-worker-restart=0").ret == 10


def test_half_a_surrogate_pair_in_a_failing_assert_is_not_lost(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": True} for case in sums(4)])
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response):
    assert response.text == case.target, chr(0xD800) + response.text
"""
    )
    project.outputs("base", right_except(lambda i: False, 4))
    project.outputs("odd", {f"c{i}": "\ud800 odd" for i in range(4)})
    for workers in ((), ("-n2",)):
        done = project.run_process("--model=replay/odd.jsonl", BASE, *workers)
        assert done.ret == 1
        done.stdout.fnmatch_lines(["*4 failed*"])


def test_a_test_that_ends_the_process_cannot_pass(sums_project: Project) -> None:
    import subprocess
    import sys

    gate = [sys.executable, "-m", "harness.cli", "gate", GOOD, BASE]
    run = subprocess.run(gate, cwd=sums_project.path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    sums_project.module("import os\n\ndef test_last(checkpoint):\n    os._exit(0)\n", "suites/test_zz.py")
    run = subprocess.run(gate, cwd=sums_project.path, capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert "left no verdict behind" in run.stderr


@pytest.mark.parametrize("returned", ["False", "response.text == case.target"])
def test_a_test_that_returns_something_is_an_error(sums_project: Project, returned: str) -> None:
    head = "import pytest\n\n@pytest.mark.suite('sums')\n"
    text = f"{head}def test_sums(case, response):\n    return {returned}\n"
    sums_project.module(text, "suites/test_sums.py")
    code, results = sums_project.results(GOOD, BASE)
    assert code == 10
    assert {case["outcome"] for case in results["cases"]} == {"error"}


def test_sigterm_is_an_interruption_that_keeps_finished_work(sums_project: Project) -> None:
    sums_project.module(
        """
import os
import signal
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response):
    if case.id == "c30":
        os.kill(os.getpid(), signal.SIGTERM)
    assert response.text == case.target
""",
        "suites/test_sums.py",
    )
    path = sums_project.path / "results.json"
    done = sums_project.run_process(GOOD, BASE, f"--harness-json={path}")
    assert done.ret == 2
    results = json.loads(path.read_text())
    assert results["complete"] is False
    assert 20 < len(results["cases"]) <= 31


def test_what_a_model_wrote_does_nothing_in_a_log(project: Project) -> None:
    hostile = "::add-mask::x\n##[group]y\n\x1b[2J\x1b[31mred"
    project.golden("sums", [case | {"must_pass": True} for case in sums(2)])
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(case, response):
    print(response.text)
    assert response.text == case.target, response.text
"""
    )
    project.outputs("base", right_except(lambda i: False, 2))
    project.outputs("odd", {"c0": hostile, "c1": hostile})
    done = project.run("--model=replay/odd.jsonl", BASE, "--color=no")
    assert done.ret == 1
    text = done.stdout.str()
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert "add-mask" in text
