"""Suites whose cases carry labels show how well each class is told."""

from __future__ import annotations

from .conftest import Project

LABELS = ["refund", "delivery", "other"]


def labelled(project: Project) -> Project:
    check = {"type": "label", "labels": LABELS}
    project.golden(
        "topics",
        [
            {"id": f"c{i}", "input": f"ticket {i}", "target": LABELS[i % 3], "checks": [check]}
            for i in range(30)
        ],
    )
    project.suite("topics")
    project.outputs("base", {f"c{i}": LABELS[i % 3] for i in range(30)})
    project.outputs(
        "new",
        {f"c{i}": "refund" if i % 3 == 1 else "No idea." if i == 2 else LABELS[i % 3] for i in range(30)},
    )
    return project


def test_classes_are_shown_and_recorded(project: Project) -> None:
    done = labelled(project).run("--model=replay/new.jsonl", "--baseline=replay/base.jsonl")
    done.stdout.fnmatch_lines(
        [
            "topics × replay/new.jsonl: accuracy 63.3 ?*, macro F1 *n = 30, "
            "1 without a label of the set, weakest: delivery (F1 0.0)"
        ]
    )
    code, results = project.results("--model=replay/new.jsonl", "--baseline=replay/base.jsonl")
    assert code == 1
    ours, theirs = results["classifications"]
    assert (ours["role"], theirs["role"]) == ("candidate", "baseline")
    assert ours["labels"] == ["delivery", "other", "refund"]
    assert ours["table"] == [[0, 0, 10, 0], [0, 9, 0, 1], [0, 0, 10, 0]]
    assert theirs["rates"]["accuracy"]["value"] == 1.0


def test_samples_are_counted_one_by_one(project: Project) -> None:
    labelled(project)
    project.outputs("two", {f"c{i}": [LABELS[i % 3], "other"] for i in range(30)})
    _, results = project.results("--model=replay/two.jsonl", "--epochs=2")
    (found,) = results["classifications"]
    assert found["n"] == 60
    assert found["table"] == [[10, 10, 0, 0], [0, 20, 0, 0], [0, 10, 10, 0]]
