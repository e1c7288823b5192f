"""Variance reduction: what was known of a suite before the candidate answered a random part of it.

When only some cases of a suite are asked, chosen at random, a plain paired comparison throws away what the
baseline scored on the others and how earlier checkpoints did on all of them. The regression estimator uses
it: differences are predicted from what was known, the predictions are averaged over the *whole* suite, and
the cases that were asked correct them. An easy draw of cases no longer looks like a good checkpoint.

With every case asked the estimate is the plain mean difference: there is no draw left to correct. Only what
was fixed before the run may be used. The length of an answer, for one, is an effect of the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.clusters import Clusters, cluster_standard_error, group
from harness.stats.quantiles import student_quantile, student_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FEWEST_PER_COVARIATE", "Adjusted", "Sample", "adjusted_difference"]

FEWEST_PER_COVARIATE = 10
"""With fewer clusters per coefficient than this the regression costs more than it gives."""


@dataclass(frozen=True)
class Sample:
    """A random part of a suite, and what is known of all of it. N cases, n of them asked.

    Attributes:
        candidate: Scores on the cases asked, shape (n,).
        baseline: Scores on all cases, shape (N,), those asked first and in the same order.
        covariates: What else was known of all cases, shape (N, k); NaN where it was not.
        clusters: Cluster of each of the N cases; None makes each case its own.
    """

    candidate: NDArray[np.float64]
    baseline: NDArray[np.float64]
    covariates: NDArray[np.float64]
    clusters: Sequence[Hashable] | None = None


@dataclass(frozen=True)
class Adjusted:
    """The mean difference over a suite, estimated from a part of it.

    Attributes:
        delta: Estimate, in about [−1, 1].
        error: Its standard error.
        degrees: Degrees of freedom.
        reduction: Share of the plain difference's variance that is gone; negative where it grew.
    """

    delta: float
    error: float
    degrees: float
    reduction: float

    @property
    def p_value(self) -> float:
        """One-sided p for a drop."""
        return student_tail(-self.delta / self.error, self.degrees) if self.error > 0.0 else 1.0

    def bounds(self, level: float) -> tuple[float, float]:
        """Return (lower, upper) in [−1, 1], each one-sided at `level`."""
        reach = student_quantile(1.0 - level, self.degrees) * self.error
        return max(self.delta - reach, -1.0), min(self.delta + reach, 1.0)


def adjusted_difference(sample: Sample) -> Adjusted | None:
    """Return the regression estimate of the mean difference; None where there are too few clusters for it.

    Each difference is corrected by a regression fitted without its own cluster (cross-fitting by leaving one
    out), so that the estimate has no bias from the fit. The variance is the mean of two estimates. One is
    that of the corrected differences, or the same when the two sides of each case may be swapped, which is
    what "no drop" says, if that is larger. The other is what the baseline's scores on the whole suite let
    expect. The first alone is far too small when a candidate by chance gets nothing right.

    Source: Särndal, Swensson & Wretman, "Model Assisted Survey Sampling" (1992), ch. 6; with predictions
    of any kind, Angelopoulos et al., "Prediction-powered inference", Science 382:669–674 (2023).
    """
    import numpy as np

    n, everything = len(sample.candidate), len(sample.baseline)
    asked = None if sample.clusters is None else list(sample.clusters[:n])
    ours, theirs = sample.candidate, sample.baseline[:n]
    known = _columns(sample.covariates)
    design = np.column_stack([np.ones(everything), known, sample.baseline])
    grouped = group(np.ones(n), asked)
    groups, width = len(grouped), design.shape[1]
    differences = ours - theirs
    plain = cluster_standard_error(group(differences, asked))
    if plain is None or groups < FEWEST_PER_COVARIATE * width or n >= everything:
        return None
    centred = design - design.mean(axis=0)
    fits = _fits_without_own_cluster(design[:n], differences, asked)
    corrected = differences - (centred[:n] * fits).sum(axis=1)
    swapped_design = centred[:n].copy()
    swapped_design[:, -1] += ours - theirs
    swapped = -differences - (swapped_design * fits).sum(axis=1)

    share = n / everything
    slope = 1.0 + float(np.linalg.lstsq(design[:n], differences, rcond=None)[0][-1])
    others = design[:, :-1]
    left = sample.baseline - others @ np.linalg.lstsq(others, sample.baseline, rcond=None)[0]
    whole = cluster_standard_error(group(left, sample.clusters)) or 0.0
    expected = whole**2 / share * max(1.0 - slope**2, 0.0)
    own = cluster_standard_error(group(corrected, asked)) or 0.0
    pooled = _pooled_variance(group(corrected, asked), group(swapped, asked))
    totals = group(differences, asked).totals
    finite = max(plain**2, float(totals @ totals) / n**2)
    variance = (1.0 - share) * (max(own**2, pooled) + expected) / 2.0 + share * finite
    return Adjusted(
        delta=math.fsum(corrected) / n,
        error=math.sqrt(variance),
        degrees=float(groups - width),
        reduction=1.0 - variance / plain**2 if plain > 0.0 else 0.0,
    )


def _columns(covariates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return covariates without gaps and on one scale: an unknown value is the mean, and is flagged.

    Dates in seconds and lengths in characters would otherwise leave no digits for the scores beside them.
    """
    import numpy as np

    found = []
    for column in covariates.T:
        unknown = np.isnan(column)
        if unknown.all():
            continue
        values = np.where(unknown, float(column[~unknown].mean()), column)
        if float(np.ptp(values)) > 0.0:
            centred = values - values.mean()
            found.append(centred / np.abs(centred).max())
        if unknown.any():
            found.append(unknown.astype(np.float64))
    return np.column_stack(found) if found else np.empty((len(covariates), 0))


def _fits_without_own_cluster(
    design: NDArray[np.float64], values: NDArray[np.float64], clusters: Sequence[Hashable] | None
) -> NDArray[np.float64]:
    """Return for each row the coefficients of the regression without the row's cluster, shape (n, p)."""
    import numpy as np

    if clusters is None:
        codes = np.arange(len(design))
    else:
        index: dict[Hashable, int] = {}
        codes = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], dtype=np.intp)
    groups, width = int(codes.max()) + 1, design.shape[1]
    products = design[:, :, None] * design[:, None, :]
    gram = np.zeros((groups, width, width))
    moment = np.zeros((groups, width))
    np.add.at(gram, codes, products)
    np.add.at(moment, codes, design * values[:, None])
    ridge = 1e-9 * len(design) * np.eye(width)  # a covariate that is constant among the cases asked
    fits = np.linalg.solve(gram.sum(axis=0) - gram + ridge, (moment.sum(axis=0) - moment)[:, :, None])
    return np.asarray(fits[codes, :, 0], dtype=np.float64)


def _pooled_variance(one: Clusters, two: Clusters) -> float:
    """Return the variance of a mean whose cluster totals come from either with equal chance."""
    n, groups = float(one.sizes.sum()), len(one)
    mean = float(one.totals.sum() + two.totals.sum()) / (2.0 * n)
    residuals = [side.totals - side.sizes * mean for side in (one, two)]
    return sum(float(left @ left) for left in residuals) / 2.0 * groups / (groups - 1) / n**2
