"""Scores that measure: a value in [0, 1] that passes from a threshold on."""

from __future__ import annotations

from harness.cases import Outcome, Score

__all__ = ["graded"]


def graded(value: float, at_least: float, measure: str, answer: str | None = None, detail: str = "") -> Score:
    """Return the score of a measured value: it is kept either way, and passes from `at_least` on.

    Args:
        value: What was measured, in [0, 1]; a rounding error beyond either end is cut off.
        at_least: The least value that passes.
        measure: Its name, for the explanation.
        answer: What was compared.
        detail: Why it is not higher.
    """
    value = min(max(value, 0.0), 1.0) if -1e-9 < value < 1 + 1e-9 else value
    if value >= at_least - 1e-12:
        explanation = f"{measure} {value:.3g}" + (f": {detail}" if detail else "")
        return Score(value, Outcome.PASSED, answer, explanation)
    explanation = f"{measure} {value:.3g}, at least {at_least:g} is needed" + (
        f": {detail}" if detail else ""
    )
    return Score(value, Outcome.MISSED, answer, explanation)
