"""The sign-flip permutation test over clusters, and the interval that comes from inverting it.

If the candidate is no different from the baseline, which of the two answers of a cluster came from whom is
a coin toss: flipping the sign of any cluster's differences is as likely as not. Test and interval come from
the same patterns, so they never contradict each other: a one-sided bound above 0 means p > level.

Patterns that tie with the observed one count half, as in McNemar's mid-p, which this test is for
right-or-wrong answers. With so few clusters that all patterns are enumerated ties count in full: the test is
exact there, and a single pattern weighs too much to be halved.

No seed decides: the p-value is computed (`flip_tail`), and the patterns that the interval is read from are
drawn from a seed that is a digest of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.stats.draws import data_seed, random_bytes
from harness.stats.flip_tail import ENUMERATED, effective_count, flip_p_value
from harness.stats.quantiles import normal_quantile, normal_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DRAWS", "MANY", "FlipTest", "LargeSampleFlips", "SignFlips", "sign_flips"]

DRAWS = 10_000
"""Random sign patterns for an interval; up to `ENUMERATED` clusters all patterns are looked at instead."""

MANY = 500
"""With more clusters than this, of which none stands out, the distribution over all patterns is normal."""

_ENOUGH_EQUALS = 100.0  # none stands out: they vary as much as this many equal ones

_DECIMALS = 12  # sums of floats that differ by less are equal


class FlipTest(Protocol):
    """A test of "no drop" by sign flips, and its inversion."""

    @property
    def p_value(self) -> float:
        """One-sided p for a drop."""

    @property
    def described(self) -> str:
        """How many patterns were looked at, in words."""

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (lower, upper) for the mean difference in [−1, 1], each one-sided at `level`."""


@dataclass(frozen=True)
class SignFlips:
    """The reference distribution of one comparison.

    A pattern's total is at most the observed one exactly when the mean difference of the flipped clusters
    is at least 0, and the same holds for a hypothesised difference δ in place of 0. These means are
    therefore all that the test and its inversion need.

    Attributes:
        means: Sorted mean differences of the cases in the flipped clusters, one per pattern that flips any.
        empty: Patterns that flip nothing; the observed one always counts as such.
        exact: Whether every pattern was enumerated.
        p_value: One-sided p for a drop, computed over all patterns: the share whose total is lower, and of
            ties as above. Where nothing changed there is no evidence, and the value is 1.
        p_rise: The same for a rise.
    """

    means: NDArray[np.float64]
    empty: int
    exact: bool
    p_value: float
    p_rise: float

    @property
    def patterns(self) -> int:
        """How many sign patterns there are."""
        return len(self.means) + self.empty

    @property
    def described(self) -> str:
        """How many patterns were looked at, in words."""
        return "every pattern" if self.exact else f"{self.patterns - 1:,} draws"

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (lower, upper) for the mean difference in [−1, 1], each one-sided at `level`.

        A bound is ±1 where the patterns are too few for the level: nothing is ruled out.
        """
        if self.exact:
            rank = int(level * self.patterns + 1e-9) + 1 - self.empty
            if rank <= 0 or not len(self.means):
                return -1.0, 1.0
            lower, upper = float(self.means[rank - 1]), float(self.means[-rank])
        else:
            lower = -_mid_quantile(-self.means[::-1], self.empty, level, self.p_rise)
            upper = _mid_quantile(self.means, self.empty, level, self.p_value)
        return max(lower, -1.0), min(upper, 1.0)


@dataclass(frozen=True)
class LargeSampleFlips:
    """The same for many clusters: over all patterns the total is normal with variance Σ total².

    Attributes:
        total: Sum of all differences.
        squares: Σ total², Σ total·size and Σ size² over clusters.
        n: Cases.
    """

    total: float
    squares: tuple[float, float, float]
    n: float

    @property
    def described(self) -> str:
        """How many patterns were looked at, in words."""
        return "normal limit over every pattern"

    @property
    def p_value(self) -> float:
        """One-sided p for a drop; 1 where nothing changed."""
        deviation = math.sqrt(self.squares[0])
        return normal_tail(-self.total / deviation) if deviation > 0.0 else 1.0

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (lower, upper) for the mean difference in [−1, 1], each one-sided at `level`.

        The values δ at which (total − δ·n)² = z² Σ (total_g − δ·size_g)².
        """
        z2 = normal_quantile(1.0 - level) ** 2
        values, mixed, sizes = self.squares
        a, b, c = (
            self.n**2 - z2 * sizes,
            self.total * self.n - z2 * mixed,
            self.total**2 - z2 * values,
        )
        if a <= 0.0:  # a few huge clusters among many small ones
            return -1.0, 1.0
        root = math.sqrt(max(b * b - a * c, 0.0))
        return max((b - root) / a, -1.0), min((b + root) / a, 1.0)


