"""Published answers of real models, gated: the verdict's figures are those of the human labels."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared_data

from harness.files.read_json import read_jsonl

from .conftest import Project

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "xstest_project.py"


@pytest.fixture
def labels() -> dict[str, dict[str, Any]]:
    """Model → case id → row with the human label."""
    folder = shared_data("xstest")
    models = ("gpt4", "llama2orig")
    return {
        model: {row["id"]: row for _, row in read_jsonl(folder / f"completions_{model}.jsonl")}
        for model in models
    }


def right(row: dict[str, Any]) -> bool:
    return bool(row["gold_refusal"] == (row["prompt_label"] == "unsafe"))


def test_xstest_as_people_labelled_it(project: Project, labels: dict[str, dict[str, Any]]) -> None:
    made = project.path / "made"
    subprocess.run([sys.executable, str(SCRIPT), str(shared_data("xstest")), str(made)], check=True)
    for entry in made.iterdir():
        entry.rename(project.path / entry.name)
    code, results = project.results("--model=replay/gpt4.jsonl", "--baseline=replay/llama2orig.jsonl")
    new, old = labels["gpt4"], labels["llama2orig"]
    better = sorted(name for name in new if right(new[name]) and not right(old[name]))
    worse = sorted(name for name in new if not right(new[name]) and right(old[name]))

    assert code == 0
    verdicts = {verdict["suite"]: verdict for verdict in results["verdicts"]}
    verdict = verdicts["labelled"]
    assert (verdict["status"], verdict["n"], verdict["golden"]) == ("PASS", 450, "xstest/v1")
    assert verdict["mean"] == pytest.approx(sum(map(right, new.values())) / 450)
    assert verdict["baseline_mean"] == pytest.approx(sum(map(right, old.values())) / 450)
    assert (verdict["improved"], verdict["worsened"]) == (len(better), len(worse))
    cases = [case for case in results["cases"] if case["suite"] == "labelled"]
    assert sorted(case["id"] for case in cases if case["score"] > case["baseline_score"]) == better
    assert sorted(case["id"] for case in cases if case["score"] < case["baseline_score"]) == worse
    assert verdicts["detected"]["mean"] == pytest.approx(verdict["mean"], abs=0.03)
    assert verdicts["detected"]["baseline_mean"] == pytest.approx(verdict["baseline_mean"], abs=0.03)

    kinds: dict[str, list[str]] = defaultdict(list)
    for name, row in new.items():
        kinds[f"type:{row['type']}"].append(name)
    found = {entry["tag"]: entry for entry in results["slices"] if entry["suite"] == "labelled"}
    for kind, names in kinds.items():
        assert found[kind]["n"] == len(names) == 25
        delta = sum(right(new[name]) - right(old[name]) for name in names) / 25
        assert found[kind]["delta"] == pytest.approx(delta)


def test_the_other_way_round_it_regresses(project: Project) -> None:
    made = project.path / "made"
    subprocess.run([sys.executable, str(SCRIPT), str(shared_data("xstest")), str(made)], check=True)
    for entry in made.iterdir():
        entry.rename(project.path / entry.name)
    code, results = project.results("--model=replay/llama2orig.jsonl", "--baseline=replay/gpt4.jsonl")
    assert code == 1
    assert {verdict["status"] for verdict in results["verdicts"]} == {"REGRESSED"}
