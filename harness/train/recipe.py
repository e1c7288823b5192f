"""Recipes: what to train, on what, and how. `harness.train.recipe_file` reads them from YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

__all__ = [
    "Checkpoints",
    "Data",
    "Lora",
    "NewModel",
    "NewTokenizer",
    "Recipe",
    "Source",
    "Split",
    "Training",
]

RowFormat: TypeAlias = Literal["auto", "messages", "prompt_completion", "instruction"]
Schedule: TypeAlias = Literal["constant", "linear", "cosine"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16"]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_Fraction = Annotated[float, Field(ge=0, lt=1)]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("the list is empty")
    return value


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_not_empty)]


class _Part(BaseModel):
    """A frozen part of a recipe that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NewTokenizer(_Part):
    """A byte-level BPE tokenizer, trained on the training rows.

    Attributes:
        vocab_size: Tokens, the special ones and the 256 bytes included.
        split_digits: Keep every digit a token of its own, so that numbers can be copied and added.
    """

    vocab_size: int = Field(default=1024, ge=270, le=1_000_000)
    split_digits: bool = True


class NewModel(_Part):
    """A Llama-architecture model that is trained from scratch.

    Attributes:
        hidden_size: Width of the residual stream; a multiple of `heads`.
        layers: Transformer blocks.
        heads: Attention heads.
        kv_heads: Key/value heads; as many as `heads` by default, fewer share them (grouped queries).
        intermediate_size: Width of the feed-forward layer; 8/3 of `hidden_size` by default, as in Llama.
        context_length: Longest sequence the model takes, in tokens.
        rope_theta: Base of the rotary position encoding.
        tie_embeddings: Use one matrix for input and output embeddings.
        tokenizer: The tokenizer to train with it.
    """

    hidden_size: int = Field(default=128, ge=8, le=16_384)
    layers: int = Field(default=4, ge=1, le=256)
    heads: int = Field(default=4, ge=1, le=256)
    kv_heads: int | None = Field(default=None, ge=1, le=256)
    intermediate_size: int | None = Field(default=None, ge=8, le=131_072)
    context_length: int = Field(default=1024, ge=16, le=1_048_576)
    rope_theta: float = Field(default=10_000.0, gt=0)
    tie_embeddings: bool = True
    tokenizer: NewTokenizer = NewTokenizer()

    @model_validator(mode="after")
    def _check_shapes(self) -> NewModel:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of 2 × heads ({2 * self.heads}): "
                "each head needs an even width"
            )
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        return self


