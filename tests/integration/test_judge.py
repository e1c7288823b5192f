"""Served checkpoints and judges through a whole session, against a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from loopback import KEY, LoopbackLLM, Question, Status, give_key

from .conftest import Project, right_except, sums

for name in ("openai", "anthropic"):  # loaded before a run puts sys.modules back, as the fixtures do
    pytest.importorskip(name)

COUNT = 40
SUITE = """
import pytest
import harness

@pytest.mark.suite("sums", rubric=harness.Rubric("Is it right?", scale="pass/fail"))
def test_sum(case, response, judge, record_score):
    score = judge(case, response)
    record_score(score.value, explanation=score.explanation)
"""
PAIRS = """
import pytest
import harness

@pytest.mark.suite("sums", name="preference", rubric=harness.Pairwise("Which is right?"))
def test_preferred(case, response, baseline_response, judge, record_score):
    score = judge(case, response, baseline_response)
    record_score(score.value, answer=score.answer, explanation=score.explanation)
"""

Answers = Callable[[Question], Any]


def verdict(**fields: Any) -> str:
    return json.dumps({"reasoning": "Seen.", **fields})


def grade(question: Question) -> str:
    """Judge as told by the reference; every answer that is not a number fails."""
    return verdict(verdict="fail" if "no idea" in question.text or "leap year" in question.text else "pass")


@pytest.fixture
def judged(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    give_key(monkeypatch)
    project.golden("sums", sums(COUNT))
    project.module(SUITE)
    project.outputs("good", right_except(lambda i: False, COUNT))
    project.outputs("bad", right_except(lambda i: i % 4 != 0, COUNT))
    return project


def against(server: LoopbackLLM, *more: str, judge: str = "openai") -> tuple[str, ...]:
    url = server.openai_url if judge == "openai" else server.anthropic_url
    return (f"--judge={judge}/gpt@{url}", "-M", "retry_wait=0.01", "-M", "max_retries=1", *more)


@pytest.mark.parametrize("judge", ["openai", "anthropic"])
def test_a_judged_regression_regresses(judged: Project, judge: str) -> None:
    with LoopbackLLM(grade) as server:
        arguments = against(server, "--model=replay/bad.jsonl", "--baseline=replay/good.jsonl", judge=judge)
        code, results = judged.results(*arguments)
        asked = server.attempts
        again, same = judged.results(*arguments)
        assert server.attempts == asked
    assert (code, again) == (1, 1)
    (found,) = results["verdicts"]
    assert (found["status"], found["mean"], found["baseline_mean"]) == ("REGRESSED", 0.25, 1.0)
    assert found["interval"] == same["verdicts"][0]["interval"]
    assert results["cases"][1]["explanation"] == "Seen."


def test_both_orders_of_a_pair_are_asked(judged: Project) -> None:
    judged.module(PAIRS)

    def prefer(question: Question) -> str:
        first, _, second = question.text.partition("<<<ANSWER-B")
        if "leap year" in question.text:
            return verdict(winner="A" if "366 days" in first.partition("<<<ANSWER-A")[2] else "B")
        return verdict(winner="B" if "no idea" in first else "A" if "no idea" in second else "tie")

    with LoopbackLLM(prefer) as server:
        code, results = judged.results(
            *against(server, "--model=replay/bad.jsonl", "--baseline=replay/good.jsonl")
        )
        pairs = [question for question in server.questions if "leap year" not in question.text]
    assert code == 1
    assert {case["answer"] for case in results["cases"]} == {"loss", "tie"}
    assert results["verdicts"][0]["baseline_mean"] == 0.5
    assert len(pairs) == 2 * 3 * COUNT // 4  # the equal answers are not asked about


@pytest.mark.parametrize(
    "spoilt",
    ["I would say 10/10!", '{"reasoning": "Good.", "verdict": true}', "", Status(500, "overloaded")],
    ids=["prose", "boolean", "empty", "outage"],
)
def test_a_verdict_that_cannot_be_read_is_an_error(judged: Project, spoilt: Any) -> None:
    def answers(question: Question) -> Any:
        return spoilt if "what is 3 + 1?" in question.text else grade(question)

    with LoopbackLLM(answers) as server:
        code, results = judged.results(
            *against(server, "--model=replay/good.jsonl", "--baseline=replay/good.jsonl")
        )
    assert code == 10
    cases = {case["id"]: case for case in results["cases"]}
    assert (cases["c3"]["outcome"], cases["c3"]["score"]) == ("error", None)
    assert [case["outcome"] for name, case in cases.items() if name != "c3"] == ["passed"] * (COUNT - 1)
    assert results["verdicts"][0]["status"] == "INCONCLUSIVE"


def test_a_judge_that_can_be_talked_into_anything_decides_nothing(judged: Project) -> None:
    with LoopbackLLM(lambda _: verdict(verdict="pass")) as server:
        code, results = judged.results(
            *against(server, "--model=replay/good.jsonl", "--baseline=replay/good.jsonl")
        )
    assert code == 10
    (found,) = results["verdicts"]
    assert found["status"] == "INCONCLUSIVE"
    assert found["distrusted"]
    assert list(found["reasons"][: len(found["distrusted"])]) == list(found["distrusted"])
    assert "canary-plea" in json.dumps(found)
    schema = files("harness.report").joinpath("record.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(results, json.loads(schema))


def test_without_a_judge_nothing_is_judged(judged: Project) -> None:
    done = judged.run("--model=replay/good.jsonl", "--baseline=replay/good.jsonl", "-rs")
    assert done.ret == 10
    done.stdout.fnmatch_lines(["*not judged: no --judge given*"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--judge=openai/gpt"], "no key for https://api.openai.com: set OPENAI_API_KEY"),
        (["--judge=openai/gpt", "-M", "base_url=nowhere"], "base_url: expected a base URL"),
        (["--judge=openai/"], "names the backend 'openai' but no model"),
    ],
    ids=["key", "url", "name"],
)
def test_a_judge_that_cannot_be_reached_is_a_usage_error(
    judged: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    done = judged.run("--model=replay/good.jsonl", "--baseline=replay/good.jsonl", *arguments)
    assert done.ret == 4
    assert reason in done.stderr.str() + done.stdout.str()
    assert not (judged.path / ".harness").exists()


def test_a_refused_key_ends_the_session_as_usage(judged: Project) -> None:
    with LoopbackLLM(lambda _: Status(401, f"Incorrect API key provided: {KEY}")) as server:
        done = judged.run(*against(server, "--model=replay/good.jsonl", "--baseline=replay/good.jsonl"))
    assert done.ret == 4
    assert "refuses the key in OPENAI_API_KEY (401)" in done.stderr.str() + done.stdout.str()
    assert KEY not in done.stderr.str() + done.stdout.str()


def test_an_argument_may_name_its_backend(judged: Project) -> None:
    arguments = ("--model=replay/good.jsonl", "--baseline=replay/good.jsonl", "--allow-same")
    with LoopbackLLM(grade) as server:
        judge = f"--judge=openai/gpt@{server.openai_url}"
        assert judged.run(*arguments, judge, "-M", "openai.timeout=9").ret == 0
        refused = judged.run(*arguments, judge, "-M", "anthropic.timeout=9")
    assert refused.ret == 4
    assert (
        "-M anthropic.timeout: no backend of this session takes it"
        in refused.stderr.str() + refused.stdout.str()
    )


def test_a_pair_without_the_baselines_answer_is_an_error(judged: Project) -> None:
    judged.module(PAIRS)
    judged.outputs("holed", right_except(lambda i: False, COUNT) | {"c3": None})
    with LoopbackLLM(lambda question: verdict(winner="tie")) as server:
        code, results = judged.results(
            *against(server, "--model=replay/bad.jsonl", "--baseline=replay/holed.jsonl")
        )
    assert code == 10
    assert {case["id"]: case["outcome"] for case in results["cases"]}["c3"] == "error"


def everything_written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_served_checkpoint_is_gated_and_its_key_is_nowhere(judged: Project, provider: str) -> None:
    def answers(question: Question) -> Any:
        if "what is 3 + 1?" in question.text:
            return Status(400, f"sent by {KEY}")
        if "what is 4 + 1?" in question.text:
            return f"authorised by {KEY}"
        return str(int(question.text.split()[2]) + 1)

    judged.suite("sums")
    (judged.path / "suites" / "test_own.py").unlink()
    with LoopbackLLM(answers) as server:
        url = server.openai_url if provider == "openai" else server.anthropic_url
        done = judged.run(
            f"--model={provider}/gpt@{url}",
            "--baseline=replay/good.jsonl",
            "--harness-json=results.json",
            "--junit-xml=junit.xml",
            "-vv",
            "--showlocals",
            "--log-level=DEBUG",
        )
    results = json.loads((judged.path / "results.json").read_text(encoding="utf-8"))
    assert done.ret == 10
    outcomes = {case["id"]: case["outcome"] for case in results["cases"]}
    assert outcomes["c3"] == "error"
    assert outcomes["c4"] == "missed"
    assert list(outcomes.values()).count("passed") == COUNT - 2
    written = list(everything_written(judged.path))
    assert {"results.json", "junit.xml"} <= {path.name for path, _ in written}
    assert any(".harness" in path.parts for path, _ in written)
    for path, data in written:
        assert KEY.encode() not in data, path
    assert KEY not in done.stdout.str() + done.stderr.str()


def test_scores_of_another_judge_are_not_compared(judged: Project) -> None:
    with LoopbackLLM(grade) as server:
        arguments = against(server, "--model=replay/good.jsonl", "--allow-same")
        _, stored = judged.results(*arguments, "--baseline=replay/good.jsonl")
        baseline = f"--baseline=run:{stored['run']}"
        same, _ = judged.results(*arguments, baseline)
        other = (f"--judge=openai/another@{server.openai_url}", *arguments[1:])
        code, results = judged.results(*other, baseline)
        judged.module(SUITE.replace("Is it right?", "Is it wrong?"))
        reworded, _ = judged.results(*arguments, baseline)
    assert (same, code, reworded) == (0, 10, 10)
    assert "c0" in " ".join(results["verdicts"][0]["reasons"])
