"""A golden set evaluated from Python, without pytest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness
from harness.errors import CheckpointError, ConfigurationError, GoldenSetError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "golden" / "sums" / "v1"
    folder.mkdir(parents=True)
    cases = [{"id": f"c{i}", "input": f"{i} + 1?", "target": str(i + 1)} for i in range(40)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    for name, wrong in {"good": 20, "bad": 2}.items():
        rows = [{"id": f"c{i}", "output": "?" if i % wrong == 0 else str(i + 1)} for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_checkpoint_against_its_baseline(project: Path) -> None:
    verdict = harness.evaluate("replay/bad.jsonl", "sums", "replay/good.jsonl", root=project)
    assert verdict.status is harness.Status.REGRESSED
    assert (verdict.n, verdict.golden) == (40, "sums/v1")
    assert (verdict.mean, verdict.baseline_mean) == (pytest.approx(0.5), pytest.approx(0.95))
    again = harness.evaluate("replay/good.jsonl", "sums", "replay/bad.jsonl", root=project)
    assert again.status is harness.Status.PASS


def test_without_a_baseline_only_a_floor_decides(project: Path) -> None:
    assert harness.evaluate("replay/good.jsonl", "sums", root=project).status is harness.Status.INCONCLUSIVE
    floor = harness.Gate(policy="absolute", min_score=0.8)
    assert (
        harness.evaluate("replay/good.jsonl", "sums", gate=floor, root=project).status is harness.Status.PASS
    )
    worse = harness.evaluate("replay/bad.jsonl", "sums", gate=floor, root=project)
    assert worse.status is harness.Status.FAILED


def test_a_missing_answer_is_an_error(project: Path) -> None:
    rows = (project / "good.jsonl").read_text().splitlines(keepends=True)
    (project / "cut.jsonl").write_text("".join(rows[:-1]))
    verdict = harness.evaluate("replay/cut.jsonl", "sums", "replay/good.jsonl", root=project)
    assert (verdict.status, verdict.errors) == (harness.Status.INCONCLUSIVE, 1)


def test_what_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.jsonl"):
        harness.evaluate("replay/gone.jsonl", "sums", root=project)
    with pytest.raises(GoldenSetError, match="summs"):
        harness.evaluate("replay/good.jsonl", "summs", root=project)


def test_no_epochs_are_a_slip(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="epochs=0: ask every case at least once"):
        harness.evaluate("replay/good.jsonl", "sums", "replay/good.jsonl", epochs=0, root=project)


def test_what_a_gate_names_blocks_here_too(project: Path) -> None:
    """Answers that are right and cut off: only the gate's `blocks_on` sees it."""
    for name, ending in {"whole": "stop", "cut": "length"}.items():
        rows = [{"id": f"c{i}", "output": f"{i + 1}", "finish_reason": ending} for i in range(40)]
        (project / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sides = ("replay/cut.jsonl", "sums", "replay/whole.jsonl")
    cases = [
        {"id": f"c{i}", "input": f"{i} + 1?", "checks": [{"type": "contains", "value": str(i + 1)}]}
        for i in range(40)
    ]
    path = project / "golden" / "sums" / "v1" / "cases.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in cases))
    assert harness.evaluate(*sides, root=project).status is harness.Status.PASS
    verdict = harness.evaluate(*sides, gate=harness.Gate(blocks_on=("truncated",)), root=project)
    assert verdict.status is harness.Status.REGRESSED
    assert verdict.reasons[0].startswith("truncated: 100.0 %, baseline 0.0 %")


def test_the_projects_file_is_the_policy_where_none_is_given(project: Path) -> None:
    (project / "gates.yaml").write_text("gates:\n  sums:\n    margin: 0.6\n", encoding="utf-8")
    sides = ("replay/bad.jsonl", "sums", "replay/good.jsonl")
    found = harness.evaluate(*sides, root=project)
    assert (found.status, found.margin) == (harness.Status.PASS, 0.6)
    own = harness.evaluate(*sides, gate=harness.Gate(), root=project)
    assert (own.status, own.margin) == (harness.Status.REGRESSED, 0.02)
