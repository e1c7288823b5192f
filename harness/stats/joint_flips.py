"""Sign flips of several comparisons at once: what is flipped in one is flipped in all that share its units.

Suites that ask about the same cases, or whose cases come from the same documents, are not independent. If the
candidate is no different from the baseline, swapping the two sides of a unit changes nothing, whatever number
of suites the unit stands in. So the reference distribution of all suites together comes from one coin per
unit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.draws import data_seed, random_bytes, standard_normals
from harness.stats.flip_tail import effective_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PATTERNS_AT_ONCE", "JointFlips", "joint_flips", "unit_totals"]

PATTERNS_AT_ONCE = 1 << 12

_NORMAL_FROM = (
    100.0  # so many equal values' worth in each suite of a component, and their joint limit is used
)


@dataclass(frozen=True)
class _Component:
    """Suites that share units, and no unit with any other suite.

    Attributes:
        columns: Positions of the suites, shape (c,).
        rows: Sum of the differences of each unit that changed in each of the suites, shape (U, c).
    """

    columns: NDArray[np.intp]
    rows: NDArray[np.float64]

    @property
    def is_large(self) -> bool:
        """Whether the joint distribution over all patterns is taken to be normal."""
        return all(effective_count(column) >= _NORMAL_FROM for column in self.rows.T if column.any())


@dataclass(frozen=True)
class JointFlips:
    """The reference distribution of k comparisons.

    Attributes:
        deviations: Standard deviation of each suite's total over all patterns, shape (k,); 0 where nothing
            changed.
        covariance: Of the totals, shape (k, k).
        components: Suites by shared units.
    """

    deviations: NDArray[np.float64]
    covariance: NDArray[np.float64]
    components: tuple[_Component, ...]

    @property
    def units(self) -> int:
        """How many units changed anywhere."""
        return sum(len(component.rows) for component in self.components)

    def summed(self) -> NDArray[np.float64]:
        """Return what each unit that changed adds to all suites together, but for its sign, shape (U,)."""
        import numpy as np

        return np.concatenate([component.rows.sum(axis=1) for component in self.components])

    def every_pattern(self) -> NDArray[np.float64]:
        """Return the totals of every pattern in standard deviations, shape (2^units, k). For few units."""
        import numpy as np

        numbers = np.arange(1 << self.units, dtype=np.uint64)[:, None]
        signs = 2.0 * ((numbers >> np.arange(self.units, dtype=np.uint64)) & np.uint64(1)) - 1.0
        totals = np.zeros((len(signs), len(self.deviations)))
        start = 0
        for component in self.components:
            stop = start + len(component.rows)
            totals[:, component.columns] = signs[:, start:stop] @ component.rows
            start = stop
        return self._scaled(totals)

    def draws(self) -> Iterator[NDArray[np.float64]]:
        """Yield totals of random patterns in standard deviations, `PATTERNS_AT_ONCE` × k, without end.

        The patterns depend on the data alone: neither on a seed nor on the order of suites or units.
        """
        import numpy as np

        bits = np.random.PCG64(data_seed(*(component.rows for component in self.components)))
        samplers = [
            (
                component.columns,
                _normal_sampler(component.rows) if component.is_large else _flipper(component.rows),
            )
            for component in self.components
        ]
        while True:
            totals = np.zeros((PATTERNS_AT_ONCE, len(self.deviations)))
            for columns, sampler in samplers:
                totals[:, columns] = sampler(bits)
            yield self._scaled(totals)

    def _scaled(self, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        return totals / np.where(self.deviations > 0.0, self.deviations, 1.0)


def joint_flips(
    totals: Sequence[NDArray[np.float64]], units: Sequence[Sequence[Hashable] | None] | None = None
) -> JointFlips:
    """Prepare the joint flips of k comparisons.

    Args:
        totals: For each suite the sum of the differences of each of its units, shape (G,).
        units: For each suite the name of each of its units; equal names in two suites are one unit. None
            makes the units of a suite its own, or those of all suites.
    """
    import numpy as np

    named = [None] * len(totals) if units is None else list(units)
    # An order of the suites that the data give: it must not matter how they were listed.
    order = sorted(range(len(totals)), key=lambda suite: data_seed(np.sort(np.abs(totals[suite]))))
    components = []
    for members in _connected([named[suite] for suite in order]):
        columns = np.array([order[member] for member in members], dtype=np.intp)
        rows = _rows([totals[c] for c in columns], [named[c] for c in columns])
        if len(rows):
            components.append(_Component(columns, rows))
    count = len(totals)
    covariance = np.zeros((count, count))
    for component in components:
        covariance[np.ix_(component.columns, component.columns)] = component.rows.T @ component.rows
    return JointFlips(np.sqrt(np.diag(covariance)), covariance, tuple(components))


def unit_totals(
    values: Sequence[NDArray[np.float64]], units: Sequence[Sequence[Hashable] | None]
) -> NDArray[np.float64]:
    """Return the sum over all suites of the values of each unit, in order of first appearance, shape (U,)."""
    import numpy as np

    index: dict[Hashable, int] = {}
    codes = [
        index.setdefault(("own", suite, place) if names is None else ("named", names[place]), len(index))
        for suite, (numbers, names) in enumerate(zip(values, units, strict=True))
        for place in range(len(numbers))
    ]
    return np.bincount(codes, weights=np.concatenate(list(values)), minlength=len(index)).astype(np.float64)


def _connected(units: Sequence[Sequence[Hashable] | None]) -> list[list[int]]:
    """Group suites that share units, directly or by way of others; everything in rising order."""
    leader = list(range(len(units)))

    def find(suite: int) -> int:
        while leader[suite] != suite:
            suite = leader[suite]
        return suite

    first_seen: dict[Hashable, int] = {}
    for suite, names in enumerate(units):
        for name in dict.fromkeys(names or ()):
            one, other = sorted((find(first_seen.setdefault(name, suite)), find(suite)))
            leader[other] = one
    groups: dict[int, list[int]] = {}
    for suite in range(len(units)):
        groups.setdefault(find(suite), []).append(suite)
    return list(groups.values())


def _rows(
    totals: Sequence[NDArray[np.float64]], units: Sequence[Sequence[Hashable] | None]
) -> NDArray[np.float64]:
    """Return what each unit that changed adds to each suite, in an order that the data give, shape (U, c)."""
    import numpy as np

    if len(totals) == 1 and units[0] is None:
        rows = totals[0][:, None]
    else:
        index: dict[Hashable, int] = {}
        codes = [[index.setdefault(name, len(index)) for name in names or ()] for names in units]
        rows = np.zeros((len(index), len(totals)))
        for column, (values, places) in enumerate(zip(totals, codes, strict=True)):
            np.add.at(rows[:, column], places, values)
    rows = np.round(rows[(np.abs(rows) > 1e-12).any(axis=1)], 12) + 0.0
    # A unit and its mirror image are the same coin.
    leading = rows[np.arange(len(rows)), (rows != 0.0).argmax(axis=1)]
    rows = rows * np.where(leading < 0.0, -1.0, 1.0)[:, None] + 0.0
    return rows[np.lexsort(rows.T[::-1])]


def _flipper(rows: NDArray[np.float64]) -> Callable[[np.random.PCG64], NDArray[np.float64]]:
    """Return a sampler of totals under random signs: eight units at a time, looked up by a random byte."""
    import numpy as np

    blocks = -(-len(rows) // 8)
    padded = np.zeros((8 * blocks, rows.shape[1]))
    padded[: len(rows)] = rows
    signs = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) - 1.0
    tables = signs @ padded.reshape(blocks, 8, rows.shape[1])

    def sample(bits: np.random.PCG64) -> NDArray[np.float64]:
        totals = np.zeros((PATTERNS_AT_ONCE, rows.shape[1]))
        for table, pattern in zip(tables, random_bytes(bits, (blocks, PATTERNS_AT_ONCE)), strict=True):
            totals += table[pattern]
        return totals

    return sample


def _normal_sampler(rows: NDArray[np.float64]) -> Callable[[np.random.PCG64], NDArray[np.float64]]:
    """Return a sampler of their limit for many units."""
    import numpy as np

    covariance = rows.T @ rows
    # Suites that are copies of each other, and suites in which nothing changed, leave it singular.
    root = np.linalg.cholesky(covariance + 1e-10 * covariance.max() * np.eye(len(covariance)))

    def sample(bits: np.random.PCG64) -> NDArray[np.float64]:
        return np.asarray(standard_normals(bits, (PATTERNS_AT_ONCE, len(root))) @ root.T)

    return sample
