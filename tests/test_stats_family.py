"""One release decision over the suites of a candidate: level, power, labels, and what must not matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.stats.binary import mcnemar_p
from harness.stats.family import Question, decide_family, label_suites, likelihood_ratio
from harness.stats.flip_tail import ENUMERATED, flip_p_value
from harness.stats.joint_flips import PATTERNS_AT_ONCE, joint_flips
from harness.stats.multiplicity import holm

quick = settings(deadline=None, max_examples=40)
ALPHA = 0.05


def question(totals: Sequence[float] | NDArray[np.float64], **fields: object) -> Question:
    values = np.asarray(totals, dtype=np.float64)
    given_fields = {"p_value": flip_p_value(values)} | fields
    return Question(values, np.ones(len(values)), **given_fields)  # type: ignore[arg-type]  # fields by name


def flips(rng: np.random.Generator, cases: int, rate: float, drop: float = 0.0) -> Question:
    lost = rng.random(cases) < 0.5 + drop / (2 * rate)
    totals = np.where(rng.random(cases) < rate, np.where(lost, -1.0, 1.0), 0.0)
    p_value = mcnemar_p(int((totals > 0).sum()), int((totals < 0).sum()), cases)
    return question(totals, p_value=p_value)


def brute_force(questions: Sequence[Question], ties: float) -> float:
    """The global p-value over every pattern of signs, from nothing but the definition."""
    names = [q.units or [(suite, i) for i in range(len(q.totals))] for suite, q in enumerate(questions)]
    units = sorted({name for row in names for name in row}, key=repr)
    shares = np.array([q.share for q in questions]) / sum(q.share for q in questions)
    table = np.zeros((len(units), len(questions)))
    for suite, (q, row) in enumerate(zip(questions, names, strict=True)):
        for name, total in zip(row, q.totals, strict=True):
            table[units.index(name), suite] += total
    deviations = np.sqrt((table**2).sum(axis=0))
    spread = math.sqrt(float((table.sum(axis=1) ** 2).sum()))

    def statistic(signs: NDArray[np.float64]) -> NDArray[np.float64]:
        totals = -signs @ table
        return likelihood_ratio(totals / deviations, totals.sum(axis=-1) / spread, shares)

    every = statistic(np.array(list(itertools.product((1.0, -1.0), repeat=len(units)))))
    observed = statistic(np.ones(len(units)))
    close = np.abs(every / observed - 1.0) < 1e-9
    return float(((every > observed) & ~close).mean() + ties * close.mean())


# --- the reference distribution ------------------------------------------------------------------------


@quick
@given(st.integers(0, 10_000), st.booleans())
def test_few_units_equal_brute_force(seed: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, 3)
    pool = [[f"unit {u}" for u in rng.choice(6, size, replace=False)] for size in sizes]
    questions = [
        question(
            rng.integers(1, 5, size) * rng.choice([-0.25, 0.25], size),
            units=pool[suite] if shared else None,
            share=float(rng.integers(1, 4)),
        )
        for suite, size in enumerate(sizes)
    ]
    cluster_count = int(sizes.sum())
    found = decide_family(questions, alpha=ALPHA)
    assert found.draws == 0
    expected = brute_force(questions, 1.0 if cluster_count <= ENUMERATED else 0.5)
    assert found.p_value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shared", [False, True])
def test_draws_agree_with_brute_force(shared: bool) -> None:
    rng = np.random.default_rng(5)
    units = [list(range(start, start + 7)) for start in (0, 4, 8)] if shared else [None] * 3
    questions = [question(rng.normal(-0.15, 0.3, 7), units=names) for names in units]
    found = decide_family(questions, alpha=ALPHA)
    expected = brute_force(questions, 0.5) if shared else None
    assert found.draws >= PATTERNS_AT_ONCE
    if expected is not None:
        assert found.p_value == pytest.approx(expected, abs=4 * math.sqrt(expected / found.draws))


@pytest.mark.parametrize("cases", [60, 400])
def test_patterns_have_the_covariance_of_the_flips(cases: int) -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(0, 1, cases)
    totals = [common + rng.normal(0, 0.5, cases), common + rng.normal(0, 0.5, cases), rng.normal(0, 1, cases)]
    found = joint_flips(totals, [list(range(cases)), list(range(cases)), None])
    assert {frozenset(component.columns.tolist()) for component in found.components} == {
        frozenset({0, 1}),
        frozenset({2}),
    }
    batches = found.draws()
    z = np.concatenate([next(batches) for _ in range(12)])
    expected = found.covariance / np.outer(found.deviations, found.deviations)
    assert np.cov(z.T) == pytest.approx(expected, abs=0.03)
    assert expected[0, 1] > 0.7
    assert expected[0, 2] == 0.0


def test_the_likelihood_ratio_is_an_e_value() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        found = joint_flips([rng.normal(0, 1, int(rng.integers(1, 5))) for _ in range(3)])
        z = found.every_pattern()
        weights = found.deviations / math.sqrt(found.covariance.sum())
        assert likelihood_ratio(z, z @ weights, np.full(3, 1 / 3)).mean() <= 1.0
    assert np.isfinite(likelihood_ratio(np.array([[1e4]]), np.array([1e4]), np.ones(1))).all()


# --- what must not matter ------------------------------------------------------------------------------


@quick
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans())
def test_neither_the_order_of_suites_nor_of_cases_matters(seed: int, count: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    cases = int(rng.integers(8, 40))
    names = [f"case {i}" for i in range(cases)]
    questions = [
        question(np.round(rng.normal(-0.05, 0.3, cases), 2), units=names if shared else None, share=1.0 + i)
        for i in range(count)
    ]
    order, rows = rng.permutation(count), rng.permutation(cases)
    moved = [
        question(
            questions[i].totals[rows],
            units=[names[row] for row in rows] if shared else None,
            share=questions[i].share,
        )
        for i in order
    ]
    one, two = decide_family(questions, alpha=ALPHA), decide_family(moved, alpha=ALPHA)
    assert two.p_value == one.p_value
    assert two.adjusted == tuple(one.adjusted[i] for i in order)
    assert [int(order[i]) for i in two.named] == list(one.named)


def test_a_release_of_one_suite_is_that_suites_test() -> None:
    alone = question([-1.0] * 14 + [1.0] * 6 + [0.0] * 80, p_value=0.0368)
    found = decide_family([alone], alpha=ALPHA)
    assert (found.p_value, found.pooled_p_value, found.adjusted) == (0.0368, 0.0368, (0.0368,))
    assert (found.blocks, found.named, found.suspects) == (True, (0,), ())


def test_copies_of_a_suite_change_nothing_where_they_share_their_cases() -> None:
    totals, names = [-1.0] * 14 + [1.0] * 5 + [0.0] * 80, list(range(99))
    alone = flip_p_value(np.array(totals))
    copies = decide_family([question(totals, units=names)] * 10, alpha=ALPHA)
    assert copies.p_value == pytest.approx(alone, abs=4 * math.sqrt(alone / copies.draws))
    apart = decide_family([question(totals)] + [question([0.0] * 99)] * 9, alpha=ALPHA)
    assert apart.p_value == pytest.approx(alone, abs=0.01)  # where nothing changed nothing can be blocked


def test_nothing_changed_is_no_evidence() -> None:
    found = decide_family([question([0.0] * 20), question([0.0] * 30)], alpha=ALPHA)
    assert (found.p_value, found.blocks, found.named) == (1.0, False, ())


@pytest.mark.parametrize("shares", [[], [1.0, 0.0], [1.0, -1.0], [math.nan]])
def test_a_family_without_suites_or_shares_is_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="share of alpha above 0"):
        decide_family([question([-1.0], share=share) for share in shares], alpha=ALPHA)


# --- level and power -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8])
def test_an_unchanged_candidate_is_rarely_blocked(count: int) -> None:
    rng = np.random.default_rng(count)
    runs = 600
    blocked = sum(
        decide_family([flips(rng, 80, 0.15) for _ in range(count)], alpha=ALPHA).blocks for _ in range(runs)
    )
    assert blocked / runs <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    assert blocked / runs >= ALPHA - 4 * math.sqrt(ALPHA * (1 - ALPHA) / runs)  # alpha is used


def test_a_thin_loss_is_seen_where_holms_method_hardly_sees_it() -> None:
    rng = np.random.default_rng(3)
    runs, ours, holms = 150, 0, 0
    for _ in range(runs):
        questions = [flips(rng, 100, 0.22, drop=0.03) for _ in range(20)]
        ours += decide_family(questions, alpha=ALPHA).blocks
        holms += min(holm([q.p_value for q in questions])) <= ALPHA
    assert ours / runs > 0.7
    assert holms / runs < 0.4


def test_a_share_keeps_alpha_for_one_suite() -> None:
    rng = np.random.default_rng(4)
    runs, light, heavy = 80, 0, 0
    for _ in range(runs):
        questions = [flips(rng, 100, 0.22, drop=0.1 * (i == 0)) for i in range(20)]
        light += decide_family(questions, alpha=ALPHA).blocks
        favoured = [
            question(q.totals, p_value=q.p_value, share=19.0 if i == 0 else 1.0)
            for i, q in enumerate(questions)
        ]
        heavy += decide_family(favoured, alpha=ALPHA).blocks
    assert heavy - light > 0.15 * runs


# --- labels and margins --------------------------------------------------------------------------------


def closed_testing(p_values: Sequence[float], shares: Sequence[float], global_p_value: float) -> list[float]:
    """Every set of suites, one at a time."""
    count = len(p_values)
    adjusted = [0.0] * count
    for size in range(1, count + 1):
        for members in itertools.combinations(range(count), size):
            total = sum(shares[i] for i in members)
            p_value = (
                global_p_value
                if size == count
                else min(1.0, min(p_values[i] * total / shares[i] for i in members))
            )
            for i in members:
                adjusted[i] = max(adjusted[i], p_value)
    return adjusted


@quick
@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 5)), min_size=1, max_size=6), st.floats(0.0, 1.0)
)
def test_labels_are_those_of_closed_testing(suites: list[tuple[float, int]], global_p_value: float) -> None:
    p_values, shares = [p for p, _ in suites], [float(share) for _, share in suites]
    found = label_suites(p_values, shares, global_p_value)
    exact = closed_testing(p_values, shares, global_p_value)
    assert all(ours >= theirs - 1e-9 for ours, theirs in zip(found, exact, strict=True))  # never bolder
    if len(set(shares)) == 1:
        strongest = min(range(len(suites)), key=lambda i: p_values[i])
        assert found[strongest] == pytest.approx(exact[strongest], abs=1e-9)


def test_no_suite_is_named_in_a_release_that_is_not_blocked() -> None:
    assert label_suites([0.001, 0.9], [1.0, 1.0], 0.2) == (0.2, 0.9)


def test_a_thin_loss_blocks_without_naming_a_suite() -> None:
    thin = [-1.0] * 15 + [1.0] * 9 + [0.0] * 76
    found = decide_family([question(thin, margin=0.02)] * 8, alpha=ALPHA)
    assert found.blocks
    assert found.named == found.suspects == ()
    assert found.pooled == pytest.approx(-0.06)
    assert found.pooled_p_value < 0.01


def test_a_suspect_is_shown_where_the_global_test_alone_rejects() -> None:
    thin = [-1.0] * 14 + [1.0] * 9 + [0.0] * 77
    suspect = [-1.0] * 17 + [1.0] * 6 + [0.0] * 77
    found = decide_family([question(suspect), *[question(thin)] * 7], alpha=ALPHA)
    assert (found.blocks, found.named, found.suspects) == (True, (), (0,))


def test_a_proven_drop_within_the_margin_does_not_block() -> None:
    small = [-1.0] * 30 + [1.0] * 5 + [0.0] * 1965
    same = question([1.0, -1.0] * 40, margin=0.02)
    assert decide_family([question(small, margin=0.0), same], alpha=ALPHA).named == (0,)
    tolerated = decide_family([question(small, margin=0.02), same], alpha=ALPHA)
    assert tolerated.p_value < 0.001
    assert (tolerated.blocks, tolerated.named) == (False, ())


def test_an_estimate_of_its_own_takes_the_place_of_the_plain_total() -> None:
    plain = question([-1.0] * 6 + [1.0] * 5, p_value=0.003, z=2.75, delta=-0.08)
    other = question([1.0, -1.0] * 10)
    assert decide_family([plain, other], alpha=ALPHA).p_value < 0.02
    assert plain.mean == -0.08
