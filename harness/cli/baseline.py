"""`harness baseline`: accept, list and show the runs that others are compared with."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from harness.cli.folders import STATE
from harness.errors import StoreError
from harness.report.plain_text import one_line
from harness.runs.record import results_of
from harness.runs.run_environment import Environment
from harness.runs.store import AcceptedBaseline, RunStore

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_RUN = typer.Argument(metavar="RUN", help="Id of the run or its beginning; #CHECKPOINT picks a candidate.")
_NAME = typer.Option("main", "--name", help="Name of the baseline: --baseline=run:NAME compares with it.")
_BLOCKED_TOO = typer.Option(
    False, "--blocked-too", help="Even where a gate found the candidate REGRESSED or FAILED."
)
_FORCE = typer.Option(False, "--force", help="Even where CI is set.")


@app.command()
def accept(
    run: str = _RUN,
    name: str = _NAME,
    force: bool = _FORCE,
    blocked_too: bool = _BLOCKED_TOO,
    state: Path = STATE,
) -> None:
    """Make the candidate of a stored run the baseline of this name."""
    identity, _, checkpoint = run.partition("#")
    store = RunStore(state)
    accepted = store.accept(
        identity,
        name,
        checkpoint=checkpoint or None,
        ci=_is_set(os.environ.get("CI")),
        force=force,
        blocked_too=blocked_too,
    )
    whose = f"{one_line(accepted.checkpoint)} of run {accepted.run}"
    typer.echo(f"baseline {name}: {whose}, {len(accepted.cases)} cases")
    typer.echo(f"  compare with it:  pytest --model=CHECKPOINT --baseline=run:{name}")


@app.command("list")
def list_baselines(state: Path = STATE) -> None:
    """List the baselines, and the stored runs that could become one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    store, console = RunStore(state), Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("baseline", "run", "checkpoint", "accepted", "cases"):
        table.add_column(heading, overflow="fold")
    for name in store.baselines():
        try:
            found = store.baseline(name)
        except StoreError as problem:
            table.add_row(Text(name), Text(f"damaged: {problem}", style="red"))
            continue
        cells = (name, found.run, one_line(found.checkpoint), found.accepted, str(len(found.cases)))
        table.add_row(*map(Text, cells))
    if table.row_count:
        console.print(table)
    else:
        console.print("no baseline yet: accept a run with  harness baseline accept RUN", markup=False)
    runs = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "created", "exit", "verdicts"):
        runs.add_column(heading, overflow="fold")
    for summary in store.list():
        if summary.problem is not None:
            runs.add_row(Text(summary.run), Text("damaged", style="red"), "", Text(summary.problem))
            continue
        said = ", ".join(f"{suite} × {name} {status}" for (suite, name), status in summary.statuses.items())
        state_of = "" if summary.complete and not summary.partial else "  (partial)"
        runs.add_row(
            Text(summary.run), Text(summary.created), str(summary.exit_code), Text(one_line(said) + state_of)
        )
    if runs.row_count:
        console.print()
        console.print(runs)


@app.command()
def show(name: str = typer.Argument("main", metavar="[NAME]"), state: Path = STATE) -> None:
    """Show a baseline: where it comes from and how it scores."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = RunStore(state).baseline(name)
    console = Console(highlight=False)
    prints = (entry.fingerprint for entry in found.record.checkpoints if entry.spec == found.checkpoint)
    environment = found.record.environment
    commit = environment.git_commit if isinstance(environment, Environment) else None
    for field, value in (
        ("baseline", found.name),
        ("run", f"{found.run}, {found.record.created}"),
        ("checkpoint", found.checkpoint),
        ("fingerprint", next(prints, None)),
        ("accepted", found.accepted),
        ("commit", commit),
    ):
        if value:
            console.print(Text(f"{field + ':':<13}{one_line(str(value))}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in (("suite", "left"), ("golden set", "left"), ("cases", "right"), ("score", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    for suite, golden, scores in _means(found):
        table.add_row(
            Text(one_line(suite)),
            Text(one_line(golden)),
            str(len(scores)),
            f"{100 * sum(scores) / len(scores):.1f}",
        )
    console.print()
    console.print(table)


def _means(found: AcceptedBaseline) -> list[tuple[str, str, list[float]]]:
    scores: dict[tuple[str, str], list[float]] = {}
    for result in results_of(found.record, found.checkpoint):
        if result.score is not None:
            scores.setdefault((result.suite, result.golden), []).append(result.score)
    return [(suite, golden, values) for (suite, golden), values in sorted(scores.items())]


def _is_set(value: str | None) -> bool:
    """Whether a variable such as CI says yes: set, and not to a spelled-out no."""
    return value is not None and value.strip().lower() not in ("", "0", "false", "no", "off")
