"""Quantiles that intervals and powers are built from."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["normal_quantile", "normal_tail", "student_quantile", "student_tail"]

_NORMAL = NormalDist()
_MANY_DEGREES, _FAR_OUT = 1_000.0, 1e-4  # beyond these a double shows no error of the expansion


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
    """Return the quantile of Student's t with `degrees` > 0 degrees of freedom.

    With a thousand degrees and more it is expanded around the normal quantile, to within 1e-12 of itself:
    importing scipy.special would take a twentieth of a session of ten thousand cases.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    """
    if degrees >= _MANY_DEGREES and _FAR_OUT <= probability <= 1.0 - _FAR_OUT:
        return _expanded(normal_quantile(probability), degrees)
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def _expanded(z: float, degrees: float) -> float:
    square = z * z
    terms = (
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0) / 92160.0,
    )
    return z * (1.0 + sum(term / degrees**power for power, term in enumerate(terms, 1)))
