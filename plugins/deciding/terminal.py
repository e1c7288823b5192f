"""What our plugin prints in pytest's terminal: header, progress of the fill, verdicts."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.engine.fill import FillReport, Progress
from harness.protocols import Checkpoint

from ..pytest_internals import stream_of, terminal_of, uncaptured
from ..session.margins import ignored_noise
from ..session.session import GateSession

if TYPE_CHECKING:
    from harness.runs.record import RunRecord

__all__ = ["filling", "header", "summarise"]

_WIDE = 160  # columns of a table that goes into a pipe or file
_COLOURS = {"PASS": "green", "REGRESSED": "red", "FAILED": "red", "INCONCLUSIVE": "yellow"}


def header(session: GateSession) -> list[str]:
    """Return the lines that say what is compared with what."""
    lines = [f"harness: {_named(checkpoint)}" for checkpoint in session.candidates]
    if session.baseline is not None:
        lines.append(f"harness: baseline {_named(session.baseline)}")
    elif session.settings.baseline is not None:
        lines.append(f"harness: baseline {session.settings.baseline}")
    else:
        lines.append("harness: no --baseline: gates that compare are INCONCLUSIVE")
    ignored = ignored_noise(session)
    return lines if ignored is None else [*lines, f"harness: {ignored}"]


def _named(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.spec} ({checkpoint.backend}, {checkpoint.fingerprint[:12]})"


@contextlib.contextmanager
def filling(config: pytest.Config, *, watched: bool) -> Iterator[Progress | None]:
    """Let through what is printed while responses are generated, and show how far that is.

    Args:
        config: Of the session.
        watched: Whether this process has a terminal of its own: a worker has none.
    """
    terminal = terminal_of(config) if watched else None
    with uncaptured(config), _watcher(terminal) as progress:
        yield progress


@dataclasses.dataclass
class _Watcher:
    """What watches a fill: bars where they can be seen, and one line on what holds it up."""

    show: Callable[[Checkpoint, int, int], None]
    say: Callable[[str], None]
    told: bool = False

    def answered(self, checkpoint: Checkpoint, done: int, wanted: int) -> None:
        """Show how far it is."""
        self.show(checkpoint, done, wanted)

    def waits_for(self, lock: Path) -> None:
        """Say what it waits for, once however many stages do."""
        if not self.told:
            self.say(f"harness: another session fills the cache; waiting for {lock}")
        self.told = True


@contextlib.contextmanager
def _watcher(terminalreporter: Any) -> Iterator[Progress | None]:
    """Show a progress bar per checkpoint; none where nobody sees it move, nothing without a terminal."""
    if terminalreporter is None:
        yield None
        return
    stream = stream_of(terminalreporter)
    if not terminalreporter.isatty or stream is None:

        def say(line: str) -> None:
            terminalreporter.write_line(line)
            terminalreporter.flush()  # into a pipe, it would be told when the waiting is over

        yield _Watcher(lambda checkpoint, done, wanted: None, say)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(file=stream, force_terminal=True)
    name = TextColumn("{task.description}", markup=False)  # a checkpoint's name is no markup
    with Bars(
        name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(checkpoint: Checkpoint, done: int, wanted: int) -> None:
            key = checkpoint.spec
            if key not in tasks:
                tasks[key] = bars.add_task(checkpoint.name)
            bars.update(tasks[key], completed=done, total=wanted)  # a later stage wants another number

        yield _Watcher(show, lambda line: console.print(line, markup=False, highlight=False))


def summarise(terminalreporter: Any, record: RunRecord, fill: FillReport, seconds: float) -> None:
    """Print the flips of what regressed, one line per gate, the table, and what else held."""
    from rich.console import Console

    from harness.gate.verdict import Status
    from harness.report.classes import classification_lines
    from harness.report.plain_text import harmless_lines, one_line
    from harness.report.terminal import (
        diagnostic_lines,
        flip_lines,
        release_lines,
        suggestions,
        verdict_lines,
        verdict_table,
    )

    write = terminalreporter.write_line
    terminalreporter.section("verdicts", sep="=")
    timing = f" in {seconds:.1f} s" if fill.generated and seconds else ""
    write(
        f"responses: {fill.wanted} wanted, {fill.reused} from the cache, {fill.generated} generated{timing}"
        + (f", {fill.failed} failed" if fill.failed else "")
    )
    for verdict in record.verdicts:
        if verdict.settlement is not None:
            whose = f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}"
            write(
                f"early stop: {whose}: settled after {verdict.planned} cases, "
                f"{verdict.not_needed} not needed: {verdict.settlement.rule}"
            )
    for line in classification_lines(record):
        write(line)
    for line in diagnostic_lines(record):
        write(line, yellow=True)
    regressed = [
        verdict for verdict in record.verdicts if verdict.status in (Status.REGRESSED, Status.FAILED)
    ]
    for line in flip_lines(dataclasses.replace(record, verdicts=tuple(regressed)), limit=3):
        write(line)
    for verdict, line in zip(record.verdicts, verdict_lines(record), strict=True):
        write(line, **{_COLOURS[verdict.status.value]: True})
    # A pipe has no width: leave nothing out. On a terminal the least needed columns go first.
    columns = terminalreporter.config.get_terminal_writer().fullwidth
    width = max(int(columns), 100) if terminalreporter.isatty else _WIDE
    console = Console(
        file=stream_of(terminalreporter) or io.StringIO(),  # it is captured; the stream says what it can show
        force_terminal=bool(terminalreporter.hasmarkup),
        no_color=not terminalreporter.hasmarkup,
        width=width,
    )
    if record.verdicts:
        write("")
        with console.capture() as table:
            console.print(verdict_table(record, width=width))
        terminalreporter.write(table.get())  # pytest spells out what the stream has no room for
        write("")
    for release, line in zip(record.releases, release_lines(record), strict=True):
        write(line, **{_COLOURS[release.status.value]: True})
    about = tuple(f"{release.checkpoint}: " for release in record.releases)
    for condition in record.conditions:
        if not condition.reason.startswith(about):
            write(f"also: {harmless_lines(condition.reason)}", yellow=True)
    for sentence in suggestions(record):
        write(f"next: {sentence}")
    if record.waived:
        write("INCONCLUSIVE is waived by --inconclusive=warn", yellow=True)
    write(f"run {record.run}: exit code {record.exit_code}")
