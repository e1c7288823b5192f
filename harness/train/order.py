"""The order in which rows are trained: shuffled, yet with rows of like length in one batch.

A batch is padded to its longest row, so mixing short and long rows wastes most of the work. Rows are
shuffled, sorted by length within windows of many batches, cut into batches, and the batches shuffled. The
order depends on the seed and the epoch only, never on the state of a random number generator, so a resumed
run sees the rows that the uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["BucketedOrder", "epoch_order"]

_WINDOW = 50
"""Batches per window; wide enough to cut padding, narrow enough that batches stay random."""


def epoch_order(lengths: Sequence[int], batch: int, *, seed: int, epoch: int) -> list[int]:
    """Return the indices of one epoch in training order.

    Args:
        lengths: Tokens of each row.
        batch: Rows per optimizer step; only the last batch may be smaller.
        seed: Seed of the run.
        epoch: Epoch from 0.
    """
    import numpy as np

    random = np.random.default_rng([seed, epoch])
    shuffled = random.permutation(len(lengths))
    whole = len(lengths) // batch * batch
    full, rest = shuffled[:whole], shuffled[whole:]
    batches = []
    for start in range(0, whole, batch * _WINDOW):
        window = sorted(full[start : start + batch * _WINDOW].tolist(), key=lambda index: -lengths[index])
        batches += [window[at : at + batch] for at in range(0, len(window), batch)]
    order = [index for position in random.permutation(len(batches)) for index in batches[position]]
    return order + [int(index) for index in rest]


class BucketedOrder:
    """A PyTorch sampler over `epoch_order`; the data loader tells it the epoch.

    Args:
        lengths: Tokens of each row.
        batch: Rows per optimizer step.
        seed: Seed of the run.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = lengths
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration runs over."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self._lengths, self._batch, seed=self._seed, epoch=self._epoch))

    def __len__(self) -> int:
        return len(self._lengths)
