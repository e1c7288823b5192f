"""What our plugin prints in pytest's terminal: header, progress of the fill, verdicts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from harness.engine.fill import Progress
from harness.protocols import Checkpoint
from harness.record import RunRecord
from harness.report.terminal import verdict_line, verdict_table

from .session import GateSession

__all__ = ["filling", "header", "summarise"]


def header(session: GateSession) -> list[str]:
    """Return the lines that say what is compared with what."""
    lines = [f"harness: {_named(checkpoint)}" for checkpoint in session.candidates]
    if session.baseline is not None:
        lines.append(f"harness: baseline {_named(session.baseline)}")
    elif session.settings.baseline is not None:
        lines.append(f"harness: baseline {session.settings.baseline}")
    else:
        lines.append("harness: no --baseline: gates that compare are INCONCLUSIVE")
    return lines


def _named(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.spec} ({checkpoint.backend}, {checkpoint.fingerprint[:12]})"


@contextlib.contextmanager
def filling(terminalreporter: Any) -> Iterator[Progress | None]:
    """Show a progress bar per checkpoint while responses are generated; nothing where nobody watches."""
    if terminalreporter is None or not terminalreporter.isatty:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(file=terminalreporter._tw._file, force_terminal=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(checkpoint: Checkpoint, done: int, wanted: int) -> None:
            key = checkpoint.fingerprint
            if key not in tasks:
                tasks[key] = bars.add_task(checkpoint.name, total=wanted)
            bars.update(tasks[key], completed=done)

        yield progress


def summarise(
    terminalreporter: Any, record: RunRecord, fill: tuple[int, int, int, int], seconds: float
) -> None:
    """Print one line per gate, the table, what held, and where the record is."""
    from rich.console import Console

    terminalreporter.section("verdicts", sep="=")
    wanted, reused, generated, failed = fill
    timing = f" in {seconds:.1f} s" if generated and seconds else ""
    terminalreporter.write_line(
        f"responses: {wanted} wanted, {reused} from the cache, {generated} generated{timing}"
        + (f", {failed} failed" if failed else "")
    )
    colours = {"PASS": "green", "REGRESSED": "red", "INCONCLUSIVE": "yellow"}
    for verdict in record.verdicts:
        terminalreporter.write_line(verdict_line(verdict), **{colours[verdict.status.value]: True})
    if record.verdicts:
        console = Console(
            file=terminalreporter._tw._file,
            force_terminal=bool(terminalreporter.hasmarkup),
            no_color=not terminalreporter.hasmarkup,
            width=max(int(terminalreporter._tw.fullwidth), 100),
        )
        console.print(verdict_table(record))
    said = {condition.reason for condition in record.conditions}
    shown = {f"{v.suite} × {v.checkpoint}: {v.status.value}" for v in record.verdicts}
    for reason in sorted(said):
        if not any(reason.startswith(prefix) for prefix in shown):
            terminalreporter.write_line(f"also: {reason}", yellow=True)
    if record.waived:
        terminalreporter.write_line("INCONCLUSIVE is waived by --inconclusive=warn: exit code 0", yellow=True)
    terminalreporter.write_line(f"run {record.run}: exit code {record.exit_code}")
