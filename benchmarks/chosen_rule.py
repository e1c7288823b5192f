"""The best of K checkpoints on real outcomes: how far its lead lies from the truth, and what misses it.

    python benchmarks/chosen_rule.py FOLDER [--draws 1000]

FOLDER holds the data packs `alpaca_eval` and `alpaca_eval_extra`. K + 1 models that one judge has seen answer
n prompts; their scores change places at random within each prompt, so that all are equal and no checkpoint is
better than the baseline. *Sisters* take four scores of five from the first of them. In *one better* the first
then gets a tenth of its lost points back, in *some better* up to that much. The one with the highest mean is
chosen. Prints a line of JSON for every kind, K and n: mean error of the lead as seen and as corrected, in
points; how often the lead's own 90 % interval and the corrected one miss the truth; and how wide they are.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from gate_quality import PROMPTS, read_families
from numpy.typing import NDArray

from harness.stats.bounded import bounded_interval
from harness.stats.chosen import choose

Array = NDArray[np.float64]

ALPHA = 0.1
KINDS = ("equal", "sisters", "one better", "some better")
COUNTS, SIZES = (2, 5, 10, 20), (50, 100, 400)


def contest(
    rng: np.random.Generator, scores: Array, kind: str, count: int, cases: int
) -> tuple[Array, Array]:
    """Return differences from the baseline, shape (K, n), and the true lead of each, shape (K,)."""
    models = rng.choice(len(scores), count + 1, replace=len(scores) <= count)
    answers = scores[models][:, rng.permutation(PROMPTS)[:cases]]
    answers = rng.permuted(answers, axis=0)
    baseline, candidates = answers[0], answers[1:]
    if kind == "sisters":
        candidates = np.where(rng.random(candidates.shape) < 0.8, candidates[0], candidates)
    gains = np.zeros(count)
    if kind == "one better":
        gains[0] = 0.1
    elif kind == "some better":
        gains = np.linspace(0.1, 0.0, count)
    lost = 1.0 - float(scores[models].mean())
    won = rng.random(candidates.shape) < gains[:, None]
    return np.where(won, 1.0, candidates) - baseline, gains * lost


def measured(
    rng: np.random.Generator, scores: Array, kind: str, count: int, cases: int, draws: int
) -> dict[str, float]:
    """Return what became of the best over all draws."""
    found = []
    for _ in range(draws):
        differences, truths = contest(rng, scores, kind, count, cases)
        choice = choose(differences, np.ones(cases), alpha=ALPHA)
        truth = float(truths[choice.chosen])
        low, high = bounded_interval(
            differences[choice.chosen], np.ones(cases), level=ALPHA / 2.0, low=-1.0, high=1.0
        )
        found.append(
            (
                choice.difference - truth,
                choice.corrected - truth,
                not low <= truth <= high,
                not choice.interval[0] <= truth <= choice.interval[1],
                choice.interval[0] > truth,
                high - low,
                choice.interval[1] - choice.interval[0],
            )
        )
    names = (
        "lead as seen is off by",
        "corrected lead is off by",
        "its own interval misses",
        "corrected interval misses",
        "corrected interval lies above the truth",
        "own width",
        "corrected width",
    )
    return {
        name: round(100.0 * float(value), 1)
        for name, value in zip(names, np.mean(found, axis=0), strict=True)
    }


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description="The best of K checkpoints, corrected for the choice.")
    parser.add_argument("folder", type=Path, help="folder with alpaca_eval and alpaca_eval_extra")
    parser.add_argument("--draws", type=int, default=1_000, help="choices per line (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    families = [family for family in read_families(arguments.folder) if len(family) > 3]
    for kind in KINDS:
        for count in COUNTS:
            for cases in SIZES:
                started = time.perf_counter()
                rng = np.random.default_rng([arguments.seed, KINDS.index(kind), count, cases])
                parts = [
                    measured(rng, family, kind, count, cases, arguments.draws // len(families))
                    for family in families
                ]
                line = {name: round(float(np.mean([part[name] for part in parts])), 1) for name in parts[0]}
                record = {
                    "benchmark": "chosen_rule",
                    "kind": kind,
                    "checkpoints": count,
                    "cases": cases,
                    **line,
                }
                seconds = round(time.perf_counter() - started, 1)
                print(json.dumps(record | {"draws": arguments.draws, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
