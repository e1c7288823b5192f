"""Accuracy, precision, recall and F1 of a confusion table, with intervals by bootstrap over clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stats.binary import exact_proportion_bound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MEASURES", "Rate", "class_rates", "rate_intervals", "whole_rates"]

MEASURES = ("precision", "recall", "f1")
_DRAWS = 2000
_CHUNK = 4_000_000  # cells of resampled tables that are held at once


@dataclass(frozen=True)
class Rate:
    """A share in [0, 1] and its two-sided interval; None where nothing says how sure it is."""

    value: float
    interval: tuple[float, float] | None = None


def class_rates(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return precision, recall and F1 of each class, shape (…, 3, K).

    Args:
        tables: Counts by gold class and given class, shape (…, K, K+1); the last column counts answers that
            give no class. They lower recall and no precision.

    Precision of a class that is never given is 0, and so is recall of one that is never there; all three
    are NaN for a class that is neither.
    """
    import numpy as np

    right = np.diagonal(tables, axis1=-2, axis2=-1)
    gold, given = tables.sum(axis=-1), tables[..., :-1].sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * right / (gold + given)
        precision = np.where(given > 0, right / given, np.where(gold > 0, 0.0, np.nan))
        recall = np.where(gold > 0, right / gold, np.where(given > 0, 0.0, np.nan))
    return np.stack([precision, recall, f1], axis=-2)


def whole_rates(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return accuracy, then macro and micro precision, recall and F1, shape (…, 7).

    Macro: the mean over the classes that are there or given. Micro: of all answers together; its recall is
    the accuracy, its precision leaves out answers that give no class.
    """
    import numpy as np

    each = class_rates(tables)
    known = ~np.isnan(each)
    macro = np.where(known, each, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    right = np.diagonal(tables, axis1=-2, axis2=-1).sum(axis=-1)
    total, given = tables.sum(axis=(-2, -1)), tables[..., :-1].sum(axis=(-2, -1))
    recall = right / np.maximum(total, 1)
    precision = right / np.maximum(given, 1)
    f1 = 2 * right / np.maximum(total + given, 1)
    return np.concatenate([recall[..., None], macro, np.stack([precision, recall, f1], axis=-1)], axis=-1)


def rate_intervals(
    tables: NDArray[np.float64], *, alpha: float = 0.05, seed: int = 0
) -> tuple[list[Rate], list[list[Rate]]]:
    """Return the rates of the summed tables, each with its two-sided interval at 1 − alpha.

    Args:
        tables: One table per cluster, shape (G, K, K+1).
        alpha: Share of intervals that miss.
        seed: Of the resampling.

    Returns:
        The seven of `whole_rates`, and for each of `MEASURES` one per class.

    Percentile bootstrap over clusters (Efron 1979; Field & Welsh 2007), 2,000 draws. Where resampling shows
    no spread (all right, all wrong), Clopper–Pearson over the clusters that have the class is given instead:
    ten right answers of ten are no proof of 100 %. With fewer than two clusters there is no interval.
    """
    import numpy as np

    groups, classes = tables.shape[0], tables.shape[1]
    total = tables.sum(axis=0)
    whole, each = whole_rates(total), class_rates(total)
    if groups < 2:
        return [Rate(float(v)) for v in whole], [[Rate(float(v)) for v in row] for row in each]
    rng = np.random.default_rng(seed)
    flat = tables.reshape(groups, -1)
    chunk = max(1, _CHUNK // flat.shape[1])
    drawn_whole, drawn_each = [], []
    for start in range(0, _DRAWS, chunk):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=min(chunk, _DRAWS - start))
        drawn = (weights.astype(np.float64) @ flat).reshape(-1, classes, classes + 1)
        drawn_whole.append(whole_rates(drawn))
        drawn_each.append(class_rates(drawn))
    every, singles = np.concatenate(drawn_whole), np.concatenate(drawn_each)
    holds = ((tables.sum(axis=2) + tables[:, :, :-1].sum(axis=1)) > 0).sum(axis=0)  # clusters with the class
    found = [_rate(float(whole[i]), every[:, i], groups, alpha) for i in range(len(whole))]
    return found, [
        [_rate(float(each[m, k]), singles[:, m, k], int(holds[k]), alpha) for k in range(classes)]
        for m in range(len(MEASURES))
    ]


def _rate(value: float, draws: NDArray[np.float64], groups: int, alpha: float) -> Rate:
    import numpy as np

    draws = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(draws):
        return Rate(value)
    low, high = (float(bound) for bound in np.quantile(draws, [alpha / 2, 1 - alpha / 2]))
    if high - low < 1e-12:
        exact = exact_proportion_bound(value * groups, groups, level=alpha / 2)
        low, high = min(low, exact[0]), max(high, exact[1])
    return Rate(value, (min(low, value), max(high, value)))
