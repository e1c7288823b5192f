"""Verdicts for people at a terminal, and lines for `grep`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gate.diagnostics import describe_diagnostic
from harness.gate.verdict import Status, Verdict, points
from harness.report import figures
from harness.report.flips import Flip, flips
from harness.report.plain_text import one_line, shorten

if TYPE_CHECKING:
    from rich.table import Table

    from harness.runs.record import RunRecord

__all__ = [
    "STYLES",
    "diagnostic_lines",
    "flip_lines",
    "release_lines",
    "slice_lines",
    "suggestions",
    "verdict_lines",
    "verdict_table",
]

STYLES = {
    Status.PASS: "bold green",
    Status.REGRESSED: "bold red",
    Status.FAILED: "bold red",
    Status.INCONCLUSIVE: "bold yellow",
}


_DROPPED_FIRST = ("tier", "p (adj.)", "base", "n", "outcomes", "interval", "score")
"""Columns that a narrow terminal goes without, in this order; nothing is lost, the lines have it all."""


def verdict_table(record: RunRecord, *, width: int | None = None) -> Table:
    """Return the table of verdicts: one row per suite × checkpoint.

    Args:
        record: The session.
        width: Columns of the terminal; what does not fit is left out, the least needed first. None
            leaves nothing out.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns: dict[str, list[str]] = {}
    for verdict in record.verdicts:
        for heading, text in _cells(verdict).items():
            columns.setdefault(heading, []).append(text)
    for heading in ("outcomes", "tier"):
        if not any(columns.get(heading, ())):
            columns.pop(heading, None)
    for heading in _DROPPED_FIRST if width is not None else ():
        if _needed(columns) > (width or 0):
            columns.pop(heading, None)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for heading in columns:
        is_name = heading in ("verdict", "suite", "tier", "checkpoint", "outcomes")
        table.add_column(
            heading, justify="left" if is_name else "right", overflow="fold", no_wrap=not is_name
        )
    for row, verdict in enumerate(record.verdicts):
        styles = {"verdict": STYLES[verdict.status]}
        if verdict.status is Status.REGRESSED and verdict.delta is not None and verdict.delta < 0:
            styles["Δ points"] = "red"
        table.add_row(*(Text(cells[row], style=styles.get(name, "")) for name, cells in columns.items()))
    return table


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


def verdict_lines(record: RunRecord) -> list[str]:
    """Return one line per verdict in `key=value` form after its status, for `grep` and logs.

    Scores are shares and differences in points, in ASCII, so that other programs can read them.
    """
    lines = []
    for verdict in record.verdicts:
        fields = [
            f"{verdict.status.value:<12}",
            f"suite={_word(verdict.suite)}",
            f"checkpoint={_word(verdict.checkpoint)}",
            f"baseline={_word(verdict.baseline or 'none')}",
            f"n={verdict.n}",
        ]
        if verdict.mean is not None:
            fields.append(f"mean={verdict.mean:.4f}")
        if verdict.baseline_mean is not None and verdict.delta is not None:
            fields.append(f"baseline_mean={verdict.baseline_mean:.4f}")
            fields.append(f"delta={verdict.delta:+.4f}")
        if verdict.interval is not None:
            fields.append(f"interval=[{verdict.interval[0]:+.4f},{verdict.interval[1]:+.4f}]")
        if verdict.p_value is not None:
            fields.append(f"p={verdict.p_value:.4g}")
        if verdict.adjusted_p is not None:
            fields.append(f"p_adjusted={verdict.adjusted_p:.4g}")
        if verdict.adjusted_delta is not None:
            fields.append(f"adjusted_delta={verdict.adjusted_delta:+.4f}")
        if verdict.noise.share_within is not None:
            fields.append(f"samples={verdict.noise.samples} share_within={verdict.noise.share_within:.2f}")
        if verdict.is_drop_excluded and verdict.largest_drop_left is not None:
            fields.append(f"excludes={verdict.largest_drop_left:.4f}")
        if verdict.gate.tier != "critical":
            fields.append(f"tier={verdict.gate.tier}")
        if verdict.is_compared:
            fields.append(f"flips=+{verdict.improved}/-{verdict.worsened}")
        fields.append(f"invalid={verdict.invalid}")
        fields.append(f"errors={verdict.errors}")
        if verdict.partial:
            fields.append("partial")
        if verdict.not_needed:
            fields.append(f"not_needed={verdict.not_needed}")
        if verdict.reasons:
            fields.append(f"reason={shorten(verdict.reasons[0], 300)}")
        lines.append(" ".join(fields))
    return lines


