"""`--early-stop`: a settled suite stops, and nothing is claimed that was not seen."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

import pytest
from loopback import KEY, LoopbackLLM, Question

from harness.errors import UsageError
from harness.runs.compare import Side
from harness.runs.store import RunStore

from .conftest import Project, right_except, sums

BASE = "--baseline=replay/base.jsonl"
GOOD = "--model=replay/good.jsonl"
BAD = "--model=replay/bad.jsonl"
COUNT = 300


@pytest.fixture
def large(project: Project) -> Project:
    """300 sums; base 90 %, good the same but for four cases, bad 50 %."""
    project.golden("sums", sums(COUNT))
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0, COUNT))
    project.outputs("good", right_except(lambda i: i % 10 == 0 and i > 20, COUNT))
    project.outputs("bad", right_except(lambda i: i % 2 == 0, COUNT))
    return project


def only(results: Mapping[str, Any]) -> dict[str, Any]:
    (verdict,) = results["verdicts"]
    return dict(verdict)


def test_a_regression_is_settled_after_a_part(large: Project) -> None:
    code, results = large.results(BAD, BASE, "--early-stop")
    verdict = only(results)
    assert code == 1
    assert verdict["status"] == "REGRESSED"
    assert verdict["n"] == len(results["cases"]) == verdict["planned"] < COUNT / 2
    assert verdict["not_needed"] == COUNT - verdict["n"]
    assert "a drop is shown" in verdict["stopped"]
    assert verdict["method"].startswith("anytime-valid")
    assert verdict["interval"][0] < verdict["delta"] < verdict["interval"][1] < 0
    assert not verdict["partial"]
    assert results["complete"]
    assert results["environment"]["early_stop"] is True


def test_an_equal_checkpoint_passes_after_a_part_and_exits_with_0(large: Project) -> None:
    code, results = large.results(GOOD, BASE, "--early-stop")
    verdict = only(results)
    assert (code, verdict["status"]) == (0, "PASS")
    assert 0 < verdict["not_needed"] < COUNT
    said = large.run(GOOD, BASE, "--early-stop").stdout
    said.fnmatch_lines(["early stop: sums × *: settled after * cases, * not needed: *", "*exit code 0*"])
    assert "deselected" not in said.str()
    said.fnmatch_lines([f"* passed, {verdict['not_needed']} not needed, * missed*"])


def test_what_was_not_needed_is_listed_and_is_no_pass(large: Project) -> None:
    junit = large.path / "junit.xml"
    _, results = large.results(GOOD, BASE, "--early-stop", f"--junitxml={junit}")
    verdict = only(results)
    ran = {case["id"] for case in results["cases"]}
    saved = verdict["not_needed_ids"]
    assert len(saved) == len(set(saved)) == verdict["not_needed"]
    assert ran | set(saved) == {f"c{i}" for i in range(COUNT)}
    assert not ran & set(saved)
    assert saved != sorted(saved)
    (suite,) = ElementTree.parse(junit).getroot().iter("testsuite")
    skipped = {
        entry.attrib["name"]: entry.find("skipped").attrib["message"]  # type: ignore[union-attr]
        for entry in suite.iter("testcase")
        if entry.find("skipped") is not None
    }
    assert set(skipped) == {f"test_sums[{case}-good]" for case in saved}
    assert set(skipped.values()) == {f"not needed: {verdict['stopped']}"}
    assert int(suite.attrib["tests"]) == COUNT + 1  # and the gate


def test_only_what_is_needed_is_asked(large: Project) -> None:
    _, results = large.results(BAD, BASE, "--early-stop")
    assert results["environment"]["requests"]["wanted"] == 2 * only(results)["n"]


def test_the_ini_key_and_the_alias(large: Project) -> None:
    _, results = large.results(BAD, BASE, "--harness-early-stop")
    assert only(results)["not_needed"] > 0
    large.pytester.makeini("[pytest]\nharness_early_stop = true\n")
    assert large.results(BAD, BASE)[1]["verdicts"] == results["verdicts"]
    large.pytester.makeini("[pytest]\nharness_early_stop = perhaps\n")
    assert large.run(BAD, BASE).ret == 4


def test_another_seed_draws_another_order(large: Project) -> None:
    drawn = [
        {case["id"] for case in large.results(BAD, BASE, "--early-stop", f"--seed={seed}")[1]["cases"]}
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_each_checkpoint_is_settled_by_itself(large: Project) -> None:
    code, results = large.results("--model=replay/good.jsonl,replay/bad.jsonl", BASE, "--early-stop")
    good, bad = results["verdicts"]
    assert code == 1
    assert (good["status"], bad["status"]) == ("PASS", "REGRESSED")
    assert 0 < bad["n"] < good["n"] < COUNT
    record = RunStore(large.path / ".harness").read(results["run"])
    sides = [Side(record, verdict["checkpoint"]).not_needed for verdict in (good, bad)]
    assert sides == [COUNT - good["n"], COUNT - bad["n"]]
    assert Side(record).not_needed == sum(sides) == record.not_needed


def test_must_pass_cases_run_first_and_decide_alone(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] in ("c7", "c290")} for case in sums(COUNT)])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: False, COUNT))
    project.outputs("bad", right_except(lambda i: i == 290, COUNT))
    project.outputs("same", right_except(lambda i: False, COUNT))
    code, results = project.results(BAD, BASE, "--early-stop")
    verdict = only(results)
    assert (code, verdict["missed_must_pass"]) == (1, ["c290"])
    assert verdict["n"] < 30
    code, results = project.results("--model=replay/same.jsonl", BASE, "--early-stop", "--allow-same")
    assert (code, only(results)["status"]) == (0, "PASS")
    assert {"c7", "c290"} <= {case["id"] for case in results["cases"]}


def test_clusters_come_whole(project: Project) -> None:
    cases = [case | {"cluster": f"g{i % 60}"} for i, case in enumerate(sums(COUNT))]
    project.golden("sums", cases)
    project.suite("sums")
    project.outputs("base", right_except(lambda i: False, COUNT))
    project.outputs("bad", right_except(lambda i: i % 60 < 36, COUNT))
    code, results = project.results(BAD, BASE, "--early-stop")
    assert code == 1
    assert only(results)["not_needed"] > 0
    seen: dict[str, int] = {}
    for case in results["cases"]:
        seen[case["cluster"]] = seen.get(case["cluster"], 0) + 1
    assert set(seen.values()) == {5}


def test_an_error_keeps_a_suite_from_passing_early(large: Project) -> None:
    answers = right_except(lambda i: i % 10 == 0, COUNT)
    large.outputs("hole", {case: None if case == "c5" else text for case, text in answers.items()})
    code, results = large.results("--model=replay/hole.jsonl", BASE, "--early-stop")
    assert code == 10
    assert only(results)["errors"] == 1
    found = {case["id"] for case in results["cases"]}
    assert "c5" in found


def test_non_inferior_and_absolute_policies(large: Project) -> None:
    large.suite("sums", 'gate=harness.Gate(policy="non-inferior", margin=0.1)')
    _, results = large.results(GOOD, BASE, "--early-stop")
    verdict = only(results)
    assert (verdict["status"], verdict["not_needed"] > 0) == ("PASS", True)
    assert verdict["bounds"][0] > -0.1
    large.suite("sums", 'gate=harness.Gate(policy="absolute", min_score=0.75)')
    code, results = large.results(GOOD, "--early-stop")
    assert (code, only(results)["not_needed"] > 0) == (0, True)
    code, results = large.results(BAD, "--early-stop")
    verdict = only(results)
    assert (code, verdict["not_needed"] > 0) == (1, True)
    assert verdict["floor_interval"][1] < 0.75


def test_a_suite_that_runs_to_its_end_is_tested_at_what_looking_left(sums_project: Project) -> None:
    """60 cases at an undecided difference: the p-value pays for the looks, the verdict is an ordinary one."""
    sums_project.outputs("slightly", right_except(lambda i: i % 10 == 0 or i in (11, 23, 37, 41), 60))
    plain = only(sums_project.results("--model=replay/slightly.jsonl", BASE)[1])
    verdict = only(sums_project.results("--model=replay/slightly.jsonl", BASE, "--early-stop")[1])
    assert (verdict["stopped"], verdict["not_needed"], verdict["n"]) == (None, 0, 60)
    assert verdict["p_value"] == pytest.approx(plain["p_value"] / 0.8)
    assert verdict["status"] == plain["status"]


def test_a_stored_baseline_and_a_run_that_lacks_cases(large: Project) -> None:
    _, results = large.results("--model=replay/base.jsonl", BASE)
    store = RunStore(large.path / ".harness")
    store.accept(results["run"])
    code, results = large.results(BAD, "--baseline=run:main", "--early-stop")
    assert (code, only(results)["not_needed"] > 0) == (1, True)
    _, results = large.results(GOOD, "--baseline=run:main", "--early-stop")
    with pytest.raises(UsageError, match="stopped early and lacks"):
        store.accept(results["run"])
    code, compared = large.results(BAD, f"--baseline=run:{results['run']}")
    assert code == {"REGRESSED": 1, "INCONCLUSIVE": 10}[only(compared)["status"]]
    assert any("stopped early and lacks" in reason for reason in only(compared)["reasons"])


def test_exitfirst_leaves_cases_missing_and_not_unneeded(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] == "c40"} for case in sums(COUNT)])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: False, COUNT))
    project.outputs("bad", right_except(lambda i: i == 40, COUNT))
    code, results = project.results(BAD, BASE, "-x", "--early-stop")
    assert code == 1
    assert (only(results)["not_needed"], only(results)["stopped"]) == (0, None)
    assert any("never reported" in reason for reason in only(results)["reasons"])


def test_a_part_stays_a_part(large: Project) -> None:
    code, results = large.results(GOOD, BASE, "--early-stop", "--limit=100")
    assert (code, only(results)["partial"], only(results)["not_needed"]) == (10, True, 0)
    code, results = large.results(BAD, BASE, "--early-stop", "--limit=200")
    assert (code, only(results)["partial"]) == (1, True)
    assert only(results)["not_needed"] > 0


def test_epochs_and_last_failed(large: Project) -> None:
    answers = right_except(lambda i: i % 2 == 0, COUNT)
    large.outputs("two", {case: [str(text), str(text)] for case, text in answers.items()})
    large.outputs("base2", {c: [str(t)] * 2 for c, t in right_except(lambda i: False, COUNT).items()})
    code, results = large.results(
        "--model=replay/two.jsonl", "--baseline=replay/base2.jsonl", "--epochs=2", "--early-stop"
    )
    assert (code, only(results)["not_needed"] > 0) == (1, True)
    assert all(len(case["samples"]) == 2 for case in results["cases"])
    missed = sum(case["outcome"] == "missed" for case in results["cases"])
    code, results = large.results("--model=replay/two.jsonl", "--epochs=2", "--early-stop", "--lf")
    assert len(results["cases"]) == missed


def test_workers_are_refused_by_name(large: Project) -> None:
    done = large.run_process(BAD, BASE, "--early-stop", "-n2")
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*--early-stop and pytest-xdist exclude each other*"])


FIXTURES = """
import pathlib
import pytest
import harness

