"""`harness gate`: run pytest as a child process, and believe only a complete verdict that is its own."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from harness.exit_codes import ExitCode

__all__ = ["gate", "run_gated"]


def gate(
    context: typer.Context,
    model: str = typer.Option(..., "--model", help="Checkpoint to gate; a comma list gates several."),
    baseline: str | None = typer.Option(None, "--baseline", help="Checkpoint, or run:NAME, to compare with."),
) -> None:
    """Gate checkpoints in CI; further arguments go to pytest.

    The exit code is pytest's only when pytest left a complete verdict behind: a test that ends the process
    early, or a crash that exits with 0, cannot pass.
    """
    arguments = [f"--harness-model={model}", *([f"--harness-baseline={baseline}"] if baseline else [])]
    code, _ = run_gated([*arguments, *context.args])
    raise typer.Exit(code)


def run_gated(
    arguments: list[str], *, results: Path | None = None, aside: bool = False, log: Path | None = None
) -> tuple[int, Path | None]:
    """Run pytest with these arguments in a child process.

    Args:
        arguments: Command line of pytest.
        results: Where to leave the results; a temporary file by default, deleted at the end.
        aside: Send what pytest prints to stderr, for a command whose own output is the stdout.
        log: Write all that pytest prints to this file instead.

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
        with contextlib.ExitStack() as stack:
            if log is not None:
                stream = stack.enter_context(log.open("wb"))
                done = subprocess.run(command, check=False, stdout=stream, stderr=subprocess.STDOUT)
            else:
                done = subprocess.run(command, check=False, stdout=sys.stderr if aside else None)
        status = done.returncode
        if status in (ExitCode.USAGE, ExitCode.NO_CASES, ExitCode.INTERRUPTED, ExitCode.INTERNAL_ERROR):
            return status, None
        problem = _distrust(path, nonce, status)
        if problem is not None:
            typer.echo(f"harness gate: {problem}; exit code {int(ExitCode.INTERNAL_ERROR)}", err=True)
            return int(ExitCode.INTERNAL_ERROR), None
        return status, results


def _distrust(path: Path, nonce: str, status: int) -> str | None:
    """Say why a child's exit code is not to be believed, or None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"pytest exited with {status} and left no verdict behind"
    if not isinstance(record, dict) or record.get("nonce") != nonce:
        return "the verdict found is not of this session"
    if not record.get("complete"):
        return "the verdict is incomplete"
    if record.get("exit_code") != status:
        return f"pytest exited with {status}, its verdict says {record.get('exit_code')}"
    return None
