"""Measure what `--early-stop` saves and what it costs, on outcomes of real models; print one JSON line per n.

    python benchmarks/early_stop.py FOLDER [--runs 2000] [--graded] [--clusters 5] [--margin 0.02]

FOLDER holds `*.jsonl.gz`, one model each, with `index` and `win` in [0, 1] of shared prompts (the judge's
preferences of AlpacaEval, Dubois et al. 2024). Without `--graded` a case is right or wrong: win > 0.5.
Under the null the labels of each pair (of each cluster) are swapped at random, so that every block is false.
Regressions are real pairs of models that differ by 3 to 15 points; savings are shown on pairs that differ by
at least 10, either way.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.stats.clusters import group
from harness.stats.paired import compare_pairs
from harness.stats.stopping import StoppingRule, first_stop

SIZES = (50, 100, 200, 400, 805)
ALPHA = 0.05

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How one simulated suite ended: whether it was blocked, and the share of its cases that were used."""

    blocked: bool
    used: float


def gate(
    candidate: Scores, baseline: Scores, clusters: Sequence[int] | None, rule: StoppingRule, *, early: bool
) -> Outcome:
    """Gate a suite whose cases stand in the order of drawing."""
    n = len(candidate)
    if early:
        differences = group(candidate - baseline, clusters)
        stop = first_stop(differences, rule)
        if stop is not None:
            return Outcome(stop[1], float(differences.sizes[: stop[0]].sum()) / n)
    level = rule.left if early else rule.alpha
    found = compare_pairs(candidate, baseline, clusters, alpha=level)
    shown = found.p_value <= level and found.bounds[1] < 0 and found.delta < -rule.margin
    return Outcome(shown, 1.0)


def simulate(
    wins: dict[str, Scores], n: int, *, runs: int, size: int, rule: StoppingRule, seed: int
) -> dict[str, object]:
    """Return error rates and savings of suites of n cases, in clusters of `size`."""
    rng = np.random.default_rng([seed, n])
    pairs = list(itertools.permutations(sorted(wins), 2))
    gaps = {pair: float((wins[pair[0]] - wins[pair[1]]).mean()) for pair in pairs}
    worse = [pair for pair in pairs if -0.15 <= gaps[pair] <= -0.03]
    apart = [pair for pair in pairs if abs(gaps[pair]) >= 0.10]
    groups = -(-n // size)
    clusters = None if size == 1 else np.repeat(np.arange(groups), size)[:n].tolist()

    def drawn(pair: tuple[str, str], *, swap: bool) -> tuple[Scores, Scores]:
        rows = rng.choice(len(wins[pair[0]]), n, replace=False)
        one, other = wins[pair[0]][rows], wins[pair[1]][rows]
        if not swap:
            return one, other
        swapped = np.repeat(rng.random(groups) < 0.5, size)[:n]
        return np.where(swapped, other, one), np.where(swapped, one, other)

    def over(of: list[tuple[str, str]], count: int, *, swap: bool) -> tuple[list[Outcome], list[Outcome]]:
        early, fixed = [], []
        for run in range(count):
            sides = drawn(of[run % len(of)], swap=swap)
            early.append(gate(*sides, clusters, rule, early=True))
            fixed.append(gate(*sides, clusters, rule, early=False))
        return early, fixed

    def share(found: list[Outcome]) -> float:
        return sum(one.blocked for one in found) / len(found)

    null, null_fixed = over(pairs, runs, swap=True)
    real, real_fixed = over(worse, runs // 2, swap=False)
    far, _ = over(apart, runs // 2, swap=False)
    return {
        "n": n,
        "runs": runs,
        "cluster_size": size,
        "margin": rule.margin,
        "false_blocks": share(null),
        "false_blocks_without": share(null_fixed),
        "allowed": ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs),
        "missed_3_to_15_points": 1 - share(real),
        "missed_3_to_15_points_without": 1 - share(real_fixed),
        "cases_used_null": round(sum(one.used for one in null) / len(null), 3),
        "cases_used_10_points": round(sum(one.used for one in far) / len(far), 3),
    }


def read_wins(folder: Path, *, graded: bool) -> dict[str, Scores]:
    """Return each model's scores on the prompts that all of them share."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found[path.name.removesuffix(".jsonl.gz")] = {
                row["index"]: row["win"] for row in map(json.loads, lines)
            }
    most = max(len(rows) for rows in found.values())
    whole = {name: rows for name, rows in found.items() if len(rows) == most}
    scores = {name: np.array([rows[index] for index in sorted(rows)]) for name, rows in whole.items()}
    return scores if graded else {name: (values > 0.5).astype(np.float64) for name, values in scores.items()}


def main() -> None:
    """Print a line for each n."""
    parser = argparse.ArgumentParser(description="What --early-stop saves and costs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--graded", action="store_true")
    parser.add_argument("--clusters", type=int, default=1, metavar="SIZE")
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    wins = read_wins(given.folder, graded=given.graded)
    rule = StoppingRule(margin=given.margin, alpha=ALPHA)
    for n in given.sizes:
        row = simulate(wins, n, runs=given.runs, size=given.clusters, rule=rule, seed=given.seed)
        print(json.dumps({"benchmark": "early_stop", "graded": given.graded, **row}), flush=True)


if __name__ == "__main__":
    main()
