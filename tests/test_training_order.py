"""The order of training rows: complete, reproducible, and sparing with padding."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.train.order import BucketedOrder, epoch_order


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=300),
    batch=st.integers(1, 40),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_row_comes_once_an_epoch(lengths: list[int], batch: int, seed: int, epoch: int) -> None:
    order = epoch_order(lengths, batch, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == epoch_order(lengths, batch, seed=seed, epoch=epoch)


def test_epochs_and_seeds_differ_and_no_global_state_matters() -> None:
    lengths = [random.Random(1).randint(1, 99) for _ in range(200)]
    first = epoch_order(lengths, 8, seed=0, epoch=0)
    random.random()
    assert first != epoch_order(lengths, 8, seed=0, epoch=1)
    assert first != epoch_order(lengths, 8, seed=1, epoch=0)
    order = BucketedOrder(lengths, 8, seed=0)
    assert (list(order), len(order)) == (first, 200)
    order.set_epoch(1)
    assert list(order) == epoch_order(lengths, 8, seed=0, epoch=1)


def test_batches_hold_rows_of_like_length() -> None:
    draw = random.Random(2)
    lengths = [draw.randint(10, 400) for _ in range(1600)]

    def padded(order: list[int]) -> int:
        batches = [order[at : at + 16] for at in range(0, len(order), 16)]
        return sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)

    shuffled = draw.sample(range(1600), 1600)
    bucketed = padded(epoch_order(lengths, 16, seed=0, epoch=0))
    assert bucketed < 1.1 * sum(lengths)
    assert padded(shuffled) > 1.5 * sum(lengths)


def test_batches_are_not_sorted_among_themselves() -> None:
    lengths = list(range(800))
    order = epoch_order(lengths, 8, seed=0, epoch=0)
    means = [sum(order[at : at + 8]) / 8 for at in range(0, 800, 8)]
    rising = sum(later > earlier for earlier, later in itertools.pairwise(means))
    assert rising == pytest.approx(50, abs=20)
