"""Quantiles that intervals and powers are built from."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["normal_quantile", "normal_tail", "student_quantile", "student_tail"]

_NORMAL = NormalDist()


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile of a probability in (0, 1)."""
    return _NORMAL.inv_cdf(probability)


def normal_tail(value: float) -> float:
    """Return the probability that a standard normal variable exceeds `value`."""
    return 0.5 * math.erfc(value / math.sqrt(2.0))


def student_tail(value: float, degrees: float) -> float:
    """Return the probability that Student's t with `degrees` > 0 degrees of freedom exceeds `value`."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -value))


def student_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t with `degrees` > 0 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