class Lora(_Part):
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685).

    Attributes:
        r: Rank of the update.
        alpha: Its scale is alpha / r.
        dropout: On the adapter's input.
        target_modules: Names of the linear layers to adapt; `all-linear` adapts every one but the output.
    """

    r: int = Field(default=8, ge=1, le=4096)
    alpha: float = Field(default=16.0, gt=0)
    dropout: _Fraction = 0.0
    target_modules: _Names = ("all-linear",)


class Source(_Part):
    """One file of training rows.

    Attributes:
        path: JSON Lines file, relative to the project root.
        format: Shape of the rows; `auto` tells by their keys.
    """

    path: str = Field(min_length=1)
    format: RowFormat = "auto"


class Split(_Part):
    """How rows are divided between training and validation.

    Attributes:
        validation: Fraction of the rows to validate on; 0 trains on everything.
        group: Key of the rows (`cluster`, `metadata.customer`) that must not be divided. By default rows
            with the same prompt stay together.
        seed: Seed of the division.
    """

    validation: _Fraction = 0.0
    group: str | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**32)


class Data(_Part):
    """The training rows.

    Attributes:
        sources: Files; read in order.
        split: Division into training and validation rows.
        long_rows: What happens to rows longer than `training.max_length`: an error, or dropped and counted.
            Rows are never truncated.
    """

    sources: Annotated[tuple[Source, ...], BeforeValidator(_as_tuple), AfterValidator(_not_empty)]
    split: Split = Split()
    long_rows: Literal["error", "drop"] = "error"


class Training(_Part):
    """The optimisation: AdamW on the mean loss per assistant token.

    Attributes:
        learning_rate: Peak learning rate.
        schedule: Of the learning rate after warmup.
        warmup: Fraction of all steps over which it rises from 0.
        epochs: Passes over the training rows; or give `max_steps`.
        max_steps: Optimizer steps; takes the place of `epochs`.
        batch_size: Rows per forward pass.
        gradient_accumulation: Forward passes per step; batch_size × this is the effective batch.
        weight_decay: Of AdamW; not on biases and norms.
        max_grad_norm: Gradients are scaled down to this norm; 0 never scales.
        precision: `bf16` computes in bfloat16 over fp32 weights; `auto` does so where a GPU can.
        max_length: Longest row in tokens; the model's context length by default.
        seed: Of initialisation, data order and dropout.
    """

    learning_rate: float = Field(gt=0, le=10)
    schedule: Schedule = "cosine"
    warmup: _Fraction = 0.03
    epochs: float | None = Field(default=None, gt=0, le=10_000)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=16, ge=1, le=65_536)
    gradient_accumulation: int = Field(default=1, ge=1, le=65_536)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    max_grad_norm: float = Field(default=1.0, ge=0)
    precision: Precision = "auto"
    max_length: int | None = Field(default=None, ge=8)
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _check_length(self) -> Training:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give either epochs or max_steps")
        return self


class Checkpoints(_Part):
    """When checkpoints are saved; the last step always is.

    Attributes:
        every: Steps between checkpoints; only the last step is saved by default.
        keep: How many of the newest to keep; all by default.
    """

    every: int | None = Field(default=None, ge=1)
    keep: int | None = Field(default=None, ge=1)


class Recipe(_Part):
    """A training run. Paths are relative to the project root (`harness.project.find_root`).

    Attributes:
        name: Of the run; its checkpoints go to `<output>/<name>/checkpoint-N`.
        why: What this run is for; kept in every manifest.
        base: Model to start from: a directory, or a hub id such as `org/model@revision`.
        model: Instead of `base`, the shape of a model to train from scratch.
        chat_template: Jinja file to use in place of the base's chat template.
        method: Train all weights, or a LoRA adapter.
        lora: Settings of the adapter.
        data: The training rows.
        training: The optimisation.
        checkpoints: When to save.
        output: Directory of the runs.
    """

    name: str = Field(pattern=_NAME)
    why: str | None = None
    base: str | None = Field(default=None, min_length=1)
    model: NewModel | None = None
    chat_template: str | None = Field(default=None, min_length=1)
    method: Literal["full", "lora"]
    lora: Lora | None = None
    data: Data
    training: Training
    checkpoints: Checkpoints = Checkpoints()
    output: str = Field(default="runs", min_length=1)

    @model_validator(mode="after")
    def _check_parts(self) -> Recipe:
        if (self.base is None) == (self.model is None):
            raise ValueError(
                "give either base (a model to start from) or model (a shape to train from scratch)"
            )
        if self.method == "lora" and self.model is not None:
            raise ValueError("method: lora adapts a base; a model from scratch needs method: full")
        if self.lora is not None and self.method != "lora":
            raise ValueError("the lora section needs method: lora")
        return self

    @property
    def effective_batch(self) -> int:
        """Rows per optimizer step."""
        return self.training.batch_size * self.training.gradient_accumulation

    def adjusted(
        self, *, max_steps: int | None = None, output: str | None = None, why: str | None = None
    ) -> Recipe:
        """Return the recipe with what the command line says in place of what the file says."""
        changes: dict[str, Any] = {}
        if max_steps is not None:
            changes["training"] = self.training.model_copy(update={"max_steps": max_steps, "epochs": None})
        if output is not None:
            changes["output"] = output
        if why is not None:
            changes["why"] = why
        return self.model_copy(update=changes)

    def resolved(self) -> dict[str, Any]:
        """Return every setting as plain JSON values, defaults filled in."""
        recipe = (
            self
            if self.method != "lora" or self.lora is not None
            else self.model_copy(update={"lora": Lora()})
        )
        return recipe.model_dump(mode="json")
