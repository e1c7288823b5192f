"""TRL's SFTTrainer, fed with rows that are tokenised and verified already, and made to fail closed.

What differs from the stock trainer, and why: rows come in the order of `harness.train.order`; the output
layer is computed on labelled tokens only (the same loss, shown on the first batch; a model that does more
after its output layer keeps TRL's own path); a loss or gradient that is not finite stops the run before
anything is saved, so gradients are clipped here, where they are looked at; checkpoints are those of
`harness.train.saving`; validation loss is a mean over tokens, not over batches; nothing is sent anywhere.

All of it stands on methods and events that are documented to be overridden; the few names that are not are
in `harness.upstream.trainer_internals`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.errors import TrainingError
from harness.train.masking import IGNORED, TokenizedRow
from harness.train.order import BucketedOrder
from harness.train.plan import TrainingPlan
from harness.train.recipe import Recipe
from harness.train.recorder import Recorder
from harness.train.saving import load_optimizer, load_random_state
from harness.upstream.trainer_internals import guarded_trainer, known_arguments, unchecked_step

__all__ = ["Session", "make_trainer"]

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
_PARITY = {"fp32": 1e-4, "bf16": 1e-2}
"""Largest relative difference of the two losses under which the faster path is taken."""


@dataclass(frozen=True)
class Session:
    """What a trainer works with.

    Attributes:
        recipe: The recipe.
        plan: Its numbers.
        train: Rows to train on.
        validation: Rows to validate on.
        tokenizer: Saved with each checkpoint.
        run: Directory of the run.
        recorder: Keeps the curves.
        save: Writes a checkpoint; called with the trainer.
    """

    recipe: Recipe
    plan: TrainingPlan
    train: Sequence[TokenizedRow]
    validation: Sequence[TokenizedRow]
    tokenizer: Any
    run: Path
    recorder: Recorder
    save: Callable[[Any], None]


def make_trainer(model: Any, session: Session) -> Any:
    """Build the trainer of a session."""
    return _trainer_class()(model, session)


def _arguments(session: Session) -> Any:
    training, plan = session.recipe.training, session.plan
    on_gpu = plan.device != "cpu"
    config: Any = import_module("trl").SFTConfig
    checkpointing = "activation_checkpointing"  # gradient_checkpointing until transformers 5.2x renamed it
    if checkpointing not in config.__dataclass_fields__:
        checkpointing = "gradient_checkpointing"
    arguments: dict[str, object] = dict(
        output_dir=str(session.run),
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type=_SCHEDULES[training.schedule],
        warmup_steps=plan.steps.warmup,
        max_steps=plan.steps.max_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=0.0,  # the trainer's own clipping is off
        optim="adamw_torch_fused",
        seed=training.seed,
        data_seed=training.seed,
        bf16=plan.precision == "bf16",
        fp16=False,
        use_cpu=not on_gpu,
        **{checkpointing: False},
        logging_strategy="no",
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        shuffle_dataset=False,
        completion_only_loss=False,
        assistant_only_loss=False,
        trust_remote_code=False,
    )
    return config(**known_arguments(arguments))


def _dataset(rows: Sequence[TokenizedRow]) -> Any:
    return import_module("datasets").Dataset.from_dict(
        {
            "input_ids": [list(row.input_ids) for row in rows],
            "labels": [list(row.labels) for row in rows],
            "row": list(range(len(rows))),
        }
    )


def _batch(pad: int, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put rows side by side, padded on the right, and say which they are.

    Args:
        pad: Id of the padding, which is masked out.
        examples: Rows as `_dataset` has them.

    Returns:
        `input_ids`, `labels` and `attention_mask`, shape (rows, longest), and `rows`, their indices.
    """
    import torch

    def padded(name: str, value: int) -> Any:
        rows = [torch.tensor(example[name]) for example in examples]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    lengths = torch.tensor([len(example["input_ids"]) for example in examples])
    ids = padded("input_ids", pad)
    return {
        "input_ids": ids,
        "labels": padded("labels", IGNORED),
        "attention_mask": (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).long(),
        "rows": torch.tensor([example["row"] for example in examples]),
    }


