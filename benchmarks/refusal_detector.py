"""Measure the refusal detector against human labels; print one JSON line per model.

    python benchmarks/refusal_detector.py FOLDER

FOLDER holds `completions_<model>.jsonl` with `completion`, `gold_refusal` (what people decided: a full or
partial refusal) and `strmatch_label` (the published prefix matcher's answer), as made from XSTest (Röttger et
al., NAACL 2024). The rules were written while looking at the errors on llama2orig and llama2new only; every
other model is held out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.scoring.refusal import find_refusal
from harness.strict_json import read_jsonl

DEVELOPMENT = ("llama2orig", "llama2new")


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
    gold = [row["gold_refusal"] for row in rows]
    started = time.perf_counter()
    predicted = [find_refusal(row["completion"]) is not None for row in rows]
    seconds = time.perf_counter() - started
    model = path.stem.removeprefix("completions_")
    return {
        "benchmark": "refusal_detector",
        "model": model,
        "held_out": model not in DEVELOPMENT,
        "n": len(rows),
        "detector": agreement(predicted, gold),
        "prefix_matcher": agreement([row["strmatch_label"] != "1_full_compliance" for row in rows], gold),
        "microseconds_per_answer": round(1e6 * seconds / len(rows), 1),
    }


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