def release_lines(record: RunRecord) -> list[str]:
    """Return one line per candidate: whether it may ship, and why."""
    lines = []
    for release in record.releases:
        why = "; ".join(shorten(reason, 200) for reason in release.reasons[:3])
        more = f"; and {len(release.reasons) - 3} more" if len(release.reasons) > 3 else ""
        lines.append(f"release {one_line(release.checkpoint)}: {release.status.value}: {why}{more}")
    return lines


def flip_lines(record: RunRecord, *, limit: int = 5, width: int = 100) -> list[str]:
    """Return the flips of each verdict with both outputs, shortened; worsened cases first.

    Args:
        record: The session.
        limit: Most flips per verdict; the rest is counted.
        width: Most characters of an output.
    """
    lines: list[str] = []
    for verdict in record.verdicts:
        found = flips(record, verdict)
        if not found:
            continue
        worse = sum(flip.worsened for flip in found)
        head = f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}"
        lines.append(f"{head}: {worse} worsened, {len(found) - worse} improved")
        for flip in found[:limit]:
            lines.extend(_flip(flip, verdict, width))
        if len(found) > limit:
            lines.append(f"  … and {len(found) - limit} more (all of them: --harness-json, harness compare)")
    return lines


def slice_lines(record: RunRecord) -> list[str]:
    """Return one line for each slice whose drop stands out."""
    return [
        f"slice {one_line(one.tag)} of {one_line(one.suite)} × {one_line(one.checkpoint)} fell: "
        f"{points(one.delta)} points, interval {figures.interval(one.interval)}, "
        f"p = {figures.p_values(one.p_value, one.adjusted_p)}, n = {one.n}"
        for one in record.slices
        if one.warns
    ]


def diagnostic_lines(record: RunRecord) -> list[str]:
    """Return one line for each property of the answers that stands out."""
    return [
        f"{one_line(one.suite)} × {one_line(one.checkpoint)}: {one.name}: {describe_diagnostic(one)}"
        for one in record.diagnostics
        if one.warns
    ]


def suggestions(record: RunRecord) -> list[str]:
    """Return what to do next, one sentence each; empty when there is nothing to do."""
    found: list[str] = []
    for verdict in record.verdicts:
        where = f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}"
        if verdict.errors:
            found.append(f"{where}: {verdict.errors} cases ended in error; run again: finished ones are kept")
        if verdict.cases_needed is not None:
            found.append(
                f"{where}: about {verdict.cases_needed:,} cases would settle it, there are {verdict.n}"
            )
        if verdict.gate.needs_baseline and verdict.baseline is None:
            found.append(f"{where}: name a baseline with --baseline")
    if record.partial:
        found.append("only a part of the cases was selected: run without -k, --lf and --limit for a verdict")
    return list(dict.fromkeys(found))


def _flip(flip: Flip, verdict: Verdict, width: int) -> list[str]:
    sign = "−" if flip.worsened else "+"
    case = flip.candidate
    change = f"{figures.score_percent(flip.baseline.score)} → {figures.score_percent(case.score)}"
    lines = [f"  {sign} {one_line(case.case_id)}  {change}  {shorten(case.input, width)}"]
    sides = ((verdict.baseline or "baseline", flip.baseline), (verdict.checkpoint, case))
    name_width = max(len(one_line(name)) for name, _ in sides)
    for name, result in sides:
        output = shorten(result.outputs[0], width) if result.outputs else ""
        lines.append(f"      {one_line(name):<{name_width}}  {output or '(no output)'}")
    if case.explanation and flip.worsened:
        lines.append(f"      {'why':<{name_width}}  {shorten(case.explanation, width)}")
    return lines


def _word(text: str) -> str:
    """Return a value without spaces, so that `key=value` can be split."""
    return one_line(text).replace(" ", "_")
