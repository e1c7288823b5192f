"""The sign-flip permutation test over clusters, and the interval that comes from inverting it.

If the candidate is no different from the baseline, which of the two answers of a cluster came from whom is
a coin toss: flipping the sign of any cluster's differences is as likely as not. Test and interval come from
the same draws, so they never contradict each other: the one-sided bound lies below 0 exactly when p ≤ level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DRAWS", "SignFlips", "sign_flips"]

DRAWS = 20_000
"""Random sign patterns; up to this many patterns are enumerated instead, and the test is exact."""

_CHUNK_VALUES = 2_000_000
_ZERO = 1e-12


@dataclass(frozen=True)
class SignFlips:
    """The reference distribution of one comparison.

    Attributes:
        means: Sorted mean differences of the cases in the flipped clusters, one per pattern that flips any.
        empty: Patterns that flip nothing; the observed one always counts as such.
        exact: Whether every pattern was enumerated.
    """

    means: NDArray[np.float64]
    empty: int
    exact: bool

    @property
    def patterns(self) -> int:
        """How many sign patterns there are."""
        return len(self.means) + self.empty

    @property
    def p_value(self) -> float:
        """One-sided p for a drop: the share of patterns with a total at most the observed one."""
        at_least = len(self.means) - int(self.means.searchsorted(0.0, side="left"))
        return (at_least + self.empty) / self.patterns

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (lower, upper) for the mean difference in [−1, 1], each one-sided at `level`.

        A bound is ±1 where the patterns are too few for the level: nothing is ruled out.
        """
        rank = int(level * self.patterns + 1e-9) + 1 - self.empty
        if rank <= 0 or not len(self.means):
            return -1.0, 1.0
        lower, upper = float(self.means[rank - 1]), float(self.means[-rank])
        return max(lower, -1.0), min(upper, 1.0)


def sign_flips(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, seed: int, draws: int = DRAWS
) -> SignFlips:
    """Flip the signs of clusters, all patterns when there are at most `draws`, else random ones.

    A pattern's total is at most the observed one exactly when the flipped clusters' mean difference is
    at least 0; the same holds for a hypothesised difference δ in place of 0. The means of the flipped
    clusters are therefore all that the test and its inversion need.

    Args:
        totals: Sum of the differences of each cluster, shape (G,).
        sizes: Cases in each cluster, shape (G,).
        seed: Of the random patterns.
        draws: How many patterns to draw, the observed one not counted.

    Source: Hartigan, "Using subsample values as typical values", JASA 64:1303–1317 (1969), for the
    interval; Phipson & Smyth, Stat Appl Genet Mol Biol 9(1):39 (2010), for counting the observed pattern.
    """
    import numpy as np

    groups = len(totals)
    columns = np.stack([totals, sizes], axis=1)
    exact = groups < 63 and 2**groups <= draws
    if exact:
        numbers = np.arange(2**groups, dtype=np.uint64)[:, None]
        flipped = (numbers >> np.arange(groups, dtype=np.uint64)) & np.uint64(1)
        sums = flipped.astype(np.float64) @ columns
    else:
        generator = np.random.Generator(np.random.PCG64(seed))
        width = -(-groups // 8)
        rows = max(1, _CHUNK_VALUES // (8 * width))
        parts = [np.zeros((1, 2))]  # the observed pattern flips nothing
        for start in range(0, draws, rows):
            count = min(rows, draws - start)
            random_bytes = np.frombuffer(generator.bytes(count * width), dtype=np.uint8)
            bits = np.unpackbits(random_bytes.reshape(count, width), axis=1)[:, :groups]
            parts.append(bits.astype(np.float64) @ columns)
        sums = np.concatenate(parts)
    some = sums[:, 1] > 0
    means = sums[some, 0] / sums[some, 1]
    means[np.abs(means) < _ZERO] = 0.0
    means.sort()
    return SignFlips(means=means, empty=int((~some).sum()), exact=exact)
