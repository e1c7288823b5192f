"""How numbers of a verdict are written, the same in every report."""

from __future__ import annotations

from harness.gate.verdict import Verdict, points

__all__ = ["drop", "excluded", "interval", "outcomes", "p_value", "p_values", "score_percent", "shape"]

NOTHING = "–"


def score_percent(value: float | None) -> str:
    """Return a mean score in percent with one decimal."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Return an interval of a difference in points."""
    return NOTHING if bounds is None else f"[{points(bounds[0])}, {points(bounds[1])}]"


def p_value(value: float | None) -> str:
    """Return a p-value to two digits, never as 0."""
    if value is None:
        return NOTHING
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def p_values(raw: float | None, adjusted: float | None) -> str:
    """Return a p-value and, in brackets, the same adjusted for the other questions of the session."""
    return p_value(raw) if adjusted is None else f"{p_value(raw)} ({p_value(adjusted)})"


def drop(value: float | None) -> str:
    """Return a minimum detectable drop in points."""
    return NOTHING if value is None else f"{100 * value:.1f}"


def excluded(verdict: Verdict) -> str:
    """Return the drop above which a true one is ruled out, such as `> 4.5`, where that is small enough."""
    if not verdict.is_drop_excluded or verdict.largest_drop_left is None:
        return NOTHING
    return f"> {100 * verdict.largest_drop_left:.1f}"


def shape(verdict: Verdict) -> str:
    """Return how many cases improved and worsened, such as `+3/−12`."""
    return f"+{verdict.improved}/−{verdict.worsened}" if verdict.is_compared else NOTHING


def outcomes(verdict: Verdict) -> str:
    """Return what cases are neither passed nor missed, such as `2 errors, 1 invalid`."""
    counts = (
        (verdict.errors, "error" if verdict.errors == 1 else "errors"),
        (verdict.invalid, "invalid"),
        (verdict.counts.skipped, "skipped"),
        (verdict.counts.missing, "missing"),
        (verdict.not_needed, "not needed"),
    )
    said = [f"{count} {word}" for count, word in counts if count]
    return ", ".join([*said, "partial"] if verdict.partial else said)
