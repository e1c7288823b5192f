"""From answers to verdicts and exit codes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from .conftest import Project, right_except, sums

BASE = "--baseline=replay/base.jsonl"


def test_a_better_checkpoint_passes(sums_project: Project) -> None:
    done = sums_project.run("--model=replay/good.jsonl", BASE)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*57 passed, 3 missed*"])
    assert "PASS" in done.stdout.str()


def test_a_worse_checkpoint_regresses(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/bad.jsonl", BASE)
    assert code == 1
    verdict = results["verdicts"][0]
    assert verdict["status"] == "REGRESSED"
    assert verdict["n"] == 60
    assert verdict["mean"] == pytest.approx(0.5)
    assert verdict["baseline_mean"] == pytest.approx(0.9)
    assert verdict["delta"] == pytest.approx(-0.4)
    assert verdict["interval"][0] < -0.4 < verdict["interval"][1] < 0
    assert (verdict["improved"], verdict["worsened"]) == (0, 24)
    assert results["schema_version"] == 2
    assert results["exit_code"] == 1
    cases = {case["id"]: case for case in results["cases"]}
    assert len(cases) == 60
    assert cases["c2"]["outcome"] == "missed"
    assert (cases["c2"]["score"], cases["c2"]["baseline_score"]) == (0.0, 1.0)
    assert (cases["c2"]["output"], cases["c2"]["baseline_output"]) == ("no idea", "3")
    assert {checkpoint["role"] for checkpoint in results["checkpoints"]} == {"candidate", "baseline"}


def test_several_models_are_gated_in_one_session(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/good.jsonl,replay/bad.jsonl", BASE)
    statuses = {verdict["checkpoint"]: verdict["status"] for verdict in results["verdicts"]}
    assert statuses == {"replay/good.jsonl": "PASS", "replay/bad.jsonl": "REGRESSED"}
    assert code == 1
    again, _ = sums_project.results("--model=replay/good.jsonl", "--model=replay/bad.jsonl", BASE)
    assert again == 1


def test_without_a_baseline_nothing_is_decided(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/good.jsonl")
    assert code == 10
    assert results["verdicts"][0]["status"] == "INCONCLUSIVE"
    assert "baseline" in results["verdicts"][0]["reasons"][0]


def test_a_floor_needs_no_baseline(project: Project) -> None:
    project.golden("sums", sums())
    project.suite("sums", 'gate=harness.Gate(policy="absolute", min_score=0.8)')
    project.outputs("good", right_except(lambda i: False))
    project.outputs("bad", right_except(lambda i: i % 2 == 0))
    assert project.run("--model=replay/good.jsonl").ret == 0
    assert project.run("--model=replay/bad.jsonl").ret == 1


def test_a_missed_must_pass_case_is_red_and_blocks(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] == "c20"} for case in sums()])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("good", right_except(lambda i: i % 20 == 0))
    done = project.run("--model=replay/good.jsonl", BASE)
    assert done.ret == 1
    done.stdout.fnmatch_lines(
        ["FAILED suites/test_sums.py::test_sums*c20-good*", "*1 failed, 57 passed, 2 missed*"]
    )


def test_missing_outputs_are_errors_and_inconclusive(sums_project: Project) -> None:
    answers = right_except(lambda i: i % 20 == 0)
    del answers["c7"]
    sums_project.outputs("cut", answers)
    done = sums_project.run("--model=replay/cut.jsonl", BASE)
    assert done.ret == 10
    done.stdout.fnmatch_lines(["*c7*no recorded output*"])


def test_partial_evidence_proves_a_regression_but_never_a_pass(sums_project: Project) -> None:
    answers = right_except(lambda i: i % 2 == 0)
    del answers["c7"]
    sums_project.outputs("worse", answers)
    assert sums_project.run("--model=replay/worse.jsonl", BASE).ret == 1


def test_empty_answers_are_invalid_not_missed(sums_project: Project) -> None:
    sums_project.outputs("empty", right_except(lambda i: False) | {"c3": "", "c4": "  "})
    code, results = sums_project.results("--model=replay/empty.jsonl", BASE)
    assert code == 0
    assert results["verdicts"][0]["invalid"] == 2
    outcomes = {case["id"]: case["outcome"] for case in results["cases"]}
    assert outcomes["c3"] == outcomes["c4"] == "invalid"


def test_plain_asserts_and_recorded_scores(project: Project) -> None:
    project.golden("sums", sums(30))
    project.module(
        """
import pytest

@pytest.mark.suite("sums", name="plain")
def test_plain(response):
    assert "idea" not in response.text

@pytest.mark.suite("sums", name="graded")
def test_graded(case, response, record_score):
    record_score(1.0 if response.text == case.target else 0.25)
