"""From a recipe to everything that training needs: rows cleaned, divided and tokenised, a model, a plan."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoints.manifest import DataRecord
from harness.data.split import divide, drop_duplicates
from harness.data.training_rows import RowFile, TrainingExample, read_rows
from harness.errors import ConfigurationError, MissingDependencyError, TrainingDataError
from harness.project import relative_to_root
from harness.train.chat_format import ChatFormat
from harness.train.masking import TokenizedRow, tokenize_rows
from harness.train.model import Base, add_adapter, build_model, find_base, load_base, load_training_tokenizer
from harness.train.plan import TrainingPlan, plan_data, save_steps, steps_for
from harness.train.recipe import Recipe
from harness.train.tokenizer import train_tokenizer
from harness.train.turn_end import end_at_turns

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """All that a run needs.

    Attributes:
        recipe: The recipe.
        root: The project root.
        run: Directory of the run.
        plan: What is going to happen.
        data: The files, for the manifest.
        train: Rows to train on.
        validation: Rows to validate on.
        tokenizer: With the chat template that was verified.
        model: With the adapter, if any.
        base: What the model started from; None from scratch.
    """

    recipe: Recipe
    root: Path
    run: Path
    plan: TrainingPlan
    data: tuple[DataRecord, ...]
    train: tuple[TokenizedRow, ...]
    validation: tuple[TokenizedRow, ...]
    tokenizer: Any
    model: Any
    base: Base | None


def prepare(recipe: Recipe, root: Path) -> Prepared:
    """Read, check and count everything, and load the model, without training or writing.

    Args:
        recipe: The recipe.
        root: Project root; the recipe's paths start from it.

    Raises:
        UsageError: Data, base, template or settings cannot be trained with; names file and line.
        MissingDependencyError: A training library is not installed.
    """
    _require_libraries()
    root = root.resolve()
    base = None if recipe.base is None else find_base(recipe.base, root)
    files = [
        read_rows(root / source.path, name=source.path, shape=source.format) for source in recipe.data.sources
    ]
    examples, duplicates = drop_duplicates([example for file in files for example in file.examples])
    split = recipe.data.split
    division = divide(examples, fraction=split.validation, group=split.group, seed=split.seed)
    chat = _chat_format(recipe, root, base, division.train)
    model = _model(recipe, base, chat.tokenizer)
    max_length = _max_length(recipe, model)
    train, long_train = _fitting(recipe, tokenize_rows(chat, division.train), max_length)
    validation, long_validation = _fitting(recipe, tokenize_rows(chat, division.validation), max_length)
    if not train:
        raise TrainingDataError(f"no training row has at most {max_length} tokens: raise training.max_length")
    end_at_turns(chat.tokenizer, model, train)
    steps = steps_for(recipe, len(train))
    device, precision = _compute(recipe)
    run = root / recipe.output / recipe.name
    plan = TrainingPlan(
        name=recipe.name,
        method=recipe.method if recipe.lora is None else f"lora r={recipe.lora.r}",
        base="scratch" if base is None else base.spec,
        data=plan_data(
            read=[(file.path, len(file.examples)) for file in files],
            train=train,
            validation=validation,
            duplicates=duplicates,
            too_long=long_train + long_validation,
            groups=division.groups,
            max_length=max_length,
        ),
        steps=steps,
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        parameters=sum(p.numel() for p in model.parameters()),
        precision=precision,
        device=device,
        run=relative_to_root(run, root),
        saves=save_steps(steps.max_steps, recipe.checkpoints.every),
    )
    if plan.trainable == 0:
        raise ConfigurationError(
            "nothing is trainable: method or lora.target_modules leave every weight frozen"
        )
    records = tuple(_record(file, root) for file in files)
    return Prepared(recipe, root, run, plan, records, train, validation, chat.tokenizer, model, base)


def _record(file: RowFile, root: Path) -> DataRecord:
    return DataRecord(relative_to_root(root / file.path, root), file.sha256, len(file.examples))


def _require_libraries() -> None:
    from importlib.util import find_spec

    for library in ("torch", "transformers", "accelerate", "datasets", "trl", "peft"):
        if find_spec(library) is None:
            raise MissingDependencyError(library, "train")


def _chat_format(
    recipe: Recipe, root: Path, base: Base | None, examples: Sequence[TrainingExample]
) -> ChatFormat:
    if base is not None:
        tokenizer, name = load_training_tokenizer(base.path), base.spec
    else:
        assert recipe.model is not None
        settings = recipe.model.tokenizer
        tokenizer = train_tokenizer(_texts(examples), settings, context_length=recipe.model.context_length)
        name = "the new model"
    if recipe.chat_template is None:
        return ChatFormat(tokenizer, name=name)
    path = root / recipe.chat_template
    try:
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"chat_template {recipe.chat_template}: cannot be read: {error}") from error
    return ChatFormat(tokenizer, name=recipe.chat_template)


def _texts(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        for message in example.messages:
            yield message["role"]
            yield message["content"]


def _model(recipe: Recipe, base: Base | None, tokenizer: Any) -> Any:
    if base is None:
        assert recipe.model is not None
        return build_model(recipe.model, tokenizer, seed=recipe.training.seed)
    model = load_base(base)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        raise ConfigurationError(
            f"base {base.spec}: its tokenizer has {len(tokenizer)} tokens, its embedding fewer; "
            "they belong to different models"
        )
    return add_adapter(model, recipe, base) if recipe.method == "lora" else model


def _max_length(recipe: Recipe, model: Any) -> int:
    context = getattr(model.config, "max_position_embeddings", None)
    asked = recipe.training.max_length
    if asked is None:
        return int(context) if context is not None else 2**31 - 1
    if context is not None and asked > context:
        raise ConfigurationError(f"training.max_length is {asked}, the model's context has {context} tokens")
    return asked


def _fitting(
    recipe: Recipe, rows: Iterator[TokenizedRow], max_length: int
) -> tuple[tuple[TokenizedRow, ...], int]:
    """Return the rows that fit, and how many did not; an error where the recipe says so."""
    kept, long = [], 0
    for row in rows:
        if len(row.input_ids) <= max_length:
            kept.append(row)
        elif recipe.data.long_rows == "drop":
            long += 1
        else:
            raise TrainingDataError(
                f"has {len(row.input_ids)} tokens, training.max_length is {max_length}: shorten it, raise "
                "max_length, or set data.long_rows: drop",
                path=row.example.path,
                line=row.example.line,
            )
    return tuple(kept), long


def _compute(recipe: Recipe) -> tuple[str, str]:
    """Return the device and precision to train with.

    Raises:
        ConfigurationError: Several processes or GPUs would train at once.
    """
    import torch

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigurationError("harness train runs in one process: start it without torchrun or accelerate")
    on_gpu = torch.cuda.is_available()
    if on_gpu and torch.cuda.device_count() > 1:
        raise ConfigurationError(
            f"harness train uses one GPU, {torch.cuda.device_count()} are visible: set CUDA_VISIBLE_DEVICES=0"
        )
    asked = recipe.training.precision
    if asked == "auto":
        asked = "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "fp32"
    return ("cuda" if on_gpu else "cpu"), asked
