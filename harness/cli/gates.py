"""`harness gates`: the effective policy of every suite and what it can see, before anything is run."""

from __future__ import annotations

import json as json_format
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from harness.cli.folders import STATE
from harness.errors import ConfigurationError
from harness.exit_codes import ExitCode
from harness.gate.policy_file import load_gate_file
from harness.project import find_root
from harness.registry import did_you_mean
from harness.report.plain_text import one_line
from harness.runs.power_table import GateRow, load_plan, overview
from harness.runs.selection_rule import describe_rule, named_suites, read_rule
from harness.runs.store import RunStore

__all__ = ["gates"]

_PATHS = typer.Argument(None, metavar="[PATHS]", help="Suites, as pytest takes them; all by default.")
_JSON = typer.Option(False, "--json", help="Print JSON.")


def gates(paths: list[str] | None = _PATHS, json: bool = _JSON, state: Path = STATE) -> None:
    """Show the policy that each suite is gated by, where it comes from, and the smallest drop it can see."""
    with tempfile.TemporaryDirectory(prefix="harness-gates-") as folder:
        plan = Path(folder) / "plan.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--harness-plan={plan}"]
        done = subprocess.run([*command, *(paths or [])], capture_output=True, text=True, check=False)
        if not plan.exists() or done.returncode not in (ExitCode.PASS, ExitCode.NO_CASES):
            lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            said = [line for line in lines if line.startswith(("ERROR", "E  "))] or lines[-5:]
            shown = "\n".join(line.removeprefix("ERROR: ") for line in said)
            raise ConfigurationError(f"the suites could not be collected:\n{shown}")
        planned = load_plan(plan.read_text(encoding="utf-8"))
    if not planned:
        raise ConfigurationError("no suite was collected: mark tests with @pytest.mark.suite('GOLDEN')")
    rows = overview(planned, RunStore(state))
    written = load_gate_file(find_root(Path.cwd()))
    rule = read_rule(written)  # what `harness select` would stumble over is said now
    if json:
        typer.echo(json_format.dumps([row.as_dict() for row in rows], indent=1, default=list))
        return
    _print(rows)
    if written.select is not None:
        known = {row.planned.suite for row in rows}
        typer.echo(f"\nselect: {describe_rule(rule)} from {written.path}:{written.select_line()}")
        for name in sorted(set(named_suites(rule)) - known):
            typer.echo(f"select: no suite {one_line(name)!r} here{did_you_mean(name, sorted(known))}")


def _print(rows: tuple[GateRow, ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.gate.verdict import percent
    from harness.report import figures

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for heading in ("suite", "golden set", "policy", "margin", "alpha", "floor", "must pass"):
        table.add_column(heading, overflow="fold")
    for heading in ("cases", "clusters", "detects"):
        table.add_column(heading, justify="right")
    for row in rows:
        one, gate = row.planned, row.planned.gate
        floor = figures.NOTHING if gate.min_score is None else percent(gate.min_score)
        margin = percent(gate.margin) if gate.needs_baseline else figures.NOTHING
        cells = (one_line(one.suite), one_line(one.golden), gate.policy, margin, f"{gate.alpha:g}", floor)
        counts = (str(one.must_pass), str(one.cases), str(one.clusters), figures.drop(row.detects))
        table.add_row(*map(Text, (*cells, *counts)))
    console.print(table)
    typer.echo()
    for row in rows:
        typer.echo(f"{one_line(row.planned.suite)}: detects: points of drop, {row.basis}")
        for name, source in row.planned.sources.items():
            if source != "default":
                value = getattr(row.planned.gate, name)
                typer.echo(f"{one_line(row.planned.suite)}: {name} = {value} from {one_line(source)}")