"""
    )
    project.outputs("half", right_except(lambda i: i % 2 == 0, 30))
    project.outputs("base", right_except(lambda i: False, 30))
    code, results = project.results("--model=replay/half.jsonl", "--baseline=replay/base.jsonl")
    means = {verdict["suite"]: verdict["mean"] for verdict in results["verdicts"]}
    assert means == {"plain": pytest.approx(0.5), "graded": pytest.approx(0.625)}
    assert code == 1


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "1.5", "-0.1", "'high'"])
def test_a_score_that_is_none_is_an_error(project: Project, value: str) -> None:
    project.golden("sums", sums(3))
    project.module(
        f"""
import pytest

@pytest.mark.suite("sums")
def test_graded(response, record_score):
    record_score({value})
"""
    )
    model = project.outputs("base", right_except(lambda i: False, 3))
    code, results = project.results(f"--model={model}", f"--baseline={model}")
    assert code == 10
    assert results["verdicts"][0]["errors"] == 3
    assert {case["outcome"] for case in results["cases"]} == {"error"}


def test_an_exception_is_an_error_and_no_score(project: Project) -> None:
    project.golden("sums", sums(3))
    project.module(
        "import pytest\n\n@pytest.mark.suite('sums')\ndef test_broken(response):\n    {}['gone']\n"
    )
    model = project.outputs("base", right_except(lambda i: False, 3))
    code, results = project.results(f"--model={model}", f"--baseline={model}")
    assert code == 10
    assert "KeyError" in results["cases"][0]["explanation"]


def test_fixtures_that_depend_on_the_response_see_each_round(project: Project) -> None:
    project.golden("sums", sums(20))
    project.module(
        """
import pytest

@pytest.fixture
def number(response):
    return int(response.text)

@pytest.mark.suite("sums")
def test_number(case, number):
    assert str(number) == case.target
"""
    )
    project.outputs("base", right_except(lambda i: False, 20))
    project.outputs("other", {f"c{i}": str(i + 1 + (i < 10)) for i in range(20)})
    _, results = project.results("--model=replay/other.jsonl", "--baseline=replay/base.jsonl")
    assert results["verdicts"][0]["mean"] == pytest.approx(0.5)
    assert results["verdicts"][0]["baseline_mean"] == pytest.approx(1.0)


def test_module_fixtures_are_set_up_once(project: Project) -> None:
    project.golden("sums", sums(5))
    project.module(
        """
import pathlib
import pytest

@pytest.fixture(scope="module")
def costly():
    with pathlib.Path("setups").open("a") as log:
        log.write("x")

@pytest.mark.suite("sums")
def test_sums(case, response, costly):
    assert response.text == case.target
"""
    )
    model = project.outputs("base", right_except(lambda i: False, 5))
    other = project.outputs("other", right_except(lambda i: i == 3, 5))
    project.run(f"--model={other}", f"--baseline={model}", "--epochs=1")
    assert (project.path / "setups").read_text() == "x"


def test_free_form_tests_are_ordinary_tests(sums_project: Project) -> None:
    sums_project.module(
        """
def test_speaks(checkpoint):
    assert checkpoint.name in ("good", "bad")
    assert checkpoint.name != "bad"
