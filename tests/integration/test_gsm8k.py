"""Published GSM8K solutions, gated: means equal the published accuracies, and the right side regresses."""

from __future__ import annotations

import json

import pytest
from shared_data import shared_data

from harness.files.read_json import read_jsonl

from .conftest import Project
from .test_imports import imported

PUBLISHED = {"175b_verification": 56.21, "175b_finetuning": 34.09}


@pytest.fixture
def gsm8k(project: Project) -> Project:
    folder = shared_data("gsm8k")
    imported(project, "gsm8k", folder / "items.jsonl", "--marker", "A:")
    for model in PUBLISHED:
        rows = [row for _, row in read_jsonl(folder / "solutions.jsonl") if row["model"] == model]
        text = "".join(json.dumps({"id": row["id"], "output": row["solution"]}) + "\n" for row in rows)
        (project.path / f"{model}.jsonl").write_text(text, encoding="utf-8")
    return project


def test_verification_against_finetuning(gsm8k: Project) -> None:
    better, worse = (f"replay/{model}.jsonl" for model in PUBLISHED)
    code, results = gsm8k.results(f"--model={better}", f"--baseline={worse}")
    verdict = results["verdicts"][0]
    assert (code, verdict["status"], verdict["n"]) == (0, "PASS", 660)
    assert round(100 * verdict["mean"], 2) == PUBLISHED["175b_verification"]
    assert round(100 * verdict["baseline_mean"], 2) == PUBLISHED["175b_finetuning"]

    code, results = gsm8k.results(f"--model={worse}", f"--baseline={better}")
    verdict = results["verdicts"][0]
    assert (code, verdict["status"]) == (1, "REGRESSED")
    assert round(100 * verdict["mean"], 2) == PUBLISHED["175b_finetuning"]
