"""Many questions at once: adjusted p-values."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given.

    Rejecting where the adjusted p ≤ α keeps the chance of any false rejection at most α, whatever the
    dependence. Source: Holm, Scandinavian Journal of Statistics 6:65–70 (1979).
    """
    count = len(p_values)
    adjusted = [0.0] * count
    highest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return Benjamini–Hochberg adjusted p-values, in the order given.

    Flagging where the adjusted p ≤ q keeps the expected share of false flags at most q for independent or
    positively dependent tests. Source: Benjamini & Hochberg, JRSS B 57:289–300 (1995).
    """
    count = len(p_values)
    adjusted = [0.0] * count
    lowest = 1.0
    order = sorted(range(count), key=lambda i: p_values[i])
    for rank in range(count, 0, -1):
        index = order[rank - 1]
        lowest = min(lowest, p_values[index] * count / rank)
        adjusted[index] = lowest
    return adjusted
