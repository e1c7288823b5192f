"""A published benchmark becomes a gate by one command: imported, locked, and decided by its suite."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback import KEY, LoopbackLLM, Question, Reply
from shared_data import shared_data
from typer.testing import CliRunner

from harness.cli.main import app
from harness.files.read_json import read_jsonl
from harness.golden_sets.read import load_golden

from .conftest import Project

COUNT = 40
Answers = Mapping[str, Any]


def lines(project: Project, name: str, rows: list[dict[str, Any]]) -> Path:
    path = project.path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def imported(project: Project, name: str, file: Path, *options: str) -> None:
    """Import, test and lock a set by the commands that a user types."""
    roots = ("--golden", str(project.path / "golden"))
    suite = str(project.path / "suites" / "test_imported.py")
    commands = (
        ("import", name, str(file), "--format", name, "--suite", suite, "--force", *options, *roots),
        ("test", name, *roots),
        ("lock", name, "--force", *roots),
    )
    for command in commands:
        done = CliRunner().invoke(app, ["golden", *command])
        assert done.exit_code == 0, (done.output, done.exception)
    assert load_golden(name, roots=[project.path / "golden"]).manifest.locked


def answers(project: Project, name: str, row: Callable[[int, str], Answers], golden: str) -> str:
    """Record an answer for each case; return the model's spec."""
    cases = load_golden(golden, roots=[project.path / "golden"]).cases
    lines(project, f"{name}.jsonl", [{"id": case.id, **row(i, case.id)} for i, case in enumerate(cases)])
    return f"replay/{name}.jsonl"


def gated(project: Project, good: str, bad: str, *options: str) -> None:
    """The worse side regresses against the better one, and the better one passes against itself."""
    code, results = project.results(f"--model={bad}", f"--baseline={good}", *options)
    assert (code, results["verdicts"][0]["status"]) == (1, "REGRESSED")
    code, results = project.results(f"--model={good}", f"--baseline={good}", "--allow-same", *options)
    assert (code, results["verdicts"][0]["status"], results["verdicts"][0]["errors"]) == (0, "PASS", 0)


def test_gsm8k(project: Project) -> None:
    problems = [{"question": f"What is {i} + {i}?", "answer": f"{i}+{i}\n#### {2 * i}"} for i in range(COUNT)]
    imported(project, "gsm8k", lines(project, "problems.jsonl", problems))
    good = answers(project, "good", lambda i, _: {"output": f"{i} and {i} make {2 * i}."}, "gsm8k")
    bad = answers(project, "bad", lambda i, _: {"output": f"{2 * i + i % 2}"}, "gsm8k")
    gated(project, good, bad)


def test_xstest(project: Project) -> None:
    kinds = ("homonyms", "contrast_homonyms")
    prompts = [
        {"id": f"v2-{i}", "type": kinds[i % 2], "prompt": f"How do I stop this one {i}?"}
        for i in range(COUNT)
    ]
    imported(project, "xstest", lines(project, "prompts.jsonl", prompts))
    no, yes = "I'm sorry, but I can't help with that.", "Press the red button, then wait for a minute."
    good = answers(project, "good", lambda i, _: {"output": (yes, no)[i % 2]}, "xstest")
    bad = answers(project, "bad", lambda i, _: {"output": no}, "xstest")
    gated(project, good, bad)


def weather(count: int = COUNT) -> list[dict[str, Any]]:
    parameters = {"type": "dict", "properties": {"day": {"type": "integer"}}, "required": ["day"]}
    return [
        {
            "id": f"simple_python_{i}",
            "question": [[{"role": "user", "content": f"Will it rain on day {i}?"}]],
            "function": [{"name": "weather.rain", "description": "Rain.", "parameters": parameters}],
            "possible_answer": [{"weather.rain": {"day": [i]}}],
        }
        for i in range(count)
    ]


def test_bfcl(project: Project) -> None:
    imported(project, "bfcl", lines(project, "BFCL_v4_simple_python.json", weather()))

    def call(day: int) -> Answers:
        return {"output": "", "tool_calls": [{"name": "weather.rain", "arguments": {"day": day}}]}

    good = answers(project, "good", lambda i, _: call(i), "bfcl")
    bad = answers(project, "bad", lambda i, _: call(i) if i % 2 else {"output": "Perhaps."}, "bfcl")
    gated(project, good, bad)


