"""How far a fill is, for whoever waits: bars on a terminal, a line every half minute in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from harness.engine.fill import Progress
from harness.protocols import Checkpoint

__all__ = ["ANSWERING", "Standing", "describe", "on_stderr", "show_bars", "tell_lines"]

ANSWERING = "harness: answering"
"""How a line on progress begins, so that it can be told from everything else that a session prints."""
_SECONDS_BETWEEN_LINES = 30.0
"""Often enough for a CI that stops a silent job, and few enough lines to read past."""


@dataclass(frozen=True)
class Standing:
    """How far the answers of one checkpoint are.

    Attributes:
        name: The checkpoint.
        done: Answers generated so far.
        wanted: Answers to be generated.
        reused: Answers of this stage, of all checkpoints, that the cache had.
        tokens: Length of the answers so far, in tokens, as far as the backend knows.
        seconds: Since the first of them was asked for.
    """

    name: str
    done: int
    wanted: int
    reused: int
    tokens: int
    seconds: float


def describe(standing: Standing) -> str:
    """Return how far it is as one line, such as `120 of 400, 20 from the cache, 85 tokens/s, 2 min left`."""
    parts = [f"{standing.done:,} of {standing.wanted:,}"]
    if standing.reused:
        parts.append(f"{standing.reused:,} from the cache")
    if standing.tokens and standing.seconds > 0:
        parts.append(f"{standing.tokens / standing.seconds:,.0f} tokens/s")
    if not standing.done:
        parts.append(f"no answer yet after {_duration(standing.seconds)}")
    elif standing.done < standing.wanted:
        left = standing.seconds / standing.done * (standing.wanted - standing.done)
        parts.append(f"about {_duration(left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


class _Watch:
    """Takes in what a fill tells, and hands on how far the checkpoint that is being asked is."""

    def __init__(self, say: Callable[[str], None], changed: Callable[[Standing], None]) -> None:
        self._say = say
        self._changed = changed
        self._reused = 0
        self._tokens = 0
        self._started = time.monotonic()
        self._has_waited = False

    def begins(self, checkpoint: Checkpoint, wanted: int, reused: int) -> None:
        """Start counting anew."""
        self._reused, self._tokens, self._started = reused, 0, time.monotonic()
        self._changed(self._standing(checkpoint, 0, wanted))

    def answered(self, checkpoint: Checkpoint, done: int, wanted: int, tokens: int) -> None:
        """Hand on how far it is."""
        self._tokens = tokens
        self._changed(self._standing(checkpoint, done, wanted))

    def waits_for(self, lock: Path) -> None:
        """Say what it waits for, once however many stages do."""
        if not self._has_waited:
            self._say(f"harness: another session fills the cache; waiting for {lock}")
        self._has_waited = True

    def _standing(self, checkpoint: Checkpoint, done: int, wanted: int) -> Standing:
        seconds = time.monotonic() - self._started
        return Standing(checkpoint.name, done, wanted, self._reused, self._tokens, seconds)


@contextlib.contextmanager
def tell_lines(say: Callable[[str], None], *, is_worker: bool = False) -> Iterator[Progress]:
    """Give what watches a fill and says how far it is every half minute, also before the first answer.

    Args:
        say: Shows one line. It is called in a thread of its own.
        is_worker: Whether others fill the same cache for the same session: waiting for them is no news.
    """
    latest: list[tuple[Standing, float]] = []
    over = threading.Event()

    def changed(standing: Standing) -> None:
        latest[:] = [(standing, time.monotonic())]

    def tell() -> None:
        while not over.wait(_SECONDS_BETWEEN_LINES):
            for standing, seen in tuple(latest):
                if standing.done < standing.wanted:
                    seconds = standing.seconds + (time.monotonic() - seen)
                    now = replace(standing, seconds=seconds)
                    say(f"{ANSWERING} {now.name}: {describe(now)}")

    teller = threading.Thread(target=tell, name="harness-progress", daemon=True)
    teller.start()
    try:
        yield _Watch((lambda line: None) if is_worker else say, changed)
    finally:
        over.set()
        teller.join()


@contextlib.contextmanager
def show_bars(stream: TextIO) -> Iterator[Progress]:
    """Give what watches a fill and shows a bar for each checkpoint on a terminal, gone when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = Console(file=stream, force_terminal=True)
    name = TextColumn("{task.description}", markup=False)  # a checkpoint's name is no markup
    state = TextColumn("{task.fields[state]}", markup=False)
    with Bars(name, BarColumn(bar_width=20), state, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def changed(standing: Standing) -> None:
            if standing.name not in tasks:
                tasks[standing.name] = bars.add_task(standing.name, state="")
            bars.update(  # a later stage wants another number
                tasks[standing.name],
                completed=standing.done,
                total=standing.wanted,
                state=describe(standing),
            )

        yield _Watch(lambda line: console.print(line, markup=False, highlight=False), changed)


@contextlib.contextmanager
def on_stderr() -> Iterator[Progress]:
    """Give what watches a fill and shows on stderr how far it is, as a terminal or a log needs it."""
    stream = sys.stderr
    if stream.isatty():
        with show_bars(stream) as progress:
            yield progress
        return

    def say(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    with tell_lines(say) as progress:
        yield progress
