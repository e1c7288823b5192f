"""What our plugin prints in pytest's terminal: header, progress of the fill, verdicts."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.engine.fill import FillReport, Progress
from harness.protocols import Checkpoint
from harness.report.narrow_text import in_encoding

from ..pytest_internals import stream_of, terminal_of, uncaptured
from ..session.margins import ignored_noise
from ..session.session import GateSession

if TYPE_CHECKING:
    from harness.runs.record import RunRecord

__all__ = ["filling", "header", "summarise"]

_WIDE = 160  # columns of a table that goes into a pipe or file
_LOG_LINE = 140  # characters of an answer's line there
_NARROWEST = 72  # below it, names would be broken into syllables
_FLIPS = 3
_HANGING = "    "
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
    lines += [f"harness: {line}" for line in session.selection.describe()]
    ignored = ignored_noise(session)
    return lines if ignored is None else [*lines, f"harness: {ignored}"]


def _named(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.spec} ({checkpoint.backend}, {checkpoint.fingerprint[:12]})"


@contextlib.contextmanager
def filling(config: pytest.Config, *, watched: bool) -> Iterator[Progress]:
    """Let through what is printed while responses are generated, and show how far that is.

    Args:
        config: Of the session.
        watched: Whether this process has a terminal of its own: a worker has none, and writes to stderr.
    """
    terminal = terminal_of(config) if watched else None
    with uncaptured(config), _watcher(terminal) as progress:
        yield progress


@contextlib.contextmanager
def _watcher(terminalreporter: Any) -> Iterator[Progress]:
    """Show bars where they can be seen moving, and lines now and then elsewhere."""
    from harness.engine.progress import show_bars, tell_lines

    stream = None if terminalreporter is None else stream_of(terminalreporter)
    if stream is not None and terminalreporter.isatty:
        with show_bars(stream) as progress:
            yield progress
        return

    def say(line: str) -> None:
        if terminalreporter is None:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        else:
            terminalreporter.write_line(line)
            terminalreporter.flush()  # into a pipe, it would be told when the waiting is over

    with tell_lines(say, is_worker=terminalreporter is None) as progress:
        yield progress


def summarise(
    terminalreporter: Any, record: RunRecord, fill: FillReport, seconds: float, page: Path | None = None
) -> None:
    """Print what changed and what could not be scored, the table with its reasons, and what else held."""
    from harness.report.classes import classification_lines
    from harness.report.plain_text import harmless_lines, one_line
    from harness.report.terminal import (
        diagnostic_lines,
        flip_lines,
        reason_lines,
        release_lines,
        suggestions,
        verdict_lines,
    )
    from harness.report.unscored import unscored_lines

    width = _width(terminalreporter)
    write = _writer(terminalreporter, width)
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
    for line in unscored_lines(record, width=width or _LOG_LINE):
        write(line)
    for line in flip_lines(record, limit=_FLIPS, width=width or _LOG_LINE):
        write(line)
    if width is None:  # a log is searched: each verdict is a line of its own
        for verdict, line in zip(record.verdicts, verdict_lines(record), strict=True):
            write(line, **{_COLOURS[verdict.status.value]: True})
    if record.verdicts:
        write("")
        terminalreporter.write(_table(terminalreporter, record, width))
        write("")
    if width is not None:
        for line in reason_lines(record):
            write(line)
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
    if record.cases:
        shown = "" if page is None else f", or {_from_here(page)}"
        write(f"read every case: harness show {record.run}{shown}")
    write(f"run {record.run}: exit code {record.exit_code}")


def _from_here(path: Path) -> str:
    """Return a path as short as it can be said: on another drive, and in no directory, as it is."""
    try:
        return os.path.relpath(path)
    except (ValueError, OSError):
        return str(path)


def _width(terminalreporter: Any) -> int | None:
    """Return how wide what is read here may be; None for a pipe or file, which has no width of its own."""
    columns = int(terminalreporter.config.get_terminal_writer().fullwidth)
    return max(columns, _NARROWEST) if terminalreporter.isatty or os.environ.get("COLUMNS") else None


def _writer(terminalreporter: Any, width: int | None) -> Callable[..., None]:
    """Return what writes a line: wrapped at the terminal's edge, in characters that its stream has."""
    encoding = _encoding(terminalreporter)

    def write(line: str, **markup: bool) -> None:
        shown = in_encoding(line, encoding)
        wrapped = [shown] if width is None else textwrap.wrap(shown, width, subsequent_indent=_HANGING)
        for part in wrapped if len(shown) > (width or len(shown)) else [shown]:
            terminalreporter.write_line(part, **markup)

    return write


def _table(terminalreporter: Any, record: RunRecord, width: int | None) -> str:
    from rich.console import Console

    from harness.report.table import verdict_table

    console = Console(
        file=stream_of(terminalreporter) or io.StringIO(),  # it is captured; the stream says what it can show
        force_terminal=bool(terminalreporter.hasmarkup),
        no_color=not terminalreporter.hasmarkup,
        width=width or _WIDE,
    )
    with console.capture() as table:
        console.print(verdict_table(record, width=width or _WIDE))
    return in_encoding(table.get(), _encoding(terminalreporter))


def _encoding(terminalreporter: Any) -> str | None:
    return getattr(stream_of(terminalreporter), "encoding", None)
