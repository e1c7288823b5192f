"""The best of K checkpoints, corrected for the choice; and alpha over reruns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats.bounded import bounded_interval
from harness.stats.chosen import choose, is_held_out
from harness.stats.reruns import alpha_of_run, chance_of_a_pass

ALPHA = 0.1


def checkpoints(
    rng: np.random.Generator, count: int, cases: int, gains: NDArray[np.float64], sisters: float = 0.0
) -> NDArray[np.float64]:
    """Right-or-wrong differences from one shared baseline; sisters answer most cases alike."""
    ease = rng.beta(2.0, 1.3, cases)
    answers = (rng.random((count, cases)) < ease).astype(float)
    answers = np.where(rng.random((count, cases)) < sisters, answers[0], answers)
    rescued = (answers == 0.0) & (rng.random((count, cases)) < (gains / (1.0 - ease.mean()))[:, None])
    return np.asarray(np.where(rescued, 1.0, answers) - (rng.random(cases) < ease))


@pytest.mark.parametrize(
    ("count", "cases", "best", "sisters"),
    [(2, 100, 0.0, 0.0), (20, 100, 0.0, 0.0), (20, 40, 0.0, 0.0), (20, 100, 0.0, 0.8), (8, 100, 0.08, 0.0)],
)
def test_the_interval_covers_the_chosen_ones_truth(
    count: int, cases: int, best: float, sisters: float
) -> None:
    rng = np.random.default_rng([count, cases])
    runs, missed, plain, corrected, naive = 80, 0, 0, 0.0, 0.0
    gains = np.r_[best, np.zeros(count - 1)]
    for _ in range(runs):
        differences = checkpoints(rng, count, cases, gains, sisters)
        found = choose(differences, np.ones(cases), alpha=ALPHA)
        truth = gains[found.chosen]
        missed += not found.interval[0] <= truth <= found.interval[1]
        alone = bounded_interval(
            differences[found.chosen], np.ones(cases), level=ALPHA / 2, low=-1.0, high=1.0
        )
        plain += not alone[0] <= truth <= alone[1]
        corrected += (found.corrected - truth) / runs
        naive += (found.difference - truth) / runs
    assert missed / runs <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    assert abs(corrected) < max(0.6 * naive, 0.02)
    if count == 20 and not sisters:
        assert naive > 0.06  # the best of twenty equal ones looks better than it is
        assert plain / runs > 0.12  # and its own interval misses far more often than it says


def test_one_checkpoint_needs_no_correction() -> None:
    differences = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], (1, 80), p=[0.05, 0.8, 0.15])
    found = choose(differences, np.ones(80), alpha=ALPHA)
    plain = bounded_interval(differences[0], np.ones(80), level=ALPHA / 2, low=-1.0, high=1.0)
    assert (found.level, found.interval) == (ALPHA / 2, plain)
    assert found.corrected == pytest.approx(found.difference, abs=1e-6)


def test_copies_cost_nothing_and_independent_ones_do() -> None:
    rng = np.random.default_rng(2)
    row = rng.choice([-1.0, 0.0, 1.0], (1, 100), p=[0.05, 0.8, 0.15])
    copies = choose(np.repeat(row, 10, axis=0), np.ones(100), alpha=ALPHA)
    assert copies.level == pytest.approx(ALPHA / 2, abs=0.004)
    assert copies.corrected == pytest.approx(copies.difference, abs=0.01)
    others = rng.choice([-1.0, 0.0, 1.0], (10, 100), p=[0.1, 0.8, 0.1])
    assert choose(others, np.ones(100), alpha=ALPHA).level == pytest.approx(ALPHA / 2 / 10, abs=0.002)


def test_a_clear_winner_keeps_its_lead_and_a_close_one_loses_most() -> None:
    rng = np.random.default_rng(3)
    clear = checkpoints(rng, 5, 400, np.array([0.25, 0.0, 0.0, 0.0, 0.0]))
    found = choose(clear, np.ones(400), alpha=ALPHA)
    assert found.chosen == 0
    assert found.corrected == pytest.approx(found.difference, abs=0.01)
    level = np.zeros((2, 100))
    level[0, :12], level[1, 50:61] = 1.0, 1.0
    close = choose(level, np.ones(100), alpha=ALPHA)
    assert close.difference == 0.12
    assert close.corrected < 0.1


def test_a_choice_made_otherwise_is_corrected_too() -> None:
    rng = np.random.default_rng(4)
    differences = checkpoints(rng, 4, 100, np.zeros(4))
    worst = int(differences.sum(axis=1).argmin())
    found = choose(differences, np.ones(100), alpha=ALPHA, chosen=worst)
    assert found.chosen == worst
    assert found.corrected == pytest.approx(found.difference, abs=1e-6)  # it beat nobody
    assert found.interval[0] <= found.corrected <= found.interval[1]


def test_nothing_that_differs_says_nothing_and_does_not_fail() -> None:
    found = choose(np.zeros((3, 50)), np.ones(50), alpha=ALPHA)
    assert (found.difference, found.corrected) == (0.0, 0.0)
    assert found.interval == pytest.approx(
        (-(1 - (ALPHA / 6) ** (1 / 50)), 1 - (ALPHA / 6) ** (1 / 50)), abs=2e-3
    )
    assert choose(np.array([[1.0], [0.0]]), np.ones(1), alpha=ALPHA).interval[1] == 1.0


def test_clusters_and_the_order_of_cases() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 4, 60).astype(float)
    totals = rng.choice([-1.0, 0.0, 1.0], (3, 60)) * sizes
    order = rng.permutation(60)
    one = choose(totals, sizes, alpha=ALPHA)
    assert choose(totals[:, order], sizes[order], alpha=ALPHA).corrected == pytest.approx(
        one.corrected, abs=1e-9
    )


def test_held_out_clusters_are_the_same_in_every_run() -> None:
    names = [f"case {i}" for i in range(2_000)]
    kept = [is_held_out(name, share=0.3) for name in names]
    assert np.mean(kept) == pytest.approx(0.3, abs=0.04)
    assert kept == [is_held_out(name, share=0.3) for name in names]
    assert not any(is_held_out(name, share=0.0) for name in names)


# --- reruns --------------------------------------------------------------------------------------------


def test_reruns_share_alpha() -> None:
    assert sum(alpha_of_run(0.05, run) for run in range(1, 10_000)) == pytest.approx(0.05, abs=1e-5)
    assert sum(alpha_of_run(0.05, run) for run in range(1, 10_000)) < 0.05
    assert [alpha_of_run(0.05, run, planned=4) for run in (1, 4)] == [0.0125, 0.0125]
    assert chance_of_a_pass(0.5, 8) == pytest.approx(1 - 0.5**8)


@pytest.mark.parametrize(("run", "planned"), [(0, None), (5, 4), (-1, 3)])
def test_a_run_that_was_not_planned_is_refused(run: int, planned: int | None) -> None:
    with pytest.raises(ValueError, match=f"run {run} of"):
        alpha_of_run(0.05, run, planned=planned)
