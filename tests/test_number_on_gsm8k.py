"""The `number` check against the published correctness of 2,640 model solutions of GSM8K."""

from __future__ import annotations

from collections import Counter

import pytest
from shared_data import shared_data

from harness.cases import Case, Message, Outcome, Response
from harness.files.read_json import read_jsonl
from harness.scoring import score


@pytest.mark.parametrize("options", [{}, {"after": "\nA: "}, {"pattern": r"(?m)^A: ([^\n]+)$"}])
def test_it_decides_as_published(options: dict[str, str]) -> None:
    folder = shared_data("gsm8k")
    cases = {
        row["id"]: Case(
            row["id"],
            (Message("user", row["question"]),),
            target=row["final"],
            checks=({"type": "number", **options},),
        )
        for _, row in read_jsonl(folder / "items.jsonl")
    }
    seen = 0
    right: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    for _, row in read_jsonl(folder / "solutions.jsonl"):
        outcome = score(cases[row["id"]], Response(row["solution"])).outcome
        assert (outcome is Outcome.PASSED) is row["correct"], row
        seen += 1
        right[row["model"]] += outcome is Outcome.PASSED
        invalid[row["model"]] += outcome is Outcome.INVALID
    assert seen == 2640
    shares = {model: round(100 * count / len(cases), 2) for model, count in right.items()}
    published = {
        "6b_finetuning": 22.12,
        "6b_verification": 40.3,
        "175b_finetuning": 34.09,
        "175b_verification": 56.21,
    }
    assert shares == published
    if options:  # without a marker, a solution that never answers ends in some number all the same
        assert (invalid["6b_finetuning"], invalid["175b_finetuning"]) == (3, 4)
