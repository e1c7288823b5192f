"""`--early-stop` on outcomes of real models: looking costs no error rate, and saves most of the cases."""

from __future__ import annotations

import gzip
import itertools
import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from shared_data import shared_data

from harness.stats.clusters import group
from harness.stats.paired import compare_pairs
from harness.stats.stopping import StoppingRule, first_stop

RULE = StoppingRule(margin=0.0, alpha=0.05)
Wins = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def wins() -> Wins:
    found: Wins = {}
    for path in sorted((shared_data("alpaca_eval") / "models").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = sorted((row["index"], row["win"] > 0.5) for row in map(json.loads, lines))
        if len(rows) == 805:
            found[path.name] = np.array([win for _, win in rows], dtype=np.float64)
    return found


def is_blocked(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], size: int
) -> tuple[bool, float]:
    """Gate a suite in the order of drawing; return whether it is blocked, and the share of cases used."""
    n = len(candidate)
    clusters = None if size == 1 else (np.arange(n) // size).tolist()
    differences = group(candidate - baseline, clusters)
    stop = first_stop(differences, RULE)
    if stop is not None:
        return stop[1], float(differences.sizes[: stop[0]].sum()) / n
    found = compare_pairs(candidate, baseline, clusters, alpha=RULE.left)
    return found.p_value <= RULE.left and found.bounds[1] < 0, 1.0


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize(
    "n", [50, pytest.param(100, marks=pytest.mark.slow), 200, pytest.param(400, marks=pytest.mark.slow), 805]
)
def test_swapped_labels_are_rarely_blocked_however_often_one_looks(wins: Wins, n: int, size: int) -> None:
    rng = np.random.default_rng([n, size])
    pairs = list(itertools.combinations(sorted(wins), 2))
    runs = 300 if size == 1 else 120
    blocked = 0
    for run in range(runs):
        one, other = (wins[name] for name in pairs[run % len(pairs)])
        rows = rng.choice(805, n, replace=False)
        swap = np.repeat(rng.random(-(-n // size)) < 0.5, size)[:n]
        sides = np.where(swap, other[rows], one[rows]), np.where(swap, one[rows], other[rows])
        blocked += is_blocked(*sides, size)[0]
    assert blocked / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_real_differences_of_10_points_take_less_than_half_of_the_cases(wins: Wins) -> None:
    rng = np.random.default_rng(0)
    apart = [
        pair
        for pair in itertools.permutations(sorted(wins), 2)
        if abs((wins[pair[0]] - wins[pair[1]]).mean()) >= 0.10
    ]
    used: list[float] = []
    for one, other in apart:
        order = rng.permutation(805)
        blocked, share = is_blocked(wins[one][order], wins[other][order], 1)
        assert blocked is bool((wins[one] - wins[other]).mean() < 0)
        used.append(share)
    assert len(apart) > 50
    assert sum(used) / len(used) <= 0.5
