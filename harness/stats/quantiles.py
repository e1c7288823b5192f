"""Quantiles that intervals and powers are built from."""

from __future__ import annotations

from statistics import NormalDist

__all__ = ["normal_quantile", "student_quantile"]

_NORMAL = NormalDist()


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile of a probability in (0, 1)."""
    return _NORMAL.inv_cdf(probability)


def student_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t with `degrees` > 0 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
