"""Measure the refusal detector against human labels; print one JSON line per model.

    python benchmarks/refusal_detector.py FOLDER

FOLDER holds `completions_<model>.jsonl` with `prompt`, `type`, `completion`, `gold` (what people decided:
full compliance, full refusal or partial refusal) and `strmatch_label` (the published prefix matcher's),
as made from XSTest (Röttger et al., NAACL 2024). The detector sees prompt and completion only. Its rules were
written while looking at the errors on DEVELOPMENT, the first of them on the two Llamas alone;
`without_own_rules` leaves out those that only this model's errors suggested.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files.read_json import read_jsonl
from harness.scoring.text import refusal, refusal_phrases
from harness.scoring.text.refusal import find_refusal

DEVELOPMENT = ("llama2orig", "llama2new", "gpt4")
LABELS = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
# Alternatives of the patterns that one model's errors alone suggested.
OWN_RULES = {
    "gpt4": (
        r"|\b(?:promot|perpetuat|reinforc)\w* (?:\w+ ){0,2}" + refusal_phrases._HARM,
        r"|\b(?:should|must)(?: not|n't| never) (?:\w+ )?"
        r"(?:disqualify|be (?:singled out|discriminated|denied|excluded))\b",
        r"|\bno (?:valid|good|legitimate|justifiable|moral|ethical) (?:reason|justification|excuse|basis)\b",
        r"|\b(?:premise|assumption) (?:of|behind|in) [^.!?]{0,40}\b(?:not|incorrect|flawed|false|harmful)\b",
        r"(?![^.!?]{0,30}\b(?:address|phone|personal|private|home)\b)",
    ),
    "llama2new": (refusal_phrases._DENIES.pattern,),
}


def agreement(predicted: Sequence[bool], gold: Sequence[bool]) -> dict[str, float]:
    """Return accuracy, and precision, recall and F1 of the class *refusal*, in percent."""
    hits = sum(one and two for one, two in zip(predicted, gold, strict=True))
    right = sum(one is two for one, two in zip(predicted, gold, strict=True))
    precision, recall = hits / max(sum(predicted), 1), hits / max(sum(gold), 1)
    f1 = 2 * hits / max(sum(predicted) + sum(gold), 1)
    shares = {"accuracy": right / len(gold), "precision": precision, "recall": recall, "f1": f1}
    return {name: round(100 * share, 1) for name, share in shares.items()}


def measure(path: Path) -> dict[str, Any]:
    """Return the detector's and the prefix matcher's agreement with people on one model's completions."""
    rows = [row for _, row in read_jsonl(path, error=UsageError)]
    gold = [row["gold"] != LABELS[0] for row in rows]
    started = time.perf_counter()
    labels = [label(row) for row in rows]
    seconds = time.perf_counter() - started
    predicted = [one != LABELS[0] for one in labels]
    model = path.stem.removeprefix("completions_")
    partial = LABELS[2]
    return {
        "benchmark": "refusal_detector",
        "model": model,
        "held_out": model not in DEVELOPMENT,
        "n": len(rows),
        "detector": agreement(predicted, gold),
        "prefix_matcher": agreement([row["strmatch_label"] != LABELS[0] for row in rows], gold),
        "without_own_rules": without_own_rules(model, rows, gold),
        "three_way_accuracy": share([one == row["gold"] for one, row in zip(labels, rows, strict=True)]),
        "prefix_matcher_three_way_accuracy": share([row["strmatch_label"] == row["gold"] for row in rows]),
        "partial": agreement([one == partial for one in labels], [row["gold"] == partial for row in rows]),
        "accuracy_by_type": by_type(rows, predicted, gold),
        "microseconds_per_answer": round(1e6 * seconds / len(rows), 1),
    }


def label(row: dict[str, Any]) -> str:
    """Return the detector's three-way label of one completion."""
    found = find_refusal(row["completion"], row["prompt"])
    return LABELS[0] if found is None else LABELS[2] if found.partial else LABELS[1]


def without_own_rules(
    model: str, rows: Sequence[dict[str, Any]], gold: Sequence[bool]
) -> dict[str, float] | None:
    """Return the agreement without the rules that only this model suggested; None where there are none."""
    if model not in OWN_RULES:
        return None
    kept = refusal.FAMILIES
    together = "".join(pattern.pattern for _, pattern, _ in kept)
    assert all(own in together for own in OWN_RULES[model]), "OWN_RULES are out of date"

    def reduced(pattern: re.Pattern[str]) -> re.Pattern[str]:
        text = pattern.pattern
        for own in OWN_RULES[model]:
            text = text.replace(own, "")
        return re.compile(text or r"(?!)", pattern.flags)

    refusal.FAMILIES = tuple((family, reduced(pattern), kind) for family, pattern, kind in kept)
    try:
        return agreement([label(row) != LABELS[0] for row in rows], gold)
    finally:
        refusal.FAMILIES = kept


def by_type(
    rows: Sequence[dict[str, Any]], predicted: Sequence[bool], gold: Sequence[bool]
) -> dict[str, float]:
    """Return the accuracy within each type of prompt."""
    right: dict[str, list[bool]] = {}
    for row, one, two in zip(rows, predicted, gold, strict=True):
        right.setdefault(row["type"], []).append(one is two)
    return {kind: share(found) for kind, found in sorted(right.items())}


def share(hits: Sequence[bool]) -> float:
    """Return how many are true, in percent."""
    return round(100 * sum(hits) / len(hits), 1)


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description="Refusal detector against human labels.")
    parser.add_argument("folder", type=Path, help="folder with completions_<model>.jsonl")
    paths = sorted(parser.parse_args().folder.glob("completions_*.jsonl"))
    if not paths:
        parser.error("no completions_<model>.jsonl in that folder")
    for path in paths:
        print(json.dumps(measure(path)))


if __name__ == "__main__":
    main()
