"""Served answers through a whole session: what is unusable, who has answered, where the key may not be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from anthropic_behaviours import ANTHROPIC
from loopback import KEY, Body, LoopbackLLM, Question, Raw, Reply, Status, give_key
from openai_behaviours import OPENAI
from served_behaviours import CASES, Behaviour

from .conftest import Project, sums

for name in ("openai", "anthropic"):  # loaded before a run puts sys.modules back, as the fixtures do
    pytest.importorskip(name)

COUNT = 40
QUICK = ("-M", "retry_wait=0.01", "-M", "max_retries=0")
PLAIN = """
import pytest
import harness

@pytest.mark.suite("sums")
def test_sum(case, response):
    assert not response.tool_calls
    assert "sorry" not in response.text
"""
JUDGED = """
import pytest
import harness

@pytest.mark.suite("sums", rubric=harness.Rubric("Is it right?", scale="pass/fail"))
def test_sum(case, response, judge, record_score):
    record_score(judge(case, response))
"""


@pytest.fixture
def served(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    give_key(monkeypatch)
    return project


def right(question: Question) -> str:
    return str(int(question.text.split()[2]) + 1)


def only_case(results: dict[str, Any], case: str) -> tuple[str, str]:
    (found,) = (one for one in results["cases"] if one["id"] == case)
    return found["outcome"], str(found["explanation"])


# --- what is unusable ------------------------------------------------------------------------------------


def test_no_test_passes_on_an_answer_that_nobody_can_read(served: Project) -> None:
    """A test that asserts what an answer does not hold would pass on one that is not there."""
    served.golden("sums", sums(COUNT))
    served.module(PLAIN)

    def answers(question: Question) -> Any:
        if "what is 3 + 1?" in question.text:
            return Reply("Let me see.", "tool_calls", (("add", '{"a": 3'),))
        if "what is 4 + 1?" in question.text:
            return Status(400, "prompt is too long: 5000 tokens > 4096 maximum")
        return right(question)

    with LoopbackLLM(answers) as server:
        _, results = served.results(f"--model=openai/gpt@{server.openai_url}", *QUICK)
    assert only_case(results, "c2") == ("passed", "None")
    unread, long = only_case(results, "c3"), only_case(results, "c4")
    assert (unread[0], "arguments of the call to 'add'" in unread[1]) == ("invalid", True)
    assert (long[0], "prompt of 5000 tokens does not fit" in long[1]) == ("invalid", True)


# --- who has answered ------------------------------------------------------------------------------------


def changing(after: int, name: str, answer: Any) -> Any:
    """Answer under a dated name, and under `name` after so many questions."""

    def answers(question: Question) -> Reply:
        text = answer(question)
        return Reply(text, model="gpt-2026-08-06" if question.number < after else name)

    return answers


def test_a_model_that_changes_behind_its_name_decides_nothing(served: Project) -> None:
    served.golden("sums", sums(COUNT))
    served.suite("sums")
    with LoopbackLLM(changing(6, "gpt-2026-11-20", right)) as server, LoopbackLLM(right) as other:
        models = f"--model=openai/gpt@{server.openai_url},openai/gpt@{other.openai_url}"
        code, results = served.results(models, f"--baseline=openai/base@{other.openai_url}", *QUICK)
        again, _ = served.results(models, f"--baseline=openai/base@{other.openai_url}", *QUICK)
        assert server.attempts == COUNT
    assert (code, again) == (10, 10)
    assert [one["status"] for one in results["verdicts"]] == ["INCONCLUSIVE", "PASS"]
    changed = [one for one in results["cases"] if server.openai_url in one["checkpoint"]]
    assert {one["outcome"] for one in changed} == {"error"}
    assert "gpt-2026-08-06 and gpt-2026-11-20 have answered" in changed[0]["explanation"]


def test_a_model_that_changed_between_two_sessions_decides_nothing(served: Project) -> None:
    """Half of the answers are an earlier session's, and another model's."""
    served.golden("sums", sums(COUNT))
    served.suite("sums")
    with LoopbackLLM(changing(6, "gpt-2026-11-20", right)) as server:
        arguments = (f"--model=openai/gpt@{server.openai_url}", "--baseline=replay/good.jsonl", *QUICK)
        served.outputs("good", {f"c{i}": str(i + 1) for i in range(COUNT)})
        served.results(*arguments, "--limit=6")
        code, results = served.results(*arguments)
        assert server.attempts == COUNT
        anew, _ = served.results(*arguments, "--no-cache")
    assert (code, anew) == (10, 0)
    assert "--no-cache" in results["cases"][0]["explanation"]


def test_another_model_in_the_answer_is_an_error(served: Project) -> None:
    served.golden("sums", sums(COUNT))
    served.suite("sums")
    served.outputs("good", {f"c{i}": str(i + 1) for i in range(COUNT)})
    with LoopbackLLM(lambda question: Reply(right(question), model="base")) as server:
        arguments = (f"--model=openai/gpt@{server.openai_url}", "--baseline=replay/good.jsonl", *QUICK)
        code, results = served.results(*arguments)
        said, _ = served.results(*arguments, "-M", "answers_as=gpt=base")
    assert (code, said) == (10, 0)
    assert "-M answers_as=gpt=base" in only_case(results, "c0")[1]


@pytest.mark.parametrize("later", ["gpt-2026-11-20", "another"])
def test_a_judge_that_changes_in_mid_run_decides_nothing(served: Project, later: str) -> None:
    served.golden("sums", sums(COUNT))
    served.module(JUDGED)
    for name in ("good", "bad"):
        served.outputs(name, {f"c{i}": str(i + 1) if name == "good" else "no idea" for i in range(COUNT)})

    def judge(question: Question) -> str:
        fails = "no idea" in question.text or "leap year" in question.text
        return json.dumps({"reasoning": "Seen.", "verdict": "fail" if fails else "pass"})

    with LoopbackLLM(changing(10, later, judge)) as server:
        code, results = served.results(
            "--model=replay/bad.jsonl",
            "--baseline=replay/good.jsonl",
            f"--judge=openai/gpt@{server.openai_url}",
            *QUICK,
        )
    assert code == 10
    assert results["verdicts"][0]["status"] == "INCONCLUSIVE"
    assert later in json.dumps(results["cases"])


# --- the key ---------------------------------------------------------------------------------------------


MEANT = frozenset(
    {
        *(
            "assistant",
            "chat.completion",
            "end_turn",
            "function",
            "function_call",
            "gpt",
            "length",
            "max_tokens",
        ),
        *("message", "now", "refusal", "stop", "text", "thinking", "tool_calls", "tool_use", "tool_result"),
    }
)
"""Words of the wire formats: with a key behind them, every answer would end at the first of them."""


def quoting(value: Any) -> Any:
    """Return JSON whose texts quote the key."""
    if isinstance(value, dict):
        return {name: quoting(held) for name, held in value.items()}
    if isinstance(value, list):
        return [quoting(held) for held in value]
    return f"{value} {KEY}" if isinstance(value, str) and value not in MEANT else value


def indiscreet(answer: Body | Raw | Status) -> Any:
    """Return an answer that quotes the key wherever it can; a good one spells it with an escape of JSON."""
    if isinstance(answer, Status):
        return Status(answer.code, f"{answer.message} {KEY}", error=quoting(answer.error))
    if isinstance(answer, Raw):
        return Raw(answer.body + KEY.encode())
    if answer.code != 200:
        return Body(quoting(answer.value), answer.code)
    return Raw(json.dumps(quoting(answer.value)).replace(KEY, KEY.replace("-", "\\u002d")).encode())


def everything_written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.parametrize(("provider", "behaviours"), [("openai", OPENAI), ("anthropic", ANTHROPIC)])
def test_the_key_is_in_no_artefact_whatever_is_answered(
    served: Project, provider: str, behaviours: Sequence[Behaviour]
) -> None:
    """Every known answer, with the key in all that it says."""
    cases = [
        {"id": f"b{number}", "input": behaviour.name, **CASES[behaviour.asks]}
        for number, behaviour in enumerate(behaviours)
    ]
    answers = {behaviour.name: indiscreet(behaviour.answer) for behaviour in behaviours}
    served.golden("behaviours", cases)
    served.suite("behaviours")
    with LoopbackLLM(lambda question: answers[question.text]) as server:
        url = server.openai_url if provider == "openai" else server.anthropic_url
        done = served.run_process(
            f"--model={provider}/gpt@{url}",
            *QUICK,
            f"--concurrency={len(cases)}",
            "--max-tokens=64",
            "--harness-json=results.json",
            "--junit-xml=junit.xml",
            "--log-level=DEBUG",
        )
        assert server.attempts == len(cases)
    results = json.loads((served.path / "results.json").read_text(encoding="utf-8"))
    outcomes = {case["outcome"] for case in results["cases"]}
    assert outcomes == {"passed", "missed", "invalid", "error"}
    page = (results["run"], results["run"], "--html", "page.html", "--markdown", "page.md")
    shown = subprocess.run(
        [sys.executable, "-m", "harness.cli", "compare", *page],
        cwd=served.path,
        capture_output=True,
        text=True,
        check=False,
    )
    written = list(everything_written(served.path))
    assert {"results.json", "junit.xml", "page.html", "page.md", "cache.sqlite", "cases.parquet"} <= {
        path.name for path, _ in written
    }
    for path, data in written:
        assert KEY.encode() not in data, path
    for text in (done.stdout.str(), done.stderr.str(), shown.stdout, shown.stderr):
        assert KEY not in text
