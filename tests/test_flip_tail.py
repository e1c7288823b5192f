"""Sign-flip p-values that are computed: against brute force, binomials and long runs of draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.gate.compare_scores import compare_scores
from harness.stats import flip_tail
from harness.stats.binary import mcnemar_mid_p
from harness.stats.draws import FEWEST_DRAWS, MOST_DRAWS, data_seed, random_bytes, settled_p_value
from harness.stats.flip_tail import ENUMERATED, effective_count, flip_p_value, lattice_unit

quick = settings(deadline=None, max_examples=60)


def brute_force(totals: NDArray[np.float64], ties: float) -> float:
    """All 2^G patterns, one at a time."""
    patterns = np.array(np.meshgrid(*[(-1.0, 1.0)] * len(totals))).reshape(len(totals), -1)
    sums = patterns.T @ np.abs(totals)
    observed = totals.sum()
    return float((sums < observed - 1e-9).mean() + ties * (np.abs(sums - observed) <= 1e-9).mean())


def drawn(totals: NDArray[np.float64], draws: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    patterns = rng.choice([-1.0, 1.0], (draws, len(totals)))
    sums = patterns @ np.abs(totals)
    observed = totals.sum()
    return float((sums < observed - 1e-9).mean() + 0.5 * (np.abs(sums - observed) <= 1e-9).mean())


@quick
@given(st.lists(st.integers(-6, 6).map(lambda k: k / 6), min_size=1, max_size=17))
def test_a_lattice_equals_brute_force(values: list[float]) -> None:
    totals = np.array(values)
    expected = brute_force(totals, 1.0 if len(totals) <= ENUMERATED else 0.5) if totals.any() else 1.0
    assert flip_p_value(totals) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("groups", [15, 18])
def test_values_off_any_lattice_are_close_to_brute_force(groups: int) -> None:
    rng = np.random.default_rng(groups)
    for _ in range(5):
        totals = rng.normal(-0.1, 0.3, groups)
        assert lattice_unit(np.abs(totals)) is None
        assert flip_p_value(totals) == pytest.approx(brute_force(totals, 0.5), abs=2e-4)


@pytest.mark.parametrize(("improved", "worsened"), [(4, 12), (30, 50), (0, 60), (400, 450), (1200, 1300)])
def test_right_or_wrong_equals_mcnemars_mid_p(improved: int, worsened: int) -> None:
    totals = np.r_[np.ones(improved), -np.ones(worsened), np.zeros(100)]
    assert flip_p_value(totals) == pytest.approx(mcnemar_mid_p(improved, worsened), rel=1e-5)


@pytest.mark.parametrize(
    "totals",
    [
        np.r_[-np.ones(6), np.ones(1), np.random.default_rng(1).normal(0, 1e-6, 600)],
        np.r_[
            -np.linspace(0.5, 1, 30), np.linspace(0.3, 1, 22), np.random.default_rng(2).normal(0, 0.05, 300)
        ],
        np.random.default_rng(3).normal(-0.01, 0.15, 250),
        np.random.default_rng(4).normal(-0.01, 0.15, 900),
        np.random.default_rng(5).choice([-1, -2 / 3, -1 / 3, 0, 1 / 3, 2 / 3], 70),
    ],
    ids=["collapses and jitter", "large and small", "grades", "many grades", "thirds"],
)
def test_every_kind_of_value_agrees_with_draws(totals: NDArray[np.float64]) -> None:
    draws = 40_000
    p_value = flip_p_value(totals)
    assert p_value == pytest.approx(
        drawn(totals, draws, 9), abs=4 * math.sqrt(p_value * (1 - p_value) / draws)
    )


@pytest.mark.parametrize("kind", ["equal", "grades", "normal"])
def test_the_expansion_is_as_close_as_it_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(11)
    sizes = {
        "equal": np.ones(110),
        "grades": rng.integers(1, 30, 260) / 100,
        "normal": rng.normal(0, 1, 400),
    }[kind]
    assert effective_count(sizes) > 100
    for share in (0.45, 0.55, 0.6):
        totals = np.where(rng.random(len(sizes)) < share, -1.0, 1.0) * np.abs(sizes)
        monkeypatch.setattr(flip_tail, "_QUICK", 0)
        expanded = flip_p_value(totals)
        monkeypatch.setattr(flip_tail, "_NORMAL_FROM", math.inf)
        assert expanded == pytest.approx(flip_p_value(totals), abs=2e-5)
        monkeypatch.undo()


@quick
@given(st.integers(0, 10_000), st.integers(1, 80), st.sampled_from([1, 2, 12]))
def test_neither_order_nor_scale_nor_float_dust_matters_and_sides_mirror(
    seed: int, groups: int, decimals: int
) -> None:
    rng = np.random.default_rng(seed)
    totals = np.round(rng.normal(-0.05, 0.2, groups), decimals)
    p_value = flip_p_value(totals)
    assert flip_p_value(totals[rng.permutation(groups)]) == p_value
    assert flip_p_value(totals + rng.choice([-1e-16, 1e-16], groups)) == pytest.approx(p_value, abs=1e-9)
    assert flip_p_value(3.0 * totals) == pytest.approx(p_value, abs=1e-9)
    if groups > ENUMERATED and totals.any():
        assert flip_p_value(-totals) == pytest.approx(1.0 - p_value, abs=1e-12)


def test_nothing_changed_is_no_evidence() -> None:
    assert flip_p_value(np.zeros(40)) == 1.0


def test_units_are_seen_through_float_errors() -> None:
    thirds = np.array([1 / 3, 2 / 3, 1.0, 1 / 3 + 1 / 3 + 1 / 3, 0.1 + 0.2 + 1 / 30])
    assert lattice_unit(thirds) == pytest.approx(1 / 3)
    assert lattice_unit(np.array([0.02, 0.05, 0.41])) == pytest.approx(0.01)
    assert lattice_unit(np.array([1.0, math.sqrt(2.0), math.pi])) is None
    assert lattice_unit(1e-6 * thirds) == pytest.approx(1e-6 / 3)


@pytest.mark.parametrize("decimals", [3, None])
def test_a_p_value_near_alpha_is_one_number_in_every_order(decimals: int | None) -> None:
    """60 graded cases whose p-value lies within the noise of 10,000 draws of alpha."""
    rng = np.random.default_rng(3)
    for _ in range(10_000):
        baseline = rng.uniform(0.3, 0.9, 60)
        candidate = np.clip(baseline - 0.028 + rng.normal(0, 0.13, 60), 0, 1)
        if decimals is not None:
            baseline, candidate = np.round(baseline, decimals), np.round(candidate, decimals)
        if 0.0495 < flip_p_value(candidate - baseline) < 0.0505:
            break
    else:
        pytest.fail("no such draw")
    verdicts = {
        (found.status, found.p_value, found.bounds)
        for order in (np.arange(60), *(rng.permutation(60) for _ in range(8)))
        for found in [compare_scores(candidate[order], baseline[order], margin=0.0)]
    }
    assert len(verdicts) == 1


# --- draws whose seed is the data ----------------------------------------------------------------------


def test_the_seed_is_the_data_and_float_dust_is_not() -> None:
    values = np.array([0.1, 0.2, 0.0])
    assert data_seed(values) == data_seed(values + 1e-15) == data_seed(np.array([0.1, 0.2, -0.0]))
    assert data_seed(values) != data_seed(values + 1e-3)
    assert data_seed(values) != data_seed(values[:2])


def test_random_bytes_are_fair() -> None:
    bits = np.unpackbits(random_bytes(np.random.PCG64(1), (1_000, 13)))
    assert bits.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(bits.size))
    assert random_bytes(np.random.PCG64(1), (0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("true", "settled", "fewest"), [(0.5, True, 0), (0.02, True, 3), (0.048, True, 15), (0.05, False, 15)]
)
def test_draws_go_on_until_the_level_is_left(true: float, settled: bool, fewest: int) -> None:
    rng = np.random.default_rng(0)
    found = settled_p_value(lambda draws: float(rng.binomial(draws, true)), 0.05)
    assert found.settled == settled
    assert found.draws > FEWEST_DRAWS * fewest
    if settled:
        assert (found.p_value < 0.05) == (true < 0.05)
    else:
        assert found.draws == MOST_DRAWS
        assert found.p_value <= 0.05  # what cannot be told from a shown drop counts as one


def test_the_observed_draw_counts() -> None:
    assert settled_p_value(lambda _: 0.0, 0.05).p_value == 1 / (4 * FEWEST_DRAWS + 1)


def test_settled_p_values_are_rarely_on_the_wrong_side() -> None:
    rng = np.random.default_rng(1)
    wrong = sum(
        settled_p_value(lambda n: float(rng.binomial(n, 0.0485)), 0.05).p_value > 0.05 for _ in range(300)
    )
    assert wrong <= scipy.stats.binom.ppf(0.999, 300, 1e-3)
