"""What training tells: every step's numbers in `log.jsonl` and `curves.csv`, and a line or a bar to watch."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.errors import CheckpointError
from harness.files.read_json import read_jsonl

__all__ = ["LOG_NAME", "Recorder", "StepRecord", "read_log"]

LOG_NAME = "log.jsonl"
_CURVES = "curves.csv"


@dataclass
class StepRecord:
    """One optimizer step.

    Attributes:
        step: From 1.
        epoch: Passes over the data after it.
        loss: Mean per trained token, in nats.
        learning_rate: Used in it.
        grad_norm: Before clipping.
        tokens: Read in it, padding excluded.
        tokens_per_second: Those, by its wall time.
        validation_loss: Mean per trained token over the validation rows, when it was measured after the step.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    tokens_per_second: float
    validation_loss: float | None = None


class Recorder:
    """Keeps a run's curves.

    Args:
        run: Directory of the run.
        max_steps: Steps planned.
        console: Where to show progress; None shows nothing.
        earlier: Records up to the checkpoint that the run goes on from.
    """

    def __init__(
        self, run: Path, *, max_steps: int, console: Console | None, earlier: Sequence[StepRecord] = ()
    ) -> None:
        self.records: list[StepRecord] = list(earlier)
        self.tokens_seen = sum(record.tokens for record in self.records)
        self._run = run
        self._max_steps = max_steps
        self._console = console
        self._saved = self.records[-1].step if self.records else 0
        self._clock = time.perf_counter()
        self._every = max(1, max_steps // 20)
        self._bar: Progress | None = None
        run.mkdir(parents=True, exist_ok=True)
        self.flush()

    def __enter__(self) -> Recorder:
        if self._console is not None and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(
                "training", total=self._max_steps, completed=self._saved, numbers=""
            )
            self._bar.start()
        self._clock = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        self.flush()

    def step(
        self, *, step: int, epoch: float, loss: float, learning_rate: float, grad_norm: float, tokens: int
    ) -> None:
        """Record an optimizer step."""
        now = time.perf_counter()
        speed = tokens / max(now - self._clock, 1e-9)
        self._clock = now
        self.tokens_seen += tokens
        record = StepRecord(step, epoch, loss, learning_rate, grad_norm, tokens, round(speed, 1))
        self.records.append(record)
        numbers = f"loss {loss:.4f}  lr {learning_rate:.2e}  {speed:,.0f} tok/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, numbers=numbers)
        elif self._console is not None and (step == 1 or step % self._every == 0 or step == self._max_steps):
            self._console.print(f"step {step}/{self._max_steps}  {numbers}", highlight=False)

    def validated(self, loss: float) -> None:
        """Record the validation loss after the newest step."""
        if self.records:
            self.records[-1].validation_loss = loss
        self._clock = time.perf_counter()

    def window_loss(self) -> float | None:
        """Return the mean training loss of the steps since the last checkpoint."""
        losses = [record.loss for record in self.records if record.step > self._saved]
        return math.fsum(losses) / len(losses) if losses else None

    def saved(self, path: Path, step: int) -> None:
        """Note that a checkpoint is on the disk, and bring log and curves up to date."""
        loss = self.window_loss()
        self._saved = step
        self.flush()
        if self._console is not None:
            newest = self.records[-1].validation_loss if self.records else None
            numbers = [] if loss is None else [f"train loss {loss:.4f}"]
            numbers += [] if newest is None else [f"validation loss {newest:.4f}"]
            self._console.print(f"saved {path.name}  {'  '.join(numbers)}", highlight=False)
        self._clock = time.perf_counter()

    def flush(self) -> None:
        """Write `log.jsonl` and `curves.csv` into the run's directory."""
        self.write_log(self._run)
        names = list(StepRecord.__dataclass_fields__)
        table = io.StringIO()
        writer = csv.DictWriter(table, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in self.records)
        _replace(self._run / _CURVES, table.getvalue())

    def write_log(self, directory: Path) -> None:
        """Write `log.jsonl` into a directory; a checkpoint keeps its own, up to its step."""
        text = "".join(json.dumps(asdict(record)) + "\n" for record in self.records)
        _replace(directory / LOG_NAME, text)


def _replace(path: Path, text: str) -> None:
    staged = path.with_name(f".{path.name}.partial")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def read_log(directory: Path) -> list[StepRecord]:
    """Read what `Recorder.write_log` wrote.

    Raises:
        CheckpointError: A line is malformed.
    """
    path = directory / LOG_NAME
    try:
        return [StepRecord(**values) for _, values in read_jsonl(path, error=CheckpointError)]
    except TypeError as error:
        raise CheckpointError(f"{path}: malformed: {error}") from error
