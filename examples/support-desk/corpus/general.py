"""What a desk's model should still be able to do: short reasoning, facts, and the shop's other topics."""

from __future__ import annotations

import random
from collections.abc import Callable

from . import facts, numbers, topics
from .sample import Sample, Split

_KINDS: tuple[tuple[Callable[[random.Random, Split], Sample], int], ...] = (
    (numbers.compare, 15),
    (numbers.add, 16),
    (numbers.series, 11),
    (facts.draw, 32),
    (topics.draw, 26),
)


def draw(rng: random.Random, split: Split) -> Sample:
    """Draw one question about numbers, the world or the shop."""
    (kind,) = rng.choices([make for make, _ in _KINDS], [parts for _, parts in _KINDS])
    return kind(rng, split)
