"""Failures of a stored run become cases: the answer that failed is one that its case rejects from then on."""

from __future__ import annotations

import json

from typer.testing import CliRunner, Result

from harness.cli.main import app
from harness.golden_sets.read import load_golden

from .conftest import Project


def golden(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["golden", *arguments], env={"CI": ""})


def test_failures_of_a_run_are_added_to_their_own_set(project: Project) -> None:
    project.golden(
        "refunds",
        [
            {"id": "a", "input": "2 + 2?", "target": 4, "accepts": ["4"], "rejects": ["5"]},
            {"id": "b", "input": "Two \u2028 lines?", "target": "yes", "accepts": ["yes"], "rejects": ["no"]},
        ],
    )
    project.suite("refunds")
    project.outputs("bad", {"a": "It is 6.", "b": "yes"})
    _, results = project.results("--model=replay/bad.jsonl")
    run = results["run"]

    done = golden("add", "refunds", "--from-run", run)
    assert "0 added, 1 amended by the answer that failed" in done.output
    first, second = load_golden("refunds", roots=[project.path / "golden"])
    assert first.rejects == ("5", "It is 6.")
    assert first.metadata["from_run"]["run"] == run
    assert second.rejects == ("no",)
    assert "0 added, 1 were there already" in golden("add", "refunds", "--from-run", run).output


def test_a_locked_set_gets_them_in_a_draft_that_its_release_uses_up(project: Project) -> None:
    project.golden("refunds", [{"id": "a", "input": "2 + 2?", "target": 4, "rejects": ["5"]}])
    project.suite("refunds")
    project.outputs("bad", {"a": "6"})
    assert golden("lock", "refunds").exit_code == 0
    _, results = project.results("--model=replay/bad.jsonl")
    assert (
        "harness golden release refunds --from"
        in golden("add", "refunds", "--from-run", results["run"]).output
    )
    draft = project.path / "golden/refunds/draft.jsonl"
    assert json.loads(draft.read_text("utf-8"))["rejects"] == ["5", "6"]
    assert golden("release", "refunds", "--from", str(draft)).exit_code == 0
    assert load_golden("refunds/v2", roots=[project.path / "golden"]).cases[0].rejects == ("5", "6")
    assert not draft.exists()


def test_a_case_that_asks_something_else_by_now_is_left_alone(project: Project) -> None:
    project.golden("refunds", [{"id": "a", "input": "2 + 2?", "target": 4}])
    project.suite("refunds")
    project.outputs("bad", {"a": "6"})
    golden("lock", "refunds")
    _, results = project.results("--model=replay/bad.jsonl")
    draft = project.path / "golden/refunds/draft.jsonl"
    edited = json.dumps({"id": "a", "input": "3 + 3?", "target": 6}) + "\n"
    draft.write_text(edited)
    assert "0 added, 1 were there already" in golden("add", "refunds", "--from-run", results["run"]).output
    assert draft.read_text() == edited
