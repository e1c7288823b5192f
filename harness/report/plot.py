"""The differences with their intervals, as SVG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import MissingDependencyError
from harness.gate.verdict import Status, Verdict
from harness.report.plain_text import one_line

__all__ = ["DARK", "LIGHT", "Palette", "delta_plot"]

_LONGEST = 48


@dataclass(frozen=True)
class Palette:
    """Colours of a plot, as hex strings."""

    text: str
    faint: str
    grid: str
    band: str
    statuses: dict[Status, str]


LIGHT = Palette(
    text="#1c2430",
    faint="#5b6675",
    grid="#d9dee6",
    band="#eef1f5",
    statuses={
        Status.PASS: "#15803d",
        Status.REGRESSED: "#c22f2f",
        Status.FAILED: "#c22f2f",
        Status.INCONCLUSIVE: "#a16207",
    },
)
DARK = Palette(
    text="#e6e9ee",
    faint="#98a3b3",
    grid="#333b47",
    band="#232a34",
    statuses={
        Status.PASS: "#4ade80",
        Status.REGRESSED: "#ff7b72",
        Status.FAILED: "#ff7b72",
        Status.INCONCLUSIVE: "#e3b341",
    },
)


def delta_plot(verdicts: Sequence[Verdict], palette: Palette) -> str | None:
    """Return an SVG of the mean differences in points with their intervals, one row per verdict.

    The shaded band is the margin; a mark's shape and colour say the verdict. None without a difference.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    compared = [verdict for verdict in verdicts if verdict.delta is not None and verdict.interval is not None]
    if not compared:
        return None
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("matplotlib", "plot") from None

    settings: Any = {"svg.fonttype": "path", "svg.hashsalt": "harness", "font.size": 10}
    stream = io.StringIO()
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks becomes a box, not an error
        figure = Figure(figsize=(9.2, 0.9 + 0.42 * len(compared)), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, compared, palette)
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def _draw(axes: Any, verdicts: Sequence[Verdict], palette: Palette) -> None:
    marks = {Status.PASS: "o", Status.REGRESSED: "s", Status.FAILED: "X", Status.INCONCLUSIVE: "D"}
    for row, verdict in enumerate(verdicts):
        assert verdict.delta is not None
        assert verdict.interval is not None
        low, high = (100 * bound for bound in verdict.interval)
        colour = palette.statuses[verdict.status]
        axes.fill_betweenx(
            [row - 0.42, row + 0.42], -100 * verdict.margin, 0, color=palette.band, lw=0, zorder=0
        )
        axes.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="round", zorder=3)
        axes.plot([100 * verdict.delta], [row], marks[verdict.status], color=colour, ms=7, zorder=4)
    axes.axvline(0, color=palette.faint, lw=1, zorder=2)
    axes.set_yticks(range(len(verdicts)))
    axes.set_yticklabels([_name(verdict) for verdict in verdicts], color=palette.text, parse_math=False)
    axes.set_ylim(len(verdicts) - 0.45, -0.55)
    axes.set_xlabel("Δ points against the baseline", color=palette.faint)
    axes.tick_params(axis="x", colors=palette.faint, length=0)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.grid(axis="x", color=palette.grid, lw=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name(verdict: Verdict) -> str:
    name = one_line(f"{verdict.suite} × {verdict.checkpoint}")
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
