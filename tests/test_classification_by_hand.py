"""Rates of a confusion table beside the same counted answer by answer.

What tests of error rates are too coarse for is seen here: a constant that is off by a tenth, a term with the
wrong sign.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats import classification as classification_module
from harness.stats.classification import Rate, class_rates, rate_intervals, whole_rates

Values = NDArray[np.float64]


# --- classification --------------------------------------------------------------------------------------


def rates_by_counting(table: Values) -> tuple[list[float], list[list[float]]]:
    """Rates of a confusion table from the list of answers that it counts."""
    answers = [
        (gold, given if given < table.shape[0] else None)
        for (gold, given), count in np.ndenumerate(table)
        for _ in range(int(count))
    ]
    each: list[list[float]] = [[], [], []]
    for label in range(table.shape[0]):
        gold = sum(one == label for one, _ in answers)
        given = sum(other == label for _, other in answers)
        right = sum(one == other == label for one, other in answers)
        there = gold > 0 or given > 0
        each[0].append(right / given if given else 0.0 if there else math.nan)
        each[1].append(right / gold if gold else 0.0 if there else math.nan)
        each[2].append(2 * right / (gold + given) if there else math.nan)
    macro = [float(np.nanmean(row)) if not np.isnan(row).all() else 0.0 for row in each]
    right, total = sum(one == other for one, other in answers), len(answers)
    given = sum(other is not None for _, other in answers)
    micro = [right / max(given, 1), right / max(total, 1), 2 * right / max(given + total, 1)]
    return [right / max(total, 1), *macro, *micro], each


TABLES = [
    [[5, 1, 0, 2], [0, 7, 3, 0], [2, 0, 4, 1]],
    [[5, 0, 0, 0], [0, 0, 0, 0], [1, 0, 4, 3]],  # a class that is never there
    [[2, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 6]],  # one that is only given, and one that is never given
    [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
]


@pytest.mark.parametrize("table", TABLES)
def test_rates_are_counted_answer_by_answer(table: list[list[int]]) -> None:
    counts = np.array(table, dtype=float)
    whole, each = rates_by_counting(counts)
    assert whole_rates(counts) == pytest.approx(whole, nan_ok=True)
    assert class_rates(counts) == pytest.approx(np.array(each), nan_ok=True)
    stacked = np.stack([counts, counts[::-1, [2, 1, 0, 3]]])
    assert whole_rates(stacked)[0] == pytest.approx(whole)
    assert class_rates(stacked).shape == (2, 3, 3)


def clustered_tables(seed: int, groups: int = 30) -> Values:
    rng = np.random.default_rng(seed)
    tables = rng.multinomial(4, [0.3, 0.05, 0.05, 0.1, 0.2, 0.05, 0.1, 0.1, 0.05], size=groups)
    padded = np.zeros((groups, 3, 4))
    padded.reshape(groups, 12)[:, [0, 1, 3, 4, 5, 6, 9, 10, 11]] = tables
    return padded


def test_intervals_are_quantiles_of_rates_of_resampled_clusters() -> None:
    tables = clustered_tables(0)
    whole, each = rate_intervals(tables, alpha=0.1, seed=7)
    rng = np.random.default_rng(7)
    weights = rng.multinomial(30, np.full(30, 1 / 30), size=2000)
    drawn = [(one[:, None, None] * tables).sum(axis=0) for one in weights]
    rates = [rates_by_counting(table) for table in drawn]
    total, by_class = rates_by_counting(tables.sum(axis=0))
    for number, rate in enumerate(whole):
        draws = [one[0][number] for one in rates]
        assert rate.value == pytest.approx(total[number])
        assert rate.interval == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))
    for measure, row in enumerate(each):
        for label, rate in enumerate(row):
            draws = [one[1][measure][label] for one in rates if not math.isnan(one[1][measure][label])]
            assert rate.value == pytest.approx(by_class[measure][label])
            assert rate.interval == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))


def test_the_usual_interval_is_at_95_percent_from_seed_0() -> None:
    tables = clustered_tables(1)
    assert rate_intervals(tables) == rate_intervals(tables, alpha=0.05, seed=0)
    assert rate_intervals(tables) != rate_intervals(tables, seed=1)


@pytest.mark.parametrize("cells", [1, 12 * 700, 12 * 1999, 12 * 2000])
def test_how_many_tables_are_held_at_once_changes_nothing(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = clustered_tables(2, groups=6)
    expected = rate_intervals(tables)
    monkeypatch.setattr(classification_module, "_CHUNK", cells)
    assert rate_intervals(tables) == expected


def test_one_cluster_has_rates_and_no_interval() -> None:
    tables = clustered_tables(3)
    whole, each = rate_intervals(tables[:1])
    assert [rate.value for rate in whole] == pytest.approx(whole_rates(tables[0]).tolist())
    assert {rate.interval for rate in [*whole, *each[0]]} == {None}
    assert all(rate.interval is not None for rate in rate_intervals(tables[:2])[0])


def test_without_spread_the_clusters_that_have_the_class_are_counted() -> None:
    """Ten right answers of class 0 in ten clusters, four of class 1 in four others, none of class 2."""
    tables = np.zeros((14, 3, 4))
    tables[:10, 0, 0], tables[10:, 1, 1] = 1.0, 1.0
    whole, each = rate_intervals(tables, alpha=0.1)
    assert whole[0] == Rate(1.0, (pytest.approx(0.05 ** (1 / 14)), 1.0))
    for row in each:
        assert row[0] == Rate(1.0, (pytest.approx(0.05 ** (1 / 10)), 1.0))
        assert row[1] == Rate(1.0, (pytest.approx(0.05 ** (1 / 4)), 1.0))
        assert math.isnan(row[2].value)
        assert row[2].interval is None


def test_a_class_that_is_only_given_counts_where_it_is_given() -> None:
    """Wrong in each of five clusters: its precision is 0, at most 1 − 0.05^(1/5)."""
    tables = np.zeros((8, 2, 3))
    tables[:5, 0, 1], tables[5:, 0, 0] = 1.0, 1.0
    _, each = rate_intervals(tables, alpha=0.1)
    assert each[0][1] == Rate(0.0, (0.0, pytest.approx(1 - 0.05 ** (1 / 5))))


def test_an_interval_always_holds_its_value() -> None:
    for seed in range(6):
        whole, each = rate_intervals(clustered_tables(seed, groups=3), alpha=0.9)
        for rate in [*whole, *itertools.chain(*each)]:
            if rate.interval is not None:
                assert rate.interval[0] <= rate.value <= rate.interval[1]
