"""A candidate's verdict is its own: whoever stands beside it in `--model` changes nothing, anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .conftest import Project, right_except, sums

CASES, LOST, WON = 120, 15, 4
NEIGHBOURS = 6


@pytest.fixture
def crowd(project: Project) -> Project:
    """A baseline, a candidate that lost far more than it won, and good neighbours of other weights."""
    project.golden("sums", sums(CASES))
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i >= CASES - 20, CASES))
    project.outputs("bad", right_except(lambda i: i < LOST or i >= CASES - 20 + WON, CASES))
    for number in range(NEIGHBOURS):
        project.outputs(f"good{number}", right_except(lambda i, k=number: i >= CASES - 20 + k + 1, CASES))
    return project


def models(*, together: bool) -> str:
    others = [f"replay/good{number}.jsonl" for number in range(NEIGHBOURS if together else 0)]
    return ",".join([*others[:3], "replay/bad.jsonl", *others[3:]])


def own(record: dict[str, Any]) -> tuple[object, ...]:
    """What a record says of the bad candidate."""
    (verdict,) = (v for v in record["verdicts"] if v["checkpoint"] == "replay/bad.jsonl")
    (release,) = (r for r in record["releases"] if r["checkpoint"] == "replay/bad.jsonl")
    of_suite = [verdict[key] for key in ("status", "p_value", "adjusted_p", "delta")]
    of_release = [release[key] for key in ("status", "p_value", "delta", "family")]
    return (*of_suite, *verdict["interval"], *of_release)


def harness(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    return subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)


def test_no_neighbour_lets_a_bad_candidate_ship(crowd: Project) -> None:
    said = []
    for together in (False, True):
        options = (f"--model={models(together=together)}", "--baseline=replay/base.jsonl")
        code, record = crowd.results(*options)
        compared = harness(crowd, "compare", record["run"], "--json", "-")
        chosen = harness(crowd, "select", record["run"], "--json")
        gated = harness(crowd, "gate", *options, "--harness-json=gate.json")
        by_gate = json.loads((crowd.path / "gate.json").read_text(encoding="utf-8"))
        about = json.loads(chosen.stdout)
        (row,) = (r for r in about["ranked"] if r["checkpoint"] == "replay/bad.jsonl")
        codes = (code, gated.returncode, compared.returncode)
        records = (own(record), own(by_gate), own(json.loads(compared.stdout)))
        said.append((codes, records, row["refused"], row["value"]))
        if together:
            assert about["best"] == "replay/good5.jsonl"
            assert about["lead"]["candidates"] == NEIGHBOURS + 1
        else:
            assert (chosen.returncode, about["best"], about["lead"]) == (10, None, None)
    assert said[0] == said[1]
    codes, records, refused, _ = said[0]
    assert codes == (1, 1, 1)
    assert len(set(records)) == 1
    assert records[0][0] == "REGRESSED"
    assert refused