LOG = pathlib.Path(__file__).parent.parent / "log.txt"

def note(text):
    with LOG.open("a") as stream:
        stream.write(text + "\\n")

@pytest.fixture(scope="session", autouse=True)
def whole():
    note("session up")
    yield
    note("session down")
    {failing}

@pytest.mark.suite("sums")
def test_sums(case, response):
    harness.check(case, response)

def test_free(checkpoint):
    note("free")
"""


def test_session_fixtures_live_once_and_other_tests_run(large: Project) -> None:
    large.module(FIXTURES.format(failing=""), "suites/test_sums.py")
    done = large.run(BAD, BASE, "--early-stop")
    assert done.ret == 1
    assert (large.path / "log.txt").read_text().split("\n") == ["session up", "free", "session down", ""]


def test_a_session_fixture_that_fails_at_the_end_is_reported(large: Project) -> None:
    large.module(FIXTURES.format(failing="raise OSError('no room')"), "suites/test_sums.py")
    done = large.run(GOOD, BASE, "--early-stop")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*ERROR at teardown*", "*no room*"])


def test_within_a_batch_pytests_order_holds(large: Project) -> None:
    _, results = large.results(BAD, BASE, "--early-stop")
    first = [int(case["id"][1:]) for case in results["cases"]][:20]
    assert first == sorted(first)
    assert first != list(range(20))


def test_the_record_reads_back(large: Project) -> None:
    _, results = large.results(BAD, BASE, "--early-stop")
    record = RunStore(large.path / ".harness").read(results["run"])
    assert record.not_needed == only(results)["not_needed"]
    settlement = record.verdicts[0].settlement
    assert settlement is not None
    assert settlement.rule == only(results)["stopped"]
    assert json.loads(record.to_json())["verdicts"] == results["verdicts"]


JUDGED = """
import pytest
import harness

