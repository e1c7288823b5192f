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

__all__ = ["DARK", "LIGHT", "NARROW", "WIDE", "Palette", "Shape", "delta_plot"]


@dataclass(frozen=True)
class Shape:
    """How wide a plot is, in inches of 96 pixels, and whether names stand above their rows, not beside."""

    width: float
    longest_name: int
    names_above: bool


WIDE = Shape(9.2, 48, names_above=False)
NARROW = Shape(3.9, 44, names_above=True)


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
        Status.PASS: "#0b5ea8",
        Status.REGRESSED: "#a63a00",
        Status.FAILED: "#a63a00",
        Status.INCONCLUSIVE: "#6a5b00",
    },
)
DARK = Palette(
    text="#e6e9ee",
    faint="#98a3b3",
    grid="#333b47",
    band="#232a34",
    statuses={
        Status.PASS: "#79c0ff",
        Status.REGRESSED: "#ffa26b",
        Status.FAILED: "#ffa26b",
        Status.INCONCLUSIVE: "#e6cf4f",
    },
)


def delta_plot(verdicts: Sequence[Verdict], palette: Palette, shape: Shape = WIDE) -> str | None:
    """Return an SVG of the mean differences in points with their intervals, one row per verdict.

    The shaded band is the margin, the dotted line the drop that a PASS must rule out; a mark's shape and
    colour say the verdict. None without a difference.

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
        height = 0.9 + (0.62 if shape.names_above else 0.42) * len(compared)
        figure = Figure(figsize=(shape.width, height), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, compared, palette, shape)
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def _draw(axes: Any, verdicts: Sequence[Verdict], palette: Palette, shape: Shape) -> None:
    marks = {Status.PASS: "o", Status.REGRESSED: "s", Status.FAILED: "X", Status.INCONCLUSIVE: "D"}
    for row, verdict in enumerate(verdicts):
        assert verdict.delta is not None
        assert verdict.interval is not None
        low, high = (100 * bound for bound in verdict.interval)
        colour = palette.statuses[verdict.status]
        axes.fill_betweenx(
            [row - 0.42, row + 0.42], -100 * verdict.margin_here, 0, color=palette.band, lw=0, zorder=0
        )
        if verdict.rules_out is not None:
            edge = -100 * verdict.rules_out
            axes.plot([edge, edge], [row - 0.3, row + 0.3], color=palette.faint, lw=1.4, ls=":", zorder=1)
        axes.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="round", zorder=3)
        axes.plot([100 * verdict.delta], [row], marks[verdict.status], color=colour, ms=7, zorder=4)
    axes.axvline(0, color=palette.faint, lw=1, zorder=2)
    names = [_name(verdict, shape.longest_name) for verdict in verdicts]
    if shape.names_above:
        axes.set_yticks([])
        axes.set_ylim(len(verdicts) - 0.5, -0.8)
        for row, name in enumerate(names):
            axes.annotate(
                name,
                (0, row - 0.42),
                xycoords=("axes fraction", "data"),
                color=palette.text,
                fontsize=8.5,
                va="center",
                parse_math=False,
            )
    else:
        axes.set_yticks(range(len(verdicts)))
        axes.set_yticklabels(names, color=palette.text, parse_math=False)
        axes.set_ylim(len(verdicts) - 0.45, -0.55)
    axes.set_xlabel("Δ points against the baseline", color=palette.faint)
    axes.tick_params(axis="x", colors=palette.faint, length=0)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.grid(axis="x", color=palette.grid, lw=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name(verdict: Verdict, longest: int) -> str:
    name = one_line(f"{verdict.suite} × {verdict.checkpoint}")
    return name if len(name) <= longest else name[: longest - 1] + "…"
