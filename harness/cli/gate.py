"""`harness gate`: run pytest as a child process, and believe only a complete verdict that is its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO

import typer

from harness.engine.progress import ANSWERING
from harness.exit_codes import ExitCode

__all__ = ["gate", "run_gated"]

_RESULTS = typer.Option(None, "--harness-json", metavar="PATH", help="Write the results as JSON.")


def gate(
    context: typer.Context,
    model: str = typer.Option(..., "--model", help="Checkpoint to gate; a comma list gates several."),
    baseline: str | None = typer.Option(None, "--baseline", help="Checkpoint, or run:NAME, to compare with."),
    results: Path | None = _RESULTS,
) -> None:
    """Gate checkpoints in CI; further arguments go to pytest.

    The exit code is pytest's only when pytest left a complete verdict behind: a test that ends the process
    early, or a crash that exits with 0, cannot pass.
    """
    arguments = [f"--harness-model={model}", *([f"--harness-baseline={baseline}"] if baseline else [])]
    code, _ = run_gated([*arguments, *context.args], results=results)
    raise typer.Exit(code)


def run_gated(
    arguments: list[str], *, results: Path | None = None, aside: bool = False, log: Path | None = None
) -> tuple[int, Path | None]:
    """Run pytest with these arguments in a child process.

    Args:
        arguments: Command line of pytest.
        results: Where to leave the results; a temporary file by default, deleted at the end.
        aside: Send what pytest prints to stderr, for a command whose own output is the stdout.
        log: Write all that pytest prints to this file instead; how far the answers are goes to stderr, too.

    Returns:
        The exit code to believe, and the results file when it is one to believe and was asked for.
    """
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="harness-gate-") as folder:
        path = results or Path(folder) / "results.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            *arguments,
            f"--harness-json={path.resolve()}",
            f"--harness-nonce={nonce}",
        ]
        if log is not None:
            with log.open("wb") as stream:
                status = _run(command, copy_to=stream, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        else:
            status = _run(command, stdout=sys.stderr if aside else None)
        if status in (ExitCode.USAGE, ExitCode.NO_CASES, ExitCode.INTERRUPTED, ExitCode.INTERNAL_ERROR):
            return status, None
        problem = _distrust(path, nonce, status)
        if problem is not None:
            typer.echo(f"harness gate: {problem}; exit code {int(ExitCode.INTERNAL_ERROR)}", err=True)
            return int(ExitCode.INTERNAL_ERROR), None
        return status, results


def _run(command: list[str], *, copy_to: BinaryIO | None = None, **streams: Any) -> int:
    """Run a child to its end and return its exit code; what this process is told to stop by, it is told.

    Args:
        command: The child's command line.
        copy_to: Where what comes through the child's pipe is written; its lines on progress are shown.
        streams: As for `subprocess.Popen`.
    """
    with subprocess.Popen(command, **streams) as child:

        def hand_on(number: int, frame: object) -> None:
            if number == signal.SIGTERM or not _is_in_foreground():  # else the terminal has told it already
                child.send_signal(number)

        def wait() -> int:
            for line in child.stdout or ():
                assert copy_to is not None
                copy_to.write(line)
                if line.startswith(ANSWERING.encode("ascii")):
                    sys.stderr.write(line.decode("utf-8", "replace"))
                    sys.stderr.flush()
            return child.wait()

        told_by = (signal.SIGINT, signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread():
            return wait()
        before = [signal.signal(number, hand_on) for number in told_by]
        try:
            return wait()
        finally:
            for number, handler in zip(told_by, before, strict=True):
                signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Whether a terminal sends its signals to this process, and so to its children."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (AttributeError, OSError):  # no terminal, or another system
        return False


def _distrust(path: Path, nonce: str, status: int) -> str | None:
    """Say why a child's exit code is not to be believed, or None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"pytest exited with {status} and left no verdict behind"
    if not isinstance(record, dict) or record.get("nonce") != nonce:
        return "the verdict found is not of this session"
    if status == ExitCode.PASS and not (record.get("complete") or record.get("waived")):
        return "the verdict is incomplete"
    if record.get("exit_code") != status:
        return f"pytest exited with {status}, its verdict says {record.get('exit_code')}"
    return None