"""
    )
    assert sums_project.run("--model=replay/good.jsonl", BASE).ret == 0
    done = sums_project.run("--model=replay/bad.jsonl", BASE, "suites/test_own.py")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*1 failed*"])


def test_epochs_average_the_samples(project: Project) -> None:
    project.golden("sums", sums(10))
    project.suite("sums")
    project.outputs("base", {f"c{i}": [str(i + 1)] * 4 for i in range(10)})
    project.outputs("half", {f"c{i}": [str(i + 1), "no", str(i + 1), "no"] for i in range(10)})
    code, results = project.results("--model=replay/half.jsonl", "--baseline=replay/base.jsonl", "--epochs=4")
    assert results["verdicts"][0]["mean"] == pytest.approx(0.5)
    assert results["cases"][0]["samples"] == [1.0, 0.0, 1.0, 0.0]
    assert results["cases"][0]["outcome"] == "missed"
    assert code == 1


def test_junit_has_a_case_per_gate_and_properties(sums_project: Project) -> None:
    sums_project.run("--model=replay/bad.jsonl", BASE, "--junitxml=junit.xml")
    root = ElementTree.parse(sums_project.path / "junit.xml").getroot()
    found = {case.get("name"): case for case in root.iter("testcase")}
    gate = found["gate[replay/bad.jsonl]"]
    failure = gate.find("failure")
    assert failure is not None
    assert "REGRESSED" in (failure.text or "")
    missed = found["test_sums[c2-bad]"]
    assert missed.find("failure") is None
    properties = {p.get("name"): p.get("value") for p in missed.iter("property")}
    assert properties["harness.outcome"] == "missed"
    assert properties["harness.score"] == "0"


def test_the_run_is_stored_and_can_be_the_baseline(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/base.jsonl", BASE, "--allow-same")
    assert code == 0
    stored = Path(sums_project.path, ".harness", "runs", results["run"], "run.json")
    assert json.loads(stored.read_text())["run"] == results["run"]
    code, later = sums_project.results("--model=replay/bad.jsonl", f"--baseline=run:{results['run']}")
    stored = later["environment"]["stored_baseline"]
    assert (stored["run"], stored["spec"]) == (results["run"], "replay/base.jsonl")
    assert stored["fingerprint"] == results["checkpoints"][0]["fingerprint"]
    assert code == 1
    assert later["verdicts"][0]["delta"] == pytest.approx(-0.4)
    assert later["verdicts"][0]["baseline_mean"] == pytest.approx(0.9)


def test_a_stored_baseline_of_another_version_is_not_compared(sums_project: Project) -> None:
    _, results = sums_project.results("--model=replay/base.jsonl", BASE)
    sums_project.golden("sums", sums(), version=2)
    code, later = sums_project.results("--model=replay/good.jsonl", f"--baseline=run:{results['run']}")
    assert code == 10
    assert "sums/v1" in " ".join(later["verdicts"][0]["reasons"])


def test_a_stored_baseline_with_other_sampling_is_not_compared(sums_project: Project) -> None:
    _, results = sums_project.results("--model=replay/base.jsonl", BASE)
    code, _ = sums_project.results(
        "--model=replay/good.jsonl", f"--baseline=run:{results['run']}", "--temperature=0.5"
    )
    assert code == 10


def test_waiver_turns_inconclusive_into_zero_and_is_recorded(sums_project: Project) -> None:
    code, results = sums_project.results("--model=replay/good.jsonl", "--inconclusive=warn")
    assert code == 0
    assert results["waived"] is True
    assert sums_project.run("--model=replay/bad.jsonl", BASE, "--inconclusive=warn").ret == 1


def test_edited_case_is_not_compared_with_an_older_run(sums_project: Project) -> None:
    _, results = sums_project.results("--model=replay/base.jsonl", BASE)
    path = sums_project.path / "golden" / "sums" / "v1" / "cases.jsonl"
    path.write_text(path.read_text().replace("what is 5 + 1?", "what is 5 plus 1?"))
    code, later = sums_project.results("--model=replay/good.jsonl", f"--baseline=run:{results['run']}")
    assert code == 10
    assert "c5" in " ".join(later["verdicts"][0]["reasons"])


def test_a_stored_baseline_under_other_numerics_is_not_compared(sums_project: Project) -> None:
    from harness.runs.store import RunStore

    _, results = sums_project.results("--model=replay/base.jsonl", BASE)
    store = RunStore(sums_project.path / ".harness")
    record = store.read(results["run"])
    checkpoints = tuple(
        dataclasses.replace(entry, numerics={"dtype": "bfloat16"}) for entry in record.checkpoints
    )
    store.write(dataclasses.replace(record, run="elsewhere", checkpoints=checkpoints))
    code, later = sums_project.results("--model=replay/good.jsonl", "--baseline=run:elsewhere")
    assert code == 10
    assert "other numerics" in " ".join(later["verdicts"][0]["reasons"])


def test_checkpoints_are_compared_from_the_command_line(sums_project: Project) -> None:
    compare = [sys.executable, "-m", "harness.cli", "compare", "replay/base.jsonl"]
    arguments = ["replay/good.jsonl", "replay/bad.jsonl", "--html", "page.html", "--markdown", "page.md"]
    done = subprocess.run(
        [*compare, *arguments], cwd=sums_project.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "REGRESSED" in done.stdout
    assert "<html" in (sums_project.path / "page.html").read_text()
    assert "REGRESSED" in (sums_project.path / "page.md").read_text()
    piped = subprocess.run(
        [*compare, "replay/good.jsonl", "--markdown", "-"],
        cwd=sums_project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.stdout.startswith("#")
    assert "passed" in piped.stderr
    missing = subprocess.run(
        [*compare, "replay/gone.jsonl"], cwd=sums_project.path, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 4


def test_later_turns_are_asked_after_the_answers_before_them(project: Project) -> None:
    project.golden("talk", [{"id": "t", "turns": ["first?", "second?"], "target": "two"}])
    project.module(
        """
import pytest
import harness

@pytest.mark.suite("talk")
def test_talk(case, response):
    assert harness.check(case, response).answer == "two"
"""
    )
    rows = [{"id": "t", "output": ["one", "two"]}]
    (project.path / "base.jsonl").write_text(json.dumps(rows[0]) + "\n")
    code, results = project.results("--model=replay/base.jsonl", BASE, "--allow-same")
    assert results["cases"][0]["outcome"] == "passed"
    assert (
        results["environment"]["requests"]["wanted"] == 2
    )  # one a turn; candidate and baseline are one file
    assert code == 10, "one case"
