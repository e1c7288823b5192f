"""What a run is going to do, in numbers, before it does it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.train.masking import TokenizedRow
from harness.train.recipe import Recipe

__all__ = [
    "DataPlan",
    "SourcePlan",
    "StepPlan",
    "TrainingPlan",
    "plan_data",
    "save_steps",
    "show_plan",
    "steps_for",
]


@dataclass(frozen=True)
class SourcePlan:
    """One file: rows read, and how many of them train."""

    path: str
    rows: int
    used: int


@dataclass(frozen=True)
class DataPlan:
    """The rows.

    Attributes:
        sources: Each file.
        duplicates: Rows dropped because an equal one came before.
        too_long: Rows dropped because they exceed `max_length`.
        groups: Groups that the split kept whole.
        train_rows: Rows to train on.
        validation_rows: Rows to validate on.
        tokens: Tokens of the training rows.
        trained_tokens: Those that the loss is computed on.
        longest: Tokens of the longest row, on either side.
        max_length: Most tokens a row may have.
    """

    sources: tuple[SourcePlan, ...]
    duplicates: int
    too_long: int
    groups: int
    train_rows: int
    validation_rows: int
    tokens: int
    trained_tokens: int
    longest: int
    max_length: int


@dataclass(frozen=True)
class StepPlan:
    """The steps: per epoch, in all, and of warmup; rows per step."""

    effective_batch: int
    per_epoch: int
    max_steps: int
    warmup: int

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""
        return self.max_steps / self.per_epoch


@dataclass(frozen=True)
class TrainingPlan:
    """A whole run.

    Attributes:
        name: Of the run.
        method: What is trained, in words.
        base: What it starts from, in words.
        data: The rows.
        steps: The steps.
        trainable: Parameters that are trained.
        parameters: Parameters in all.
        precision: `fp32` or `bf16`.
        device: `cpu` or `cuda`.
        run: Where checkpoints go, relative to the project root.
        saves: Steps that checkpoints are saved after.
    """

    name: str
    method: str
    base: str
    data: DataPlan
    steps: StepPlan
    trainable: int
    parameters: int
    precision: str
    device: str
    run: str
    saves: tuple[int, ...]


def steps_for(recipe: Recipe, rows: int) -> StepPlan:
    """Compute the steps of a recipe over a number of training rows."""
    training = recipe.training
    batches = math.ceil(rows / training.batch_size)
    per_epoch = max(math.ceil(batches / training.gradient_accumulation), 1)
    steps = (
        training.max_steps
        if training.max_steps is not None
        else math.ceil((training.epochs or 0) * per_epoch)
    )
    return StepPlan(recipe.effective_batch, per_epoch, steps, round(training.warmup * steps))


def plan_data(
    *,
    read: Sequence[tuple[str, int]],
    train: Sequence[TokenizedRow],
    validation: Sequence[TokenizedRow],
    duplicates: int,
    too_long: int,
    groups: int,
    max_length: int,
) -> DataPlan:
    """Count the rows and tokens that are left after cleaning; `read` has each file's path and rows."""
    used = Counter(row.example.path for row in (*train, *validation))
    return DataPlan(
        sources=tuple(SourcePlan(path, rows, used[path]) for path, rows in read),
        duplicates=duplicates,
        too_long=too_long,
        groups=groups,
        train_rows=len(train),
        validation_rows=len(validation),
        tokens=sum(len(row.input_ids) for row in train),
        trained_tokens=sum(row.trained_tokens for row in train),
        longest=max((len(row.input_ids) for row in (*train, *validation)), default=0),
        max_length=max_length,
    )


def save_steps(max_steps: int, every: int | None) -> tuple[int, ...]:
    """Return the steps that are saved after: each multiple of `every`, and the last."""
    if every is None:
        return (max_steps,)
    return tuple(sorted({*range(every, max_steps + 1, every), max_steps}))


def show_plan(plan: TrainingPlan, console: Console) -> None:
    """Print a plan."""
    table = Table(
        title=escape(f"{plan.name}: {plan.method} from {plan.base}"), show_header=False, title_justify="left"
    )
    table.add_column(style="bold")
    table.add_column()
    data, steps = plan.data, plan.steps
    for source in data.sources:
        table.add_row("data", f"{escape(source.path)}: {source.rows:,} rows, {source.used:,} used")
    table.add_row(
        "dropped", f"{data.duplicates:,} duplicates, {data.too_long:,} longer than {data.max_length:,} tokens"
    )
    table.add_row(
        "split",
        f"{data.train_rows:,} train, {data.validation_rows:,} validation, {data.groups:,} groups whole",
    )
    share = data.trained_tokens / max(data.tokens, 1)
    table.add_row(
        "tokens",
        f"{data.tokens:,}, of them the assistant's {data.trained_tokens:,} ({share:.0%}); "
        f"longest row {data.longest:,}",
    )
    table.add_row(
        "steps",
        f"{steps.max_steps:,} of {steps.effective_batch} rows, warmup {steps.warmup:,}; "
        f"{steps.epochs:.2f} epochs of {steps.per_epoch:,} steps",
    )
    table.add_row(
        "parameters",
        f"{plan.trainable:,} trained of {plan.parameters:,} ({plan.trainable / plan.parameters:.1%})",
    )
    table.add_row("compute", f"{plan.precision} on {plan.device}")
    saves = ", ".join(map(str, plan.saves[:6])) + (", …" if len(plan.saves) > 6 else "")
    table.add_row("checkpoints", f"{escape(plan.run)}/checkpoint-{{{saves}}}")
    console.print(table)
