"""Several samples per case: how they make one score, and how much of the noise more of them would take away.

The scores of a case vary because its answers are drawn (*within* the case), and differences vary from case to
case (*between*). More samples per case shrink the first part only; more cases shrink both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["REDUCTIONS", "Repeats", "reduce_samples", "split_variance"]

REDUCTIONS = ("mean", "all")
"""How the samples of a case make its score: their mean, or the worst of them (pass^k: all k must pass)."""


def reduce_samples(samples: tuple[float, ...], reduction: str) -> float:
    """Return the score of a case in [0, 1] from its samples, at least one."""
    return min(samples) if reduction == "all" else math.fsum(samples) / len(samples)


@dataclass(frozen=True)
class Repeats:
    """Where the variance of a paired difference comes from.

    Attributes:
        samples: Per case and side, at least 2.
        within: Variance of one case's difference that is due to drawing, with this many samples.
        between: Variance of the differences from case to case, beyond that.
    """

    samples: int
    within: float
    between: float

    @property
    def share_within(self) -> float:
        """Share of the variance that is due to drawing, in [0, 1]; 0 where nothing varies."""
        total = self.within + self.between
        return self.within / total if total > 0.0 else 0.0

    def cases_worth(self, samples: int) -> float:
        """Return by what factor cases would have to grow to do as much as `samples` per case instead."""
        changed = self.within * self.samples / samples + self.between
        return (self.within + self.between) / changed if changed > 0.0 else 1.0


def split_variance(candidate: NDArray[np.float64], baseline: NDArray[np.float64]) -> Repeats | None:
    """Split the variance of differences of case means into its parts.

    The part within cases is unbiased; the part between is what is left of the whole, never below 0.

    Args:
        candidate: Scores in [0, 1], shape (n, k): n cases, k samples each.
        baseline: The same of the baseline, drawn independently.

    Returns:
        None with fewer than 2 cases or 2 samples: one sample does not say how much the next would differ.

    Source: analysis of variance with one random effect, Searle, Casella & McCulloch, "Variance Components"
    (1992), ch. 3.
    """
    if len(candidate) < 2 or candidate.shape[1] < 2:
        return None
    samples = candidate.shape[1]
    own = candidate.var(axis=1, ddof=1) + baseline.var(axis=1, ddof=1)
    within = float(own.mean()) / samples
    whole = float((candidate.mean(axis=1) - baseline.mean(axis=1)).var(ddof=1))
    return Repeats(samples, within, max(whole - within, 0.0))