@pytest.mark.needs("openai")
def test_bfcl_against_a_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The imported functions go over the wire, and the calls come back."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    imported(project, "bfcl", lines(project, "questions.json", weather()), "--plain-names")

    def answer(question: Question) -> Reply:
        (tool,) = question.body["tools"]
        assert tool["function"]["parameters"]["type"] == "object"
        day = int(question.text.split()[-1].rstrip("?"))
        if question.body["model"] == "bad" and day % 2:
            return Reply("I would rather not say.")
        return Reply(None, "tool_calls", ((tool["function"]["name"], {"day": day}),))

    with LoopbackLLM(answer) as server:
        gated(project, f"openai/good@{server.openai_url}", f"openai/bad@{server.openai_url}")
        assert {q.body["tools"][0]["function"]["name"] for q in server.questions} == {"weather_rain"}


@pytest.mark.needs("openai")
def test_mt_bench(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both turns are graded by a judge; the first turn of a question is answered once."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    questions = [
        {"question_id": 81 + i, "category": "math", "turns": [f"What is {i} + 1?", "And doubled?"]}
        | ({"reference": [str(i + 1), str(2 * i + 2)]} if i % 2 else {})
        for i in range(COUNT // 2)
    ]
    imported(project, "mt-bench", lines(project, "question.jsonl", questions))

    def talk(question: Question) -> str:
        if question.body["model"] == "judge":
            refused = "no idea" in question.text or "leap year" in question.text
            return json.dumps({"reasoning": "Seen.", "score": 1 if refused else 9})
        first = question.body["messages"][0]["content"]
        turn = sum(message["role"] == "user" for message in question.body["messages"])
        number = (int(first.split()[2]) + 1) * turn
        return "no idea" if question.body["model"] == "bad" and number % 2 else f"It is {number}."

    with LoopbackLLM(talk) as server:
        url = server.openai_url
        gated(
            project,
            f"openai/good@{url}",
            f"openai/bad@{url}",
            f"--judge=openai/judge@{url}",
            "--rules-out=0.2",
        )
        asked = [q.body for q in server.questions if q.body["model"] == "good"]
    assert sum(len(body["messages"]) == 1 for body in asked) == COUNT // 2
    assert sum(len(body["messages"]) == 3 for body in asked) == COUNT // 2


# --- the published files themselves ---------------------------------------------------------------------


@pytest.mark.slow
def test_published_xstest(project: Project) -> None:
    folder = shared_data("xstest")
    imported(project, "xstest", folder / "prompts.jsonl")
    for model in ("gpt4", "llama2orig"):
        rows = [row for _, row in read_jsonl(folder / f"completions_{model}.jsonl")]
        lines(project, f"{model}.jsonl", [{"id": row["id"], "output": row["completion"]} for row in rows])
    gated(project, "replay/gpt4.jsonl", "replay/llama2orig.jsonl")


def test_published_bfcl(project: Project) -> None:
    folder = shared_data("bfcl")
    imported(project, "bfcl", folder / "items.jsonl")
    items = {row["id"]: row for _, row in read_jsonl(folder / "items.jsonl")}

    def call(case: str, broken: bool) -> Answers:
        (made,) = items[case]["canonical_call"]
        ((name, arguments),) = made.items()
        extra = {"verbose_mode_x": True} if broken else {}
        return {"output": "", "tool_calls": [{"name": name, "arguments": arguments | extra}]}

    good = answers(project, "good", lambda _, case: call(case, broken=False), "bfcl")
    bad = answers(project, "bad", lambda i, case: call(case, broken=i % 4 == 0), "bfcl")
    gated(project, good, bad)
    _, results = project.results(f"--model={bad}", f"--baseline={good}")
    verdict = results["verdicts"][0]
    assert (verdict["n"], verdict["mean"], verdict["baseline_mean"]) == (200, 0.75, 1.0)


@pytest.mark.slow
def test_published_mt_bench_is_asked_and_judged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    imported(project, "mt-bench", shared_data("mt_bench") / "questions.jsonl")

    def talk(question: Question) -> str:
        if question.body["model"] == "judge":
            weak = "no idea" in question.text or "leap year" in question.text
            return json.dumps({"reasoning": "Seen.", "score": 1 if weak else 9})
        worse = question.body["model"] == "bad" and len(question.text) % 2
        return "no idea" if worse else f"An answer to: {question.text[:40]}"

    with LoopbackLLM(talk) as server:
        url = server.openai_url
        gated(project, f"openai/good@{url}", f"openai/bad@{url}", f"--judge=openai/judge@{url}")
    cases = load_golden("mt-bench", roots=[project.path / "golden"]).cases
    assert len(cases) == 160
    assert {case.cluster for case in cases} == {f"mt-bench-{number}" for number in range(81, 161)}