@functools.cache
def _trainer_class() -> Any:
    """Define the trainer when it is first needed, so that importing this module imports no torch."""
    import torch

    # Held as Any: these libraries export and annotate too little for a strict checker.
    TrainerCallback: Any = import_module("transformers").TrainerCallback  # noqa: N806 # a class
    GuardedTrainer: Any = guarded_trainer()  # noqa: N806 # a class

    class StepWatcher(TrainerCallback):  # type: ignore[misc] # untyped base
        """Looks at each gradient before the step, and at each step when it is done."""

        def __init__(self, trainer: Any) -> None:
            self._trainer = trainer

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._trainer.check_gradient()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._trainer.step_finished(state)

    class CheckpointTrainer(GuardedTrainer):  # type: ignore[misc] # untyped base
        """See the module's docstring."""

        def __init__(self, model: Any, session: Session) -> None:
            self.session = session
            self._step_loss = 0.0
            self._step_tokens = 0
            self._step_rows: list[int] = []
            self._norm: float | None = None
            self._rate = 0.0
            self.labelled_only: bool | None = None
            tokenizer = session.tokenizer
            pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
            super().__init__(
                model=model,
                args=_arguments(session),
                data_collator=functools.partial(_batch, pad if pad is not None else 0),
                train_dataset=_dataset(session.train),
                eval_dataset=_dataset(session.validation) if session.validation else None,
                processing_class=tokenizer,
            )
            self.add_callback(StepWatcher(self))

        def get_train_dataloader(self) -> Any:
            """Return the rows in the order of this run."""
            lengths = [len(row.input_ids) for row in self.session.train]
            recipe = self.session.recipe
            loader: Any = torch.utils.data.DataLoader(
                self.train_dataset,
                batch_size=recipe.training.batch_size,
                sampler=BucketedOrder(lengths, recipe.effective_batch, recipe.training.seed),
                collate_fn=self.data_collator,
                pin_memory=self.args.dataloader_pin_memory,
            )
            return self.accelerator.prepare(loader)

        def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
            rows = inputs.pop("rows").tolist()
            self._step_rows += rows
            if self.labelled_only is None:
                self.labelled_only = self._paths_agree(model, inputs)
            loss = super().training_step(model, inputs, num_items_in_batch)
            value = float(loss)
            if not math.isfinite(value):
                raise self._not_finite("loss", value, rows)
            self._step_loss += value
            self._step_tokens += sum(len(self.session.train[row].input_ids) for row in rows)
            return loss

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if return_outputs or not self.labelled_only:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return self._labelled_loss(model, inputs, num_items_in_batch)

        def _labelled_loss(self, model: Any, inputs: Any, count: Any) -> Any:
            """Compute the loss with the output layer on labelled tokens only."""
            core = self.accelerator.unwrap_model(model)
            core = core.get_base_model() if hasattr(core, "get_base_model") else core
            labels = inputs["labels"][:, 1:]
            wanted = labels != IGNORED
            with self.accelerator.autocast():
                hidden = core.base_model(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
                ).last_hidden_state[:, :-1]
                logits = core.get_output_embeddings()(hidden[wanted])
            total = torch.nn.functional.cross_entropy(logits.float(), labels[wanted], reduction="sum")
            return total / (wanted.sum() if count is None else count)

        def _paths_agree(self, model: Any, inputs: Any) -> bool:
            """Whether the faster loss is TRL's loss for this model, to rounding."""
            inputs = {name: values.to(self.args.device) for name, values in inputs.items()}
            training = model.training
            model.eval()
            try:
                with torch.no_grad():
                    ours = float(self._labelled_loss(model, dict(inputs), None))
                    theirs = float(super().compute_loss(model, dict(inputs)))
            except (AttributeError, TypeError, RuntimeError):
                return False  # an architecture with another layout
            finally:
                model.train(training)
            return abs(ours - theirs) <= _PARITY[self.session.plan.precision] * max(abs(theirs), 1e-6)

        def check_gradient(self) -> None:
            """Scale the gradient down to the recipe's norm, and stop where it is not finite."""
            self.refuse_partial_state()
            most = self.session.recipe.training.max_grad_norm or math.inf
            self._norm = float(self.accelerator.clip_grad_norm_(self.model.parameters(), most))
            if not math.isfinite(self._norm):
                raise self._not_finite("gradient norm", self._norm, self._step_rows)
            self._rate = float(self.optimizer.param_groups[0]["lr"])

        def _not_finite(self, what: str, value: float, rows: Sequence[int]) -> TrainingError:
            step = self.state.global_step + 1
            where = ", ".join(self.session.train[row].example.where for row in rows[:8])
            more = f" and {len(rows) - 8} more" if len(rows) > 8 else ""
            return TrainingError(
                f"step {step}: the {what} is {value}; nothing was saved after the last good checkpoint. "
                f"The batch: {where}{more}. Lower learning_rate, lengthen warmup, or look at these rows"
            )

        def step_finished(self, state: Any) -> None:
            """Record the step that just ended; validate and save where the plan says so."""
            if self._norm is None:
                raise unchecked_step()
            self.session.recorder.step(
                step=state.global_step,
                epoch=float(state.epoch),
                loss=self._step_loss,
                learning_rate=self._rate,
                grad_norm=self._norm,
                tokens=self._step_tokens,
            )
            self._step_loss, self._step_tokens, self._step_rows, self._norm = 0.0, 0, [], None
            if state.global_step in self.session.plan.saves:
                if self.session.validation:
                    self.session.recorder.validated(self._validation_loss())
                self.session.save(self)

        def _validation_loss(self) -> float:
            """Return the mean loss per trained token of the validation rows."""
            model = self.model
            training = model.training
            model.eval()
            total, count = 0.0, 0
            with torch.no_grad():
                for batch in self.get_eval_dataloader():
                    inputs = {name: values for name, values in batch.items() if name != "rows"}
                    labelled = int((inputs["labels"][:, 1:] != IGNORED).sum())
                    total += float(self.compute_loss(model, inputs)) * labelled
                    count += labelled
            model.train(training)
            loss = total / max(count, 1)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"step {self.state.global_step}: the validation loss is {loss}; nothing was saved after "
                    "the last good checkpoint. Lower learning_rate or lengthen warmup"
                )
            return loss

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """Log nothing: the recorder does."""

        def restore_optimizer(self, state: Path) -> None:
            """Put optimizer and scheduler back as they were saved in this directory."""
            load_optimizer(state.parent, optimizer=self.optimizer, scheduler=self.lr_scheduler)

        def restore_random_state(self, state: Path) -> None:
            """Put the random states back as they were saved in this directory."""
            load_random_state(state.parent)

    return CheckpointTrainer