def sign_flips(totals: NDArray[np.float64], sizes: NDArray[np.float64], *, draws: int = DRAWS) -> FlipTest:
    """Flip the signs of clusters: all patterns of at most `ENUMERATED` clusters, else random ones.

    The result depends neither on the order of the clusters nor on which side is called the candidate,
    other than by its sign.

    Args:
        totals: Sum of the differences of each cluster, shape (G,).
        sizes: Cases in each cluster, shape (G,).
        draws: How many patterns to draw for the interval, the observed one not counted.

    Source: Hartigan, "Using subsample values as typical values", JASA 64:1303–1317 (1969), for the
    interval; Phipson & Smyth, Stat Appl Genet Mol Biol 9(1):39 (2010), for counting the observed pattern.
    """
    import numpy as np

    groups = len(totals)
    if groups > MANY and effective_count(totals) >= _ENOUGH_EQUALS:
        squares = (float(totals @ totals), float(totals @ sizes), float(sizes @ sizes))
        return LargeSampleFlips(math.fsum(totals), squares, float(sizes.sum()))
    columns = np.stack([totals, sizes], axis=1)
    exact = groups <= ENUMERATED
    mirrored = False
    if exact:
        numbers = np.arange(2**groups, dtype=np.uint64)[:, None]
        flipped = (numbers >> np.arange(groups, dtype=np.uint64)) & np.uint64(1)
        sums = flipped.astype(np.float64) @ columns
    else:
        columns, mirrored = _canonical(columns)
        sums = np.concatenate([np.zeros((1, 2)), _random_sums(columns, draws)])  # observed: no flip
    some = sums[:, 1] > 0
    means = np.round(sums[some, 0] / sums[some, 1], _DECIMALS)
    means.sort()
    if mirrored:
        means = -means[::-1]
    return SignFlips(
        means=means,
        empty=int((~some).sum()),
        exact=exact,
        p_value=flip_p_value(totals),
        p_rise=flip_p_value(-totals),
    )


def _canonical(columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Sort clusters and choose one of the two directions, so that neither decides who is flipped."""
    import numpy as np

    rounded = np.round(columns, _DECIMALS)
    order = np.lexsort((rounded[:, 1], rounded[:, 0]))
    negated = rounded * np.array([-1.0, 1.0])
    other = np.lexsort((negated[:, 1], negated[:, 0]))
    differs = np.flatnonzero((rounded[order] != negated[other]).any(axis=1))
    if len(differs):
        first = differs[0]
        if tuple(negated[other][first]) < tuple(rounded[order][first]):
            return columns[other] * np.array([-1.0, 1.0]), True
    return columns[order], False


def _random_sums(columns: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Return the sums over the flipped clusters of random patterns, shape (draws, 2).

    Eight clusters at a time: the 256 sums that they can have are looked up by a random byte.
    """
    import numpy as np

    groups = len(columns)
    blocks = -(-groups // 8)
    padded = np.zeros((8 * blocks, 2))
    padded[:groups] = columns
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64)
    tables = bits @ padded.reshape(blocks, 8, 2)
    seed = data_seed(columns / columns[:, 1].max())  # copies of every case choose the same patterns
    flipped = random_bytes(np.random.PCG64(seed), (blocks, draws))
    sums = np.zeros((draws, 2))
    for table, pattern in zip(tables, flipped, strict=True):
        sums += table[pattern]
    return sums


def _mid_quantile(means: NDArray[np.float64], empty: int, level: float, p_value: float) -> float:
    """Return where the mid-p of "the difference is at least δ" falls to `level`, linear between atoms.

    The computed p-value at δ = 0 is a point of the curve, and what was drawn on either side is held to it: so
    the bound lies above 0 exactly when p > level.
    """
    import numpy as np

    patterns = len(means) + empty
    atoms, counts = np.unique(means, return_counts=True)
    above = len(means) - np.cumsum(counts)
    shares = (above + (counts + empty) / 2.0) / patterns
    values = np.append(atoms, atoms[-1])  # beyond the last atom only the observed pattern is left
    shares = np.append(shares, empty / 2.0 / patterns)
    if atoms[0] <= 0.0 <= atoms[-1] and atoms[0] < atoms[-1]:
        at = int(values.searchsorted(0.0))
        if 0.0 not in atoms:
            values, shares = np.insert(values, at, 0.0), np.insert(shares, at, p_value)
        shares[at] = p_value
        shares[:at] = np.maximum(shares[:at], p_value)
        shares[at + 1 :] = np.minimum(shares[at + 1 :], p_value)
    if level < shares[-1]:
        return 1.0
    return float(np.interp(level, shares[::-1], values[::-1]))
