"""Draws that nobody chose: random bits whose seed is the data, and p-values drawn until they are settled.

A verdict on stored outputs must not depend on a seed that somebody may try again. So the seed is a digest of
the numbers themselves, in an order that does not depend on the order of cases. And a p-value that is drawn is
drawn on until its Monte-Carlo interval leaves the level it is held to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FEWEST_DRAWS",
    "MOST_DRAWS",
    "DrawnP",
    "data_seed",
    "random_bytes",
    "settled_p_value",
    "standard_normals",
]

FEWEST_DRAWS = 1 << 12
MOST_DRAWS = 1 << 20

_WORTH_SHOWING = 1 << 14  # draws of a p-value that is not far above the level
_FAR_ABOVE = 4.0
_CERTAINTY = 4.5  # standard errors from the level: a share of 1e-5 of all p-values is settled wrongly


def data_seed(*arrays: NDArray[np.float64]) -> int:
    """Return a seed that is a digest of numbers, rounded to 12 decimals so that float dust does not count.

    The arrays' own order counts: sort what has no order.
    """
    import numpy as np

    digest = sha256()
    for array in arrays:
        rounded = np.ascontiguousarray(np.round(array, 12) + 0.0, dtype="<f8")  # + 0.0: no negative zero
        digest.update(repr(rounded.shape).encode())
        digest.update(rounded.tobytes())
    return int.from_bytes(digest.digest()[:16], "big")


def random_bytes(bits: np.random.PCG64, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return random bytes from the raw stream, which is the same under every version of numpy."""
    import numpy as np

    count = math.prod(shape)
    words = bits.random_raw(-(-count // 8)) if count else np.empty(0, dtype=np.uint64)
    return words.astype("<u8").view(np.uint8)[:count].reshape(shape)


def standard_normals(bits: np.random.PCG64, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return independent standard normal variables from the raw stream, by Box and Muller's method."""
    import numpy as np

    count = math.prod(shape)
    uniform = (bits.random_raw(2 * count) >> np.uint64(11)).reshape(2, *shape) / 2.0**53
    return np.asarray(np.sqrt(-2.0 * np.log1p(-uniform[0])) * np.cos(2.0 * math.pi * uniform[1]))


@dataclass(frozen=True)
class DrawnP:
    """A p-value by draws.

    Attributes:
        p_value: Share of draws at least as extreme, ties counting half, the observed one counted among them.
        draws: How many draws there were; 0 where it was computed without.
        settled: Whether its Monte-Carlo interval left the level. Where `MOST_DRAWS` did not settle it, p lies
            within 0.001 of the level and counts as the level itself: the drop counts as shown, because what
            cannot be told from a shown drop must not pass. That adds less than 0.001 to the chance of a
            block.
    """

    p_value: float
    draws: int
    settled: bool = True


def settled_p_value(draw: Callable[[int], float], level: float) -> DrawnP:
    """Draw until it is clear on which side of the level the p-value lies.

    The number of draws doubles from `FEWEST_DRAWS` to `MOST_DRAWS`.

    Args:
        draw: Takes a number of further draws and returns how many of them are at least as extreme as what was
            observed, ties counting half.
        level: In (0, 1).

    Source: Gandy, "Sequential implementation of Monte Carlo tests with uniformly bounded resampling risk",
    JASA 104:1504–1511 (2009), for going on until the level is left; Phipson & Smyth, Stat Appl Genet Mol Biol
    9(1):39 (2010), for counting the observed pattern.
    """
    extreme, draws = 0.0, 0
    while True:
        extra = draws or FEWEST_DRAWS
        extreme, draws = extreme + draw(extra), draws + extra
        p_value = (extreme + 1.0) / (draws + 1.0)
        error = math.sqrt(level * (1.0 - level) / draws)
        is_precise = draws >= _WORTH_SHOWING or p_value > _FAR_ABOVE * level
        if is_precise and abs(p_value - level) > _CERTAINTY * error:
            return DrawnP(p_value, draws)
        if draws >= MOST_DRAWS:
            return DrawnP(min(p_value, level), draws, settled=False)
