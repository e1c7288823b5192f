"""The `harness` command: one small module per subcommand, imported when it is called."""

from __future__ import annotations

import sys

import typer

from harness import __version__
from harness.cli.baseline import app as baseline
from harness.cli.compare import compare
from harness.cli.gate import gate
from harness.cli.gates import gates
from harness.cli.golden import app as golden
from harness.cli.golden_cases import app as golden_cases
from harness.cli.init import init
from harness.cli.noise import noise
from harness.cli.select import select
from harness.cli.train import train
from harness.errors import HarnessError, problem_lines

__all__ = ["app", "main"]

app = typer.Typer(
    name="harness",
    help="Train LLM checkpoints, gate them, compare them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(train)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(gate)
app.command()(compare)
app.command()(gates)
app.command()(select)
app.command()(noise)
app.add_typer(baseline, name="baseline", help="Accept, list and show the runs that others are compared with.")
golden.registered_commands += golden_cases.registered_commands
app.add_typer(golden, name="golden", help="Write, import, test, lock, release and compare golden sets.")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command; an error of ours is a line on stderr, one for each problem, and its own exit code."""
    try:
        app()
    except HarnessError as error:
        for line in problem_lines(error):
            typer.echo(f"harness: {line}", err=True)
        sys.exit(error.exit_code)
