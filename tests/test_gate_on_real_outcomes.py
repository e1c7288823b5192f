"""The gate on published per-case outcomes of real models."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shared_data import shared_data

from harness.gate.compare_scores import compare_scores
from harness.gate.verdict import Status
from harness.stats.binary import mcnemar_p
from harness.stats.clusters import cluster_standard_error, group
from harness.stats.paired import compare_pairs

Wins = dict[str, dict[int, float]]


def alpaca_wins(folder: Path) -> Wins:
    wins: Wins = {}
    for path in sorted((folder / "models").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        wins[path.name.removesuffix(".jsonl.gz")] = {row["index"]: row["win"] for row in rows}
    return wins


@pytest.fixture(scope="module")
def wins() -> Wins:
    return alpaca_wins(shared_data("alpaca_eval"))


def paired(wins: Wins, candidate: str, baseline: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shared = sorted(wins[candidate].keys() & wins[baseline].keys())
    return np.array([wins[candidate][i] for i in shared]), np.array([wins[baseline][i] for i in shared])


def discrete_wins(folder: Path) -> dict[tuple[str, str], list[float]]:
    """Wins by judge and model, where the judge said something."""
    found: dict[tuple[str, str], list[float]] = {}
    with gzip.open(folder / "annotations.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["win"] is not None:
                found.setdefault((row["judge"], row["model"]), []).append(row["win"])
    return found


@pytest.mark.parametrize(("pack", "published"), [("alpaca_eval", 14), ("alpaca_eval_extra", 32)])
def test_published_means_and_standard_errors_are_reproduced(wins: Wins, pack: str, published: int) -> None:
    scores = {("", model): list(values.values()) for model, values in wins.items()}
    scores |= discrete_wins(shared_data("alpaca_eval_extra"))
    with (shared_data(pack) / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["standard_error"]]
    assert len(rows) == published
    for row in rows:
        values = np.array(scores[row.get("judge", ""), row["model"]])
        assert 100 * values.mean() == pytest.approx(float(row["win_rate"]), abs=1e-9)
        error = cluster_standard_error(group(values, None))
        assert error is not None
        assert 100 * error == pytest.approx(float(row["standard_error"]), abs=1e-9)


def test_reference_paired_standard_errors_are_reproduced(wins: Wins) -> None:
    table = [  # candidate, baseline, delta and paired standard error in points, as the data pack states them
        ("claude-2.1", "claude-2", -1.45, 0.91),
        ("vicuna-7b-v1.5", "vicuna-7b", 0.63, 0.62),
        ("FuseChat-Llama-3.2-3B-Instruct", "FuseChat-Llama-3.2-1B-Instruct", 21.37, 1.37),
        ("oasst-rlhf-llama-33b", "oasst-sft-llama-33b", 1.53, 0.71),
    ]
    for candidate, baseline, delta, error in table:
        verdict = compare_scores(*paired(wins, candidate, baseline))
        assert verdict.delta is not None
        assert verdict.standard_error is not None
        assert 100 * verdict.delta == pytest.approx(delta, abs=0.005)
        assert 100 * verdict.standard_error == pytest.approx(error, abs=0.005)
        assert verdict.status is not Status.REGRESSED


def test_a_worse_model_regresses_and_the_other_way_round_does_not(wins: Wins) -> None:
    small, large = "FuseChat-Llama-3.2-1B-Instruct", "FuseChat-Llama-3.2-3B-Instruct"
    assert compare_scores(*paired(wins, small, large)).status is Status.REGRESSED
    assert compare_scores(*paired(wins, large, small), policy="non-inferior").status is Status.PASS


SIZES = [50, 100, 200, 400, 805]


@pytest.mark.parametrize("n", SIZES)
def test_swapped_labels_of_real_outcomes_are_rarely_blocked(wins: Wins, n: int) -> None:
    """Under the null the sides of each pair are exchangeable: at most 5 % may be blocked, margin 0."""
    rng = np.random.default_rng(n)
    pairs = [p for p in itertools.combinations(sorted(wins), 2) if len(wins[p[0]]) == len(wins[p[1]]) == 805]
    runs, blocked = 600, 0
    for run in range(runs):
        ours, theirs = paired(wins, *pairs[run % len(pairs)])
        rows = rng.choice(len(ours), n, replace=False)
        swap = rng.random(n) < 0.5
        candidate = np.where(swap, theirs[rows], ours[rows])
        baseline = np.where(swap, ours[rows], theirs[rows])
        found = compare_pairs((candidate > 0.5).astype(float), (baseline > 0.5).astype(float), alpha=0.05)
        blocked += found.p_value <= 0.05 and found.bounds[1] < 0 and found.delta < 0
    assert blocked / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_swapped_labels_of_graded_outcomes_are_blocked_at_the_promised_rate(wins: Wins, n: int) -> None:
    rng = np.random.default_rng(n)
    pairs = [p for p in itertools.combinations(sorted(wins), 2) if len(wins[p[0]]) == len(wins[p[1]]) == 805]
    runs, blocked = 400, 0
    for run in range(runs):
        ours, theirs = paired(wins, *pairs[run % len(pairs)])
        rows = rng.choice(len(ours), n, replace=False)
        swap = rng.random(n) < 0.5
        candidate = np.where(swap, theirs[rows], ours[rows])
        baseline = np.where(swap, ours[rows], theirs[rows])
        verdict = compare_scores(candidate, baseline, margin=0.0)
        blocked += verdict.status is Status.REGRESSED
    error = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert 0.05 - error <= blocked / runs <= 0.05 + error


def test_published_gsm8k_solutions() -> None:
    folder = shared_data("gsm8k")
    correct: dict[str, dict[str, bool]] = {}
    with (folder / "solutions.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            correct.setdefault(row["model"], {})[row["id"]] = row["correct"]
    ids = sorted(correct["175b_verification"])
    verifier, tuned = ([correct[model][i] for i in ids] for model in ("175b_verification", "175b_finetuning"))
    better, worse = compare_scores(verifier, tuned), compare_scores(tuned, verifier)
    assert better.n == 660
    assert (better.mean, better.baseline_mean) == pytest.approx((0.5621212, 0.3409091), abs=1e-7)
    assert better.status is Status.PASS
    assert worse.status is Status.REGRESSED
    assert worse.p_value == pytest.approx(mcnemar_p(worse.improved, worse.worsened, worse.n))
    assert worse.p_value is not None
    assert worse.p_value < 1e-15
