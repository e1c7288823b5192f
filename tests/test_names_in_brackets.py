"""Names are shown as they are, also where rich would take their brackets for markup."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from harness.plugins.deciding.terminal import _watcher
from harness.protocols import Checkpoint
from harness.train.plan import DataPlan, SourcePlan, StepPlan, TrainingPlan, show_plan


def test_in_the_plan_of_a_training() -> None:
    data = DataPlan((SourcePlan("data/[old].jsonl", 3, 2),), 0, 0, 1, 2, 1, 10, 5, 5, 9)
    steps = StepPlan(effective_batch=1, per_epoch=1, max_steps=1, warmup=0)
    plan = TrainingPlan(
        "run", "full", "models/[/final]", data, steps, 1, 1, "fp32", "cpu", "runs[1]/run", (1,)
    )
    shown = io.StringIO()
    show_plan(plan, Console(file=shown, width=120))
    for name in ("data/[old].jsonl", "models/[/final]", "runs[1]/run"):
        assert name in shown.getvalue()


def test_in_the_progress_of_a_session() -> None:
    stream = io.StringIO()
    terminal = SimpleNamespace(isatty=True, _tw=SimpleNamespace(_file=stream))
    checkpoint = Checkpoint("spec", "runs[/a]", "hf", "here", "f" * 64)
    with _watcher(terminal) as progress:
        progress.begins(checkpoint, 2, 0)
        progress.answered(checkpoint, 1, 2, 10)
        progress.answered(checkpoint, 2, 5, 20)  # the next stage
    assert "runs[/a]" in stream.getvalue()
    assert "2 of 5" in stream.getvalue()
