"""`harness compare`: stored runs or checkpoints against the first of them, on the terminal and as pages."""

from __future__ import annotations

from pathlib import Path

import typer

from harness.cli.folders import STATE
from harness.cli.written import write_page
from harness.errors import UsageError
from harness.gate.policy_file import load_gate_file
from harness.project import find_root
from harness.runs.compare import compare_runs, find_side
from harness.runs.record import RunRecord
from harness.runs.store import RunStore

__all__ = ["compare"]

_BASELINE = typer.Argument(
    metavar="A", help="The baseline: a run (id, its beginning, run:NAME, …#CHECKPOINT) or a checkpoint."
)
_CANDIDATES = typer.Argument(
    None, metavar="[B…]", help="What is compared with it; nothing for a run that holds both sides."
)
_MARKDOWN = typer.Option(None, "--markdown", metavar="PATH|-", help="Write a Markdown page; - prints it.")
_HTML = typer.Option(None, "--html", metavar="PATH", help="Write a self-contained HTML page.")
_JSON = typer.Option(None, "--json", metavar="PATH|-", help="Write the whole record as JSON; - prints it.")
_CSV = typer.Option(None, "--csv", metavar="PATH|-", help="Write the cases as CSV; - prints them.")
_WIDE = 240
_LINE = 140
_ALLOW_SAME = typer.Option(False, "--allow-same", help="Compare the same weights with each other.")
_FLIPS = typer.Option(5, "--flips", min=0, help="Most flipped cases to print per verdict.")


def compare(
    baseline: str = _BASELINE,
    candidates: list[str] | None = _CANDIDATES,
    markdown: str | None = _MARKDOWN,
    html: Path | None = _HTML,
    json: str | None = _JSON,
    csv: str | None = _CSV,
    flips: int = _FLIPS,
    allow_same: bool = _ALLOW_SAME,
    state: Path = STATE,
) -> None:
    """Compare stored runs, or checkpoints, with A.

    Stored runs are compared by the results that they hold: no model is loaded. Checkpoints are run through
    the project's suites, with the response cache. A run alone is shown with its own baseline. The exit code
    is 0 when every candidate may ship, 1 when one regressed or failed, 10 when one is inconclusive.
    """
    if [markdown, json, csv].count("-") > 1:
        raise UsageError(
            "--markdown, --json and --csv would print into each other: write all but one to files"
        )
    store = RunStore(state)
    record = _compared(baseline, candidates, store, allow_same) if candidates else _alone(baseline, store)
    if markdown is not None:
        from harness.report.markdown import render_markdown

        write_page(markdown, render_markdown(record))
    if html is not None:
        from harness.report.html import render_page

        write_page(str(html), render_page(record))
    if json is not None:
        write_page(json, record.to_json() + "\n")
    if csv is not None:
        from harness.report.csv_table import render_csv

        write_page(csv, render_csv(record))
    if "-" not in (markdown, json, csv):
        _print(record, flips)
    raise typer.Exit(record.exit_code)


def _alone(run: str, store: RunStore) -> RunRecord:
    """Return a stored run that holds both sides, or say what is missing to compare."""
    side = find_side(run, store)
    if side is None:
        raise UsageError(f"{run} is no stored run: name what it is to be compared with, too")
    if not any(verdict.is_compared for verdict in side.record.verdicts):
        raise UsageError(f"run {side.record.run} holds no baseline: name what it is to be compared with, too")
    return side.record


def _compared(baseline: str, candidates: list[str], store: RunStore, allow_same: bool) -> RunRecord:
    base = find_side(baseline, store)
    sides = [find_side(candidate, store) for candidate in candidates]
    stored = [side for side in sides if side is not None]
    if base is not None and len(stored) == len(sides):
        policy = load_gate_file(find_root(Path.cwd())).release
        return compare_runs(base, stored, allow_same=allow_same, policy=policy)
    if stored:
        name = candidates[next(i for i, side in enumerate(sides) if side is not None)]
        raise UsageError(
            f"{name} is a stored run, and not everything else is: compare stored runs with each other, or "
            "checkpoints with a checkpoint or run"
        )
    from harness.cli.evaluate_checkpoints import evaluate_checkpoints

    named = baseline if base is None or baseline.startswith("run:") else f"run:{baseline}"
    return evaluate_checkpoints(candidates, baseline=named, allow_same=allow_same)


def _print(record: RunRecord, flips: int) -> None:
    from rich.console import Console

    from harness.report.classes import classification_lines
    from harness.report.table import verdict_table
    from harness.report.terminal import flip_lines, reason_lines, slice_lines, suggestions
    from harness.report.unscored import unscored_lines

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)  # a pipe has no width: leave nothing out
    width = min(console.width, _LINE)
    for line in (
        *unscored_lines(record, width=width),
        *(flip_lines(record, limit=flips, width=width) if flips else ()),
        *classification_lines(record),
        *slice_lines(record),
    ):
        typer.echo(line)
    for line in reason_lines(record, limit=10, width=300):
        console.print(line, markup=False)
    typer.echo()
    console.print(verdict_table(record, width=console.width))
    typer.echo()
    for sentence in suggestions(record):
        typer.echo(f"next: {sentence}")
