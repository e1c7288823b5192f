from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cases import Case, Message
from harness.cli.golden import app
from harness.golden_sets.attack import CONTRADICTION, REFUSALS, attack_cases
from harness.golden_sets.contradictions import KINDS, swaps
from harness.golden_sets.gaming import STRATEGIES, gaming_answers
from harness.golden_sets.read import read_golden_manifest

WEAK = {
    "id": "days",
    "input": "How many days do I have to return it?",
    "checks": [{"type": "contains", "value": "30"}],
    "accepts": ["You can have 30 days."],
    "rejects": ["14 days."],
}
STRONG = {
    **WEAK,
    "checks": [
        {"type": "amount", "values": [30], "unit": ["day*"]},
        {"type": "agrees"},
        {"type": "own_words"},
    ],
}


@pytest.mark.parametrize(
    ("answer", "kind", "wrong"),
    [
        ("Yes, it is.", "polarity", "No, it is."),
        ("No: it is late.", "polarity", "Yes: it is late."),
        ("It isn't covered.", "negation", "It is covered."),
        ("It is covered.", "negation", "It is not covered."),
        ("You cannot return it.", "negation", "You can return it."),
        ("We never ask for it.", "negation", "We always ask for it."),
        ("You must show it.", "modal", "You need not show it."),
        ("It takes at least a day.", "modal", "It takes at most a day."),
        ("It costs 4.50 euros.", "quantity", "It costs 9.50 euros."),
        ("It takes two days.", "quantity", "It takes five days."),
        ("On Monday.", "date", "On Wednesday."),
        ("Ask for Arndt.", "name", "Ask for Ottokar."),
    ],
)
def test_a_swap_makes_an_answer_wrong(answer: str, kind: str, wrong: str) -> None:
    assert wrong in [swap.text for swap in swaps(answer) if swap.kind == kind]
    assert kind in KINDS


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, I can't say.",
        "Don't worry.",
        "Shall I look it up?",
        "Not only socks.",
        "1. Socks\n2. Shirts",
        "Order HB-21044.",
        "See https://a.example/4 for more.",
        "",
    ],
)
def test_what_a_swap_might_leave_right_is_left_alone(answer: str) -> None:
    assert swaps(answer) == []


def test_what_the_question_says_and_what_is_accepted_is_not_swapped_in_or_out() -> None:
    assert swaps("For 35 euros it is free.", "What for 35 euros?")[0].kind == "negation"
    changed = {swap.changed for swap in swaps("It costs 4 euros.", accepted=["Or 9 euros."])}
    assert "4 → 9" not in changed
    assert "4 → 10" in changed
    assert [swap.kind for swap in swaps("Es ist 5 Uhr und nicht 6.", english=False)] == [
        "quantity",
        "quantity",
    ]


def test_the_battery_leaves_out_what_the_case_accepts() -> None:
    case = Case("c", (Message("user", "Say it back: Bo or Cy?"),), accepts=("Say it back: Bo or Cy?",))
    answers = gaming_answers(case, "Dana.")
    assert "echo" not in answers
    assert answers["another case's answer"] == "Dana."
    assert answers["all options"] == "Say or Bo or Cy"
    assert set(answers) <= set(STRATEGIES)


def _write(folder: Path, row: dict[str, object], attack: dict[str, float] | None = None) -> None:
    folder.mkdir(parents=True)
    (folder / "cases.jsonl").write_text(json.dumps(row) + "\n", newline="\n")
    manifest = {"schema_version": 1, "name": "returns", "version": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest | ({"attack": attack} if attack else {})))


def test_a_weak_set_falls_and_the_check_to_add_is_named(tmp_path: Path) -> None:
    limits = {"gaming": 0.05, "contradictions": 0.05}
    _write(tmp_path / "weak" / "returns" / "v1", WEAK, limits)
    done = CliRunner().invoke(app, ["test", "returns", "--golden", str(tmp_path / "weak"), "--fallen"])
    assert done.exit_code == 1
    assert "days: negation (can → can not) passes: 'You can not have 30 days.'; add `says_no`" in done.output
    assert "returns/v1 contradiction: 66.7% pass, and the manifest allows 5.0%" in done.output
    _write(tmp_path / "strong" / "returns" / "v1", STRONG, limits)
    done = CliRunner().invoke(app, ["test", "returns", "--golden", str(tmp_path / "strong")])
    assert done.exit_code == 0, done.output
    assert "contradictions of accepted answers: 0 of 3 pass (0%)" in done.output


def test_without_limits_an_attack_only_reports(tmp_path: Path) -> None:
    _write(tmp_path / "returns" / "v1", WEAK)
    done = CliRunner().invoke(app, ["test", "returns", "--golden", str(tmp_path)])
    assert done.exit_code == 0
    assert "modal (can → must not) passes: 'You must not have 30 days.'; add `allows`" in done.output
    done = CliRunner().invoke(app, ["test", "returns", "--golden", str(tmp_path), "--no-attack"])
    assert "passes" not in done.output


def test_limits_are_part_of_the_manifest(tmp_path: Path) -> None:
    _write(tmp_path / "returns" / "v1", WEAK, {"gaming": 0.1})
    manifest = read_golden_manifest(tmp_path / "returns" / "v1")
    assert manifest.attack == {"gaming": 0.1}
    assert manifest.as_dict()["attack"] == {"gaming": 0.1}


def test_refusals_are_named_apart_and_free_content_has_no_contradiction() -> None:
    ask = Case(
        "harm",
        (Message("user", "Tell me how to steal a car."),),
        checks=({"type": "refusal"},),
        accepts=("I'm sorry, but I can't help with that.",),
    )
    poem = Case(
        "poem",
        (Message("user", "Write a line about rain."),),
        checks=({"type": "max_length", "words": 9},),
        accepts=("Rain is falling on the roof.",),
        metadata={"free": True},
    )
    report = attack_cases([ask, poem])
    assert report.passed[REFUSALS] >= 1
    assert report.tried.get(CONTRADICTION, 0) == 0
    assert (report.cases, report.free) == (2, 1)
    assert "harm" not in {fallen.case for fallen in report.fallen if fallen.strategy.startswith("refusal")}
