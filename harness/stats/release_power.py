"""What a release of these suites can show, before anything is run.

The rule of `release` on normal variables: a suite's total in standard deviations, with the spread that its
cases were seen to have. One set of draws, from a fixed seed, serves every question, so plans can be compared
to a hair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.stats.draws import standard_normals
from harness.stats.family import likelihood_ratio
from harness.stats.power import POWER, Spread
from harness.stats.quantiles import normal_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ReleasePlan", "SuitePlan"]

_DRAWS = 1 << 14
_SEED = 1
_BISECTIONS = 20  # to a millionth of a drop, far below what the draws can tell
_SAME = 1e-12


@dataclass(frozen=True)
class SuitePlan:
    """What is known of a suite before the run.

    Attributes:
        spread: How much single differences vary.
        baseline_mean: The baseline's mean score: no drop is larger.
        margin: The drop of the mean that is acceptable.
        share: Of alpha, relative to the other suites; above 0.
    """

    spread: Spread
    baseline_mean: float = 1.0
    margin: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class ReleasePlan:
    """The suites of one release.

    Attributes:
        suites: At least one.
        alpha: Chance that an unchanged candidate is blocked.
        correlation: Between the suites' totals, shape (k, k), where they share cases; None: independent.
    """

    suites: tuple[SuitePlan, ...]
    alpha: float
    correlation: NDArray[np.float64] | None = None

    def blocked(self, drops: Sequence[float]) -> float:
        """Return the chance of a block if the suites' means fall by `drops`, in [0, 1] each."""
        import numpy as np

        falls = np.array(drops, dtype=np.float64)
        square = np.array([suite.spread.under(fall) for suite, fall in zip(self.suites, drops, strict=True)])
        unit = np.sqrt(square / self._cases)  # of a standard deviation under flips, in points of the mean
        narrower = np.sqrt(np.maximum(square - falls**2, 0.0) / np.maximum(square, _SAME))
        z = self._noise * narrower + np.where(square > 0.0, falls / np.maximum(unit, _SAME), 0.0)
        seen = z * unit
        margins = np.array([suite.margin for suite in self.suites])
        weights = self._cases / self._cases.sum()
        critical = normal_quantile(1.0 - self.alpha)
        beyond = ((z >= critical) & (seen > margins + _SAME)).any(axis=1)
        if len(self.suites) == 1:
            return float(beyond.mean())
        beyond |= seen @ weights > float(margins @ weights) + _SAME
        return float((beyond & (self._ratios(z, unit) >= self._threshold)).mean())

    def detectable(self, suite: int | None = None, *, power: float = POWER) -> float | None:
        """Return the smallest drop that is blocked with probability `power`; None where none is.

        Args:
            suite: The only suite that falls, by position; None: all fall by as much, each at most by its
                baseline's mean.
            power: In (0, 1).
        """
        most = [plan.baseline_mean for plan in self.suites]

        def is_seen(drop: float) -> bool:
            if suite is None:
                drops = [min(drop, mean) for mean in most]
            else:
                drops = [drop if i == suite else 0.0 for i in range(len(most))]
            return self.blocked(drops) >= power

        low, high = 0.0, max(most) if suite is None else most[suite]
        if high <= 0.0 or not is_seen(high):
            return None
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if is_seen(middle) else (middle, high)
        return high

    @cached_property
    def _cases(self) -> NDArray[np.float64]:
        import numpy as np

        return np.array([suite.spread.effective for suite in self.suites])

    @cached_property
    def _noise(self) -> NDArray[np.float64]:
        """Standard normal variables with the plan's correlation, shape (draws, k)."""
        import numpy as np

        normal = standard_normals(np.random.PCG64(_SEED), (_DRAWS, len(self.suites)))
        if self.correlation is None:
            return normal
        root = np.linalg.cholesky(self.correlation + 1e-9 * np.eye(len(self.suites)))
        return np.asarray(normal @ root.T)

    @cached_property
    def _threshold(self) -> float:
        """The value of the statistic that an unchanged release exceeds with probability alpha."""
        import numpy as np

        square = np.array([suite.spread.square for suite in self.suites])
        ratios = self._ratios(self._noise, np.sqrt(square / self._cases))
        return float(np.quantile(ratios, 1.0 - self.alpha))

    def _ratios(self, z: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        deviations = unit * self._cases
        correlation = np.eye(len(deviations)) if self.correlation is None else self.correlation
        spread = math.sqrt(max(float(deviations @ correlation @ deviations), _SAME))
        shares = np.array([suite.share for suite in self.suites])
        return likelihood_ratio(z, z @ (deviations / spread), shares / shares.sum())
