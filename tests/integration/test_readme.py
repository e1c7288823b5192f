"""The README's gate, run as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .conftest import Project

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_gate_in_20_lines(project: Project) -> None:
    cases = [json.loads(line) for line in block("json").splitlines()]
    project.golden("refunds", cases)
    project.module(block("python"), "suites/test_refunds.py")
    good = {"window": "Within 30 days of delivery.", "order": '{"quantity": 2, "item": "red mug"}'}
    project.outputs("old", good)
    project.outputs("new", good | {"order": "Two red mugs, please."})
    assert project.run("--model=replay/old.jsonl", "--baseline=replay/old.jsonl").ret == 10  # the same
    code, results = project.results("--model=replay/new.jsonl", "--baseline=replay/old.jsonl")
    outcomes = {case["id"]: case["outcome"] for case in results["cases"]}
    assert outcomes == {"window": "passed", "order": "invalid"}
    assert code == 10, "one flip of two cases proves no drop, and excludes none"
    assert results["verdicts"][0]["status"] == "INCONCLUSIVE"
    assert results["verdicts"][0]["minimum_detectable_drop"] is None


def test_every_linked_page_exists() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (root / target).exists(), target


def test_every_command_named_exists() -> None:
    from typer.main import get_command

    from harness.cli.main import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    for name in re.findall(r"\| `harness (\w+)", README):
        assert name in known
