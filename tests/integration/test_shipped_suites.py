"""The shipped suites, unchanged, over each kind of backend: recorded outputs, a server, a model on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from loopback import KEY, LoopbackLLM, Question

from harness.cases import Case
from harness.golden_sets.source import load_case_sets

from .conftest import Project

ROOT = Path(__file__).parents[2]
MARK = re.compile(r'@pytest\.mark\.suite\(\s*"([^"]+)"')
SETS = tuple(
    one
    for path in (ROOT / "suites").glob("test_*.py")
    for name in MARK.findall(path.read_text("utf-8"))
    for one in load_case_sets(name, roots=())
)
NAMES = {one.name for one in SETS}
SHIPPED = ("--pyargs", "harness.suites", "--allow-code-execution")


def cases() -> list[Case]:
    """Every case that the shipped suites ask."""
    return [case for one in SETS for case in one.cases]


def said(case: Case, *, right: bool) -> str:
    """An answer that the case accepts or rejects."""
    known = case.accepts if right else case.rejects
    return known[0] if known else str(case.target) if right and case.target is not None else "no idea"


def record(project: Project, name: str, *, right: bool) -> str:
    rows = [
        {"id": case.id, "messages": [m.as_dict() for m in case.messages], "output": said(case, right=right)}
        for case in cases()
    ]
    path = project.path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"replay/{name}.jsonl"


def asked(messages: Any) -> str:
    return json.dumps([[message["role"], message["content"]] for message in messages])


class Server:
    """Answers as the recordings do; as `judge`, grades what the cases for a judge reject as 1."""

    def __init__(self) -> None:
        self.right = {asked([m.as_dict() for m in case.messages]): said(case, right=True) for case in cases()}
        judged = [case for case in cases() if "rubric" in case.metadata]
        self.wrong = {said(case, right=False).strip() for case in judged}

    def __call__(self, question: Question) -> str:
        if question.body["model"] != "judge":
            return self.right[asked(question.body["messages"])]
        weak = "leap year" in question.text or any(wrong in question.text for wrong in self.wrong)
        return json.dumps({"reasoning": "Seen.", "score": 1 if weak else 5})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Server()


def run(project: Project, *arguments: str) -> tuple[int, dict[str, Any]]:
    path = project.path / "results.json"
    path.unlink(missing_ok=True)
    done = project.run_process(*SHIPPED, *arguments, f"--harness-json={path}")
    assert path.exists(), done.stdout.str() + done.stderr.str()
    return int(done.ret), json.loads(path.read_text(encoding="utf-8"))


def outcomes(results: dict[str, Any]) -> dict[tuple[str, str], tuple[str, float]]:
    return {(case["suite"], case["id"]): (case["outcome"], case["score"]) for case in results["cases"]}


@pytest.mark.needs("openai")
def test_recordings_and_a_server_that_say_the_same_score_the_same(project: Project, server: Server) -> None:
    recorded = record(project, "right", right=True)
    found = []
    with LoopbackLLM(server) as llm:
        for model in (recorded, f"openai/gpt@{llm.openai_url}"):
            judge = f"--judge=openai/judge@{llm.openai_url}"
            code, results = run(project, f"--model={model}", f"--baseline={recorded}", judge, "--limit=3")
            assert code == 10  # a part of the cases is no verdict
            assert {verdict["suite"] for verdict in results["verdicts"]} == NAMES
            assert not [verdict["suite"] for verdict in results["verdicts"] if verdict["errors"]]
            found.append(outcomes(results))
    assert found[0] == found[1]
    assert {outcome for outcome, _ in found[0].values()} == {"passed"}


@pytest.mark.slow
def test_what_the_sets_accept_passes_and_what_they_reject_regresses(project: Project, server: Server) -> None:
    right, wrong = record(project, "right", right=True), record(project, "wrong", right=False)
    with LoopbackLLM(server) as llm:
        judge = f"--judge=openai/judge@{llm.openai_url}"
        code, results = run(project, f"--model=openai/gpt@{llm.openai_url}", f"--baseline={right}", judge)
        assert code == 0
        assert {v["status"] for v in results["verdicts"]} <= {"PASS", "INCONCLUSIVE"}  # the supporting ones
        assert {v["suite"] for v in results["verdicts"]} == NAMES
        code, results = run(project, f"--model={wrong}", f"--baseline={right}", judge)
    assert (code, {v["status"] for v in results["verdicts"]}) == (1, {"REGRESSED"})


@pytest.mark.slow
def test_a_model_on_disk(project: Project, server: Server) -> None:
    model = f"hf/{ROOT / 'examples/support-desk/models/base'}"
    with LoopbackLLM(server) as llm:
        judge = f"--judge=openai/judge@{llm.openai_url}"
        options = (judge, "--limit=3", "--max-tokens=8")
        code, results = run(project, f"--model={model}", f"--baseline={model}", *options)
    assert code == 1  # it misses cases that must pass, whatever their number
    verdicts = {verdict["suite"]: verdict for verdict in results["verdicts"]}
    assert set(verdicts) == NAMES
    assert {verdict["delta"] for verdict in verdicts.values()} == {0.0}
    assert not [name for name, verdict in verdicts.items() if verdict["errors"]]
