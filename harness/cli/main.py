"""The `harness` command: one small module per subcommand, imported when it is called."""

from __future__ import annotations

import errno
import io
import os
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
from harness.cli.nightly import nightly
from harness.cli.noise import noise
from harness.cli.runs import app as runs
from harness.cli.select import select
from harness.cli.show import show
from harness.cli.train import train
from harness.errors import HarnessError, MissingDependencyError, problem_lines
from harness.exit_codes import ExitCode
from harness.registry import extra_of
from harness.report.narrow_text import PLAIN
from harness.report.plain_text import harmless_lines

__all__ = ["app", "main"]

_MISREAD: Any = typer.BadParameter.__base__
"""The usage error of click, wherever this version of typer has it from."""
_SIGPIPE = 141
"""What a shell says of a program whose reader has gone."""
_MENDABLE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.ENAMETOOLONG,
)
"""What is wrong with a path that somebody typed; a full disk is none of it."""
_CTRL_C = 130
"""What typer makes of a KeyboardInterrupt."""

app = typer.Typer(
    name="harness",
    help="Train LLM checkpoints, gate them, compare them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # it takes [brackets] of a help text for markup, and drops them
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(train)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(gate)
app.command()(compare)
app.command()(gates)
app.command()(select)
app.command()(noise)
app.command()(nightly)
app.command()(show)
app.add_typer(runs, name="runs", help="List, show and delete the stored runs.")
app.add_typer(baseline, name="baseline", help="Accept, list and show the runs that others are compared with.")
golden.registered_commands += golden_cases.registered_commands
app.add_typer(golden, name="golden", help="Write, import, test, lock, release and compare golden sets.")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Train LLM checkpoints, gate them, compare them."""


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
    except SystemExit as stopped:
        if not isinstance(stopped.__context__, BrokenPipeError):  # typer makes of it an exit with 1
            raise
        _drop_output()
        code = _SIGPIPE
    except ModuleNotFoundError as error:
        extra = extra_of(error.name)
        if extra is None:
            traceback.print_exc()
            code = ExitCode.INTERNAL_ERROR
        else:
            missing = MissingDependencyError(str(error.name).partition(".")[0], extra)
            typer.echo(f"harness: {missing}", err=True)
            code = missing.exit_code
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        typer.echo(f"harness: {harmless_lines(place)}{error.strerror or error}", err=True)
        code = ExitCode.USAGE if error.errno in _MENDABLE else ExitCode.INTERNAL_ERROR
    except Exception:
        traceback.print_exc()
        code = ExitCode.INTERNAL_ERROR
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    sys.exit(int(ExitCode.INTERRUPTED if code == _CTRL_C else code or 0))


def _drop_output() -> None:
    """Send what is still to be printed nowhere: whoever read it has gone, and flushing would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
