"""`harness runs`: list, show and delete stored runs."""

from __future__ import annotations

from pathlib import Path

import typer

from harness.cli.folders import STATE
from harness.cli.show import read_run, show_run
from harness.report.plain_text import one_line
from harness.runs.store import RunStore, RunSummary

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_LIMIT = typer.Option(20, "--limit", min=0, metavar="N", help="The newest N; 0 lists all.")
_RUNS = typer.Argument(metavar="RUN…", help="Ids of the runs, or their beginnings.")


@app.command("list")
def list_runs(limit: int = _LIMIT, state: Path = STATE) -> None:
    """List the stored runs, the newest last."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    store = RunStore(state)
    summaries = store.list()
    if not summaries:
        typer.echo(f"no run in {store.path / 'runs'}: gate a checkpoint with  pytest --model=CHECKPOINT")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "created", "exit", "verdicts"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("run", "created"))
    for summary in summaries[-limit:] if limit else summaries:
        table.add_row(*map(Text, _cells(summary)))
    console.print(table)
    if limit and len(summaries) > limit:
        typer.echo(f"… and {len(summaries) - limit} older: --limit 0 lists all")


@app.command()
def show(run: str = typer.Argument(metavar="RUN"), state: Path = STATE) -> None:
    """Show what a run was, its verdicts, and why; `harness show` lists its cases, too."""
    show_run(read_run(run, RunStore(state)))


@app.command()
def delete(runs: list[str] = _RUNS, state: Path = STATE) -> None:
    """Delete stored runs; one that is a baseline stays."""
    store = RunStore(state)
    for run in [store.find(run) for run in runs]:  # nothing goes unless all of them are there
        store.delete(run)
        typer.echo(f"deleted {run}")


def _cells(summary: RunSummary) -> tuple[str, str, str, str]:
    if summary.problem is not None:
        return summary.run, "damaged", "", one_line(summary.problem)
    verdicts = ", ".join(
        f"{one_line(suite)} × {one_line(checkpoint)} {status}"
        for (suite, checkpoint), status in summary.statuses.items()
    )
    state = "" if summary.complete and not summary.partial else "  (partial)"
    return summary.run, summary.created, str(summary.exit_code), (verdicts or "no verdict") + state
