"""The `harness` command: one small module per subcommand, imported when it is called."""

from __future__ import annotations

import io
import sys
import traceback
from typing import Any

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
from harness.exit_codes import ExitCode
from harness.report.narrow_text import PLAIN
from harness.report.plain_text import harmless_lines

__all__ = ["app", "main"]

_MISREAD: Any = typer.BadParameter.__base__
"""The usage error of click, wherever this version of typer has it from."""
_CTRL_C = 130
"""What typer makes of a KeyboardInterrupt."""

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
    """Run the command; an error of ours is a line on stderr, one for each problem, and its own exit code.

    A command line that cannot be read is a usage error, and a fault of this program an internal one: the
    codes of typer and Python for these, 2 and 1, say something else here.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)  # a log in ASCII has no room for `Δ`
    try:
        code = app(standalone_mode=False)
    except HarnessError as error:
        for line in problem_lines(error):
            typer.echo(f"harness: {harmless_lines(line)}", err=True)
        code = error.exit_code
    except _MISREAD as error:
        error.show()
        code = ExitCode.USAGE
    except Exception:
        traceback.print_exc()
        code = ExitCode.INTERNAL_ERROR
    sys.exit(int(ExitCode.INTERRUPTED if code == _CTRL_C else code or 0))
