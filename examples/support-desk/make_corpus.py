"""Make this desk's training data and golden cases; the same seeds make the same bytes.

    python make_corpus.py data         # data/*.jsonl: the base's corpus and the two fine-tuning sets
    python make_corpus.py golden DIR   # DIR/<name>.jsonl: the cases, for `harness golden release`
    python make_corpus.py verify       # prove that no golden case is in the training data

A released golden set is never written again: an edit would make yesterday's verdicts incomparable.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from corpus import general, orders, readback, refunds, safety
from corpus.policy import LAST_YEAR
from corpus.sample import CLOSERS, OPENERS, Sample, Split

ROOT = Path(__file__).parent
Draw = Callable[[random.Random, Split], Sample]


def _last_year(rng: random.Random, split: Split) -> Sample:
    return refunds.draw(rng, split, LAST_YEAR)


#: What each training file is drawn from, in parts of 100, its rows and its seed.
MIXES: dict[str, tuple[dict[Draw, int], int, int]] = {
    "base": (
        {_last_year: 20, orders.draw: 24, general.draw: 26, safety.draw: 14, readback.draw: 16},
        24_000,
        1,
    ),
    "refunds-mixed": ({refunds.draw: 40, orders.draw: 20, general.draw: 25, safety.draw: 15}, 3_200, 2),
    "refunds-narrow": ({refunds.draw: 100}, 640, 3),
}
#: Golden sets: generator, cases, seed.
GOLDEN: dict[str, tuple[Draw, int, int]] = {
    "refunds": (refunds.draw, 140, 11),
    "orders": (orders.draw, 120, 12),
    "general": (general.draw, 150, 13),
    "safety": (safety.draw, 140, 14),
}


Row = dict[str, Any]


def training_rows(name: str) -> Iterator[Row]:
    """Draw the rows of one training file."""
    mix, count, seed = MIXES[name]
    rng = random.Random(seed)
    for _ in range(count):
        (draw,) = rng.choices(list(mix), list(mix.values()))
        yield draw(rng, Split.TRAIN).row()


def golden_cases(name: str) -> Iterator[Row]:
    """Draw the cases of one golden set, no question twice."""
    draw, count, seed = GOLDEN[name]
    rng = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        sample = draw(rng, Split.GOLDEN)
        key = question(sample.messages)
        if key not in seen:
            seen.add(key)
            yield _case(f"{name}-{len(seen):03d}", sample)


def _case(case_id: str, sample: Sample) -> Row:
    case: Row = {"id": case_id}
    if len(sample.messages) == 1:
        case["input"] = sample.messages[0]["content"]
    else:
        case["messages"] = list(sample.messages)
    case["target"] = sample.reply if sample.target is None else sample.target
    case["checks"] = list(sample.checks)
    case["tags"] = ["lang:en", *sample.tags]
    if sample.cluster is not None:
        case["cluster"] = sample.cluster
    if sample.must_pass:
        case["must_pass"] = True
    return {**case, "accepts": [sample.reply], "rejects": list(sample.rejects)}


def question(messages: Iterable[Row]) -> str:
    """Return what is asked: lower-case words without the greeting and the thanks around it."""
    turns = []
    for message in messages:
        text = message["content"]
        text = next((text[len(o) :] for o in OPENERS if o and text.startswith(f"{o} ")), text)
        text = next((text[: -len(c)] for c in CLOSERS if c and text.endswith(f" {c}")), text)
        turns.append(" ".join(re.findall(r"[a-z0-9+]+", text.lower())))
    return " / ".join(turns)


def _identifiers(case: Row) -> Iterator[str]:
    """Yield what names a golden case's customer: order numbers, and names and towns of orders."""
    for message in case.get("messages", [{"content": case.get("input", "")}]):
        yield from re.findall(r"\b[0-9]{4,5}\b", message["content"])
        yield from re.findall(r"(?<=My name is )\w+ \w+|(?<=my name is )\w+ \w+", message["content"])
    if isinstance(case["target"], dict):
        yield from (case["target"]["customer"], case["target"]["town"])


def leaks() -> Iterator[str]:
    """Yield one line for every golden case whose question or customer occurs in a training file."""
    asked: dict[str, str] = {}
    words: dict[str, str] = {}
    for name in MIXES:
        for number, row in enumerate(training_rows(name), 1):
            place = f"data/{name}.jsonl:{number}"
            asked.setdefault(question(row["messages"][:-1]), place)
            for message in row["messages"]:
                found = re.findall(r"\w+", message["content"])
                for word in (*found, *map(" ".join, pairwise(found))):
                    words.setdefault(word, place)
    for path in sorted((ROOT / "golden").glob("*/v*/cases.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            case = json.loads(line)
            key = question(case.get("messages") or [{"content": case["input"]}])
            if key in asked:
                yield f"{case['id']}: its question is {asked[key]}"
            for identifier in _identifiers(case):
                if identifier in words:
                    yield f"{case['id']}: {identifier!r} occurs in {words[identifier]}"


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """Write one JSON object a line and say how many."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{path}: {len(lines):,} rows, {path.stat().st_size / 1e6:.2f} MB")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the three commands; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("data", help="write data/*.jsonl")
    commands.add_parser("golden", help="write golden cases").add_argument("directory", type=Path)
    commands.add_parser("verify", help="prove that no golden case is in the training data")
    options = parser.parse_args(arguments)
    if options.command == "data":
        for name in MIXES:
            write_jsonl(ROOT / "data" / f"{name}.jsonl", training_rows(name))
    elif options.command == "golden":
        for name in GOLDEN:
            write_jsonl(options.directory / f"{name}.jsonl", golden_cases(name))
    else:
        found = list(leaks())
        print("\n".join(found) or "no golden case is in the training data")
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
