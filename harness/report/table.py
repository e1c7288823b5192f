"""The table of verdicts for a terminal of any width: one row per suite × checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gate.verdict import Status, Verdict, points
from harness.report import figures
from harness.report.plain_text import one_line

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from harness.runs.record import RunRecord

__all__ = ["STYLES", "verdict_table"]

STYLES = {
    Status.PASS: "bold green",
    Status.REGRESSED: "bold red",
    Status.FAILED: "bold red",
    Status.INCONCLUSIVE: "bold yellow",
}
_NAMES = ("verdict", "suite", "tier", "checkpoint", "outcomes")
_STACKED = (
    ("verdict", ("verdict", "suite", "checkpoint", "tier", "outcomes")),
    ("n", ("n",)),
    ("score\nbase", ("score", "base")),
    ("Δ points\ninterval", ("Δ points", "interval")),
    ("p\n(adj.)", ("p", "adj.")),
    ("excludes\nflips", ("excludes", "flips")),
)
"""What shares a column on a narrow terminal, one value under the other: nothing is left out."""


def verdict_table(record: RunRecord, *, width: int | None = None) -> Table:
    """Return the table of verdicts: one row per suite × checkpoint.

    Args:
        record: The session.
        width: Columns of the terminal. Where a row does not fit, its values are stacked, and no value is
            left out. None lets it be as wide as it is.
    """
    from rich import box
    from rich.table import Table

    columns: dict[str, list[str]] = {}
    for verdict in record.verdicts:
        for heading, text in _cells(verdict).items():
            columns.setdefault(heading, []).append(text)
    for heading in ("outcomes", "tier"):
        if not any(columns.get(heading, ())):
            columns.pop(heading, None)
    is_stacked = width is not None and _needed(columns) > width
    if is_stacked:
        columns = _stacked(record)
    table = Table(
        box=box.SIMPLE if is_stacked else box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1),
        show_lines=is_stacked,
    )
    for heading in columns:
        is_name = heading in _NAMES
        table.add_column(
            heading, justify="left" if is_name else "right", overflow="fold", no_wrap=not is_name
        )
    for row, verdict in enumerate(record.verdicts):
        table.add_row(
            *(_styled(heading, cells[row], verdict, is_stacked) for heading, cells in columns.items())
        )
    return table


def _styled(heading: str, cell: str, verdict: Verdict, is_stacked: bool) -> Text:
    from rich.text import Text

    text = Text(cell)
    if heading == "verdict":
        text.stylize(STYLES[verdict.status], 0, len(verdict.status.value))
    fell = verdict.status is Status.REGRESSED and verdict.delta is not None and verdict.delta < 0
    if heading.startswith("Δ points") and fell:
        text.stylize("red", 0, len(cell.partition("\n")[0]) if is_stacked else None)
    return text


def _stacked(record: RunRecord) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {heading: [] for heading, _ in _STACKED}
    for verdict in record.verdicts:
        cells = _cells(verdict)
        cells["p"], cells["adj."] = figures.p_value(verdict.p_value), figures.p_value(verdict.adjusted_p)
        if verdict.adjusted_p is not None:
            cells["adj."] = f"({cells['adj.']})"
        cells["checkpoint"] = f"× {cells['checkpoint']}"
        for heading, values in _STACKED:
            columns[heading].append("\n".join(cells[value] for value in values if cells[value]))
    return columns


def _cells(verdict: Verdict) -> dict[str, str]:
    return {
        "verdict": verdict.status.value,
        "suite": one_line(verdict.suite),
        "tier": "" if verdict.gate.tier == "critical" else verdict.gate.tier,
        "checkpoint": one_line(verdict.checkpoint),
        "n": str(verdict.n),
        "score": figures.score_percent(verdict.mean),
        "base": figures.score_percent(verdict.baseline_mean),
        "Δ points": figures.NOTHING if verdict.delta is None else points(verdict.delta),
        "interval": figures.interval(verdict.interval),
        "p (adj.)": figures.p_values(verdict.p_value, verdict.adjusted_p),
        "excludes": figures.excluded(verdict),
        "flips": figures.shape(verdict),
        "outcomes": figures.outcomes(verdict),
    }


def _needed(columns: dict[str, list[str]]) -> int:
    """Return how wide a table of these columns is: each cell is padded by one, lines are two wide."""
    from rich.cells import cell_len

    return sum(max(map(cell_len, [heading, *cells])) + 3 for heading, cells in columns.items())