@pytest.mark.suite("sums", rubric=harness.Rubric("Is it right?", scale="pass/fail"))
def test_sum(case, response, judge, record_score):
    score = judge(case, response)
    record_score(score.value, explanation=score.explanation)
"""


def grade(question: Question) -> str:
    fails = "no idea" in question.text or "leap year" in question.text
    return json.dumps({"reasoning": "Seen.", "verdict": "fail" if fails else "pass"})


def lenient(question: Question) -> str:
    """Grade the cases well, and let canaries pass that must lose."""
    return json.dumps(
        {
            "reasoning": "Nice.",
            "verdict": "fail" if "what is" in question.text and "no idea" in question.text else "pass",
        }
    )


@pytest.mark.needs("openai")
def test_the_judge_is_asked_about_a_batch_at_a_time(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    large.module(JUDGED, "suites/test_sums.py")
    with LoopbackLLM(grade) as server:
        arguments = (f"--judge=openai/gpt@{server.openai_url}", "--early-stop")
        code, results = large.results(BAD, BASE, *arguments)
        asked = len(server.questions)
    used = only(results)["n"]
    assert (code, only(results)["status"]) == (1, "REGRESSED")
    assert used < COUNT / 2
    assert used < asked < 2 * used + 20  # equal answers are judged once, canaries in addition


@pytest.mark.needs("openai")
def test_a_judge_that_is_not_trusted_settles_nothing(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    large.module(JUDGED, "suites/test_sums.py")
    with LoopbackLLM(lenient) as server:
        code, results = large.results(BAD, BASE, f"--judge=openai/gpt@{server.openai_url}", "--early-stop")
    assert (code, only(results)["not_needed"], len(results["cases"])) == (10, 0, COUNT)


INTERRUPTED = """
import pathlib
import pytest

SEEN = pathlib.Path(__file__).parent / "seen.txt"

@pytest.mark.suite("sums")
def test_sums(case, response):
    with SEEN.open("a") as stream:
        stream.write(".")
    if len(SEEN.read_text()) == 30:
        raise KeyboardInterrupt
    assert response.text == case.target
"""


def test_an_interruption_keeps_what_was_finished(large: Project) -> None:
    large.module(INTERRUPTED, "suites/test_sums.py")
    path = large.path / "results.json"
    done = large.run_process(GOOD, BASE, "--early-stop", f"--harness-json={path}")
    results = json.loads(path.read_text(encoding="utf-8"))
    assert done.ret == 2
    assert results["complete"] is False
    assert 0 < len(results["cases"]) < 30
    assert (only(results)["stopped"], only(results)["not_needed"]) == (None, 0)
    assert any("never reported" in reason for reason in only(results)["reasons"])


def test_what_may_still_block_is_waited_for(large: Project) -> None:
    large.suite("sums", 'gate=harness.Gate(blocks_on=("truncated",))')
    code, results = large.results(GOOD, BASE, "--early-stop")
    assert (code, only(results)["not_needed"]) == (0, 0)
    assert only(large.results(BAD, BASE, "--early-stop")[1])["not_needed"] > 0


def test_samples_make_scores_as_the_gate_says(large: Project) -> None:
    """By pass^2 a case with one wrong sample of two is wrong: the drop is twice as deep."""
    large.suite("sums", 'gate=harness.Gate(reduce="all")')
    right = right_except(lambda i: False, COUNT)
    large.outputs("base2", {case: [str(text)] * 2 for case, text in right.items()})
    large.outputs("half", {case: [str(text), "no idea"] for case, text in right.items()})
    code, results = large.results(
        "--model=replay/half.jsonl", "--baseline=replay/base2.jsonl", "--epochs=2", "--early-stop"
    )
    verdict = only(results)
    assert (code, verdict["delta"]) == (1, -1.0)
    assert verdict["interval"][1] < -0.4
