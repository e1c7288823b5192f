"""Run a recipe: plan, train, save checkpoints with manifests, resume where an earlier attempt stopped."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.checkpoints.manifest import Manifest, TrainingProgress, read_manifest, record_files
from harness.clock import utc_now
from harness.errors import CheckpointError, ConfigurationError, TrainingError
from harness.project import provenance
from harness.train.plan import TrainingPlan, show_plan
from harness.train.prepare import Prepared, prepare
from harness.train.recipe import Recipe
from harness.train.recorder import Recorder, StepRecord, read_log
from harness.train.resume import check_resumable, load_weights
from harness.train.sanity import curve_warnings, sample_weights, weights_changed
from harness.train.saving import (
    STATE_DIRECTORY,
    complete_checkpoints,
    publish,
    remove_checkpoint,
    save_state,
    stage_for,
)
from harness.train.trainer import Session, make_trainer

__all__ = ["TrainingResult", "preview", "run_training"]


@dataclass(frozen=True)
class TrainingResult:
    """What a run left behind.

    Attributes:
        plan: What was planned.
        run: Directory of the run.
        checkpoints: Its complete checkpoints, oldest first.
        resumed_from: The checkpoint that training went on from.
        records: Every step's numbers.
        train_loss: Of the last checkpoint's window, in nats per trained token.
        validation_loss: Of the last checkpoint.
        warnings: What a reader should know: divergence, overfitting, other library versions.
    """

    plan: TrainingPlan
    run: Path
    checkpoints: tuple[Path, ...]
    resumed_from: Path | None
    records: tuple[StepRecord, ...]
    train_loss: float | None
    validation_loss: float | None
    warnings: tuple[str, ...] = ()


def preview(recipe: Recipe, *, root: Path) -> TrainingPlan:
    """Return what `run` would do, in numbers; nothing is written.

    Raises:
        UsageError: Recipe, data or base cannot be used.
    """
    with _quiet_libraries():
        return prepare(recipe, root).plan


def run_training(
    recipe: Recipe,
    *,
    root: Path,
    resume: bool = False,
    restart: bool = False,
    console: Console | None = None,
    on_checkpoint: Callable[[Path], None] | None = None,
) -> TrainingResult:
    """Train a recipe to its end, going on from the newest complete checkpoint of the same recipe.

    A finished run is left as it is, so that running twice costs nothing.

    Args:
        recipe: The recipe.
        root: Project root; the recipe's paths start from it.
        resume: Require a checkpoint to go on from.
        restart: Remove the run's checkpoints and start over.
        console: Where plan and progress are shown; None shows nothing.
        on_checkpoint: Called with each checkpoint's directory once it is complete.

    Raises:
        UsageError: Recipe, data, base or an earlier checkpoint cannot be used; nothing was trained.
        TrainingError: Loss or gradient was not finite, or the weights did not change.
    """
    if resume and restart:
        raise ConfigurationError("--resume goes on, --restart starts over: give one of them")
    with _quiet_libraries():
        prepared = prepare(recipe, root)
        if console is not None:
            show_plan(prepared.plan, console)
        with _locked(prepared.run):
            return _Run(prepared, console, on_checkpoint).execute(resume=resume, restart=restart)


class _Run:
    """One attempt at a run."""

    def __init__(
        self, prepared: Prepared, console: Console | None, on_checkpoint: Callable[[Path], None] | None
    ) -> None:
        self._prepared = prepared
        self._console = console
        self._on_checkpoint = on_checkpoint
        self._warnings: list[str] = []
        self._provenance = provenance(
            prepared.root, why=prepared.recipe.why, seed=prepared.recipe.training.seed
        )

    def execute(self, *, resume: bool, restart: bool) -> TrainingResult:
        prepared = self._prepared
        self._untrained = sample_weights(prepared.model)
        self._clear(everything=restart)
        found = complete_checkpoints(prepared.run)
        if resume and not found:
            raise CheckpointError(f"--resume: {prepared.plan.run} has no complete checkpoint to go on from")
        newest = found[-1][1] if found else None
        earlier: list[StepRecord] = []
        if newest is not None:
            manifest = check_resumable(prepared, newest)
            self._compare_versions(manifest)
            earlier = read_log(newest / STATE_DIRECTORY)
            if manifest.progress.step >= prepared.plan.steps.max_steps:
                self._say(f"{prepared.plan.run} is finished already; --restart trains it again")
                return self._result(earlier, newest)
            load_weights(prepared.model, newest)
            self._say(f"resuming from {newest.name}")
        recorder = Recorder(
            prepared.run, max_steps=prepared.plan.steps.max_steps, console=self._console, earlier=earlier
        )
        self._train(recorder, newest)
        return self._result(recorder.records, newest)

    def _train(self, recorder: Recorder, newest: Path | None) -> None:
        prepared = self._prepared
        session = Session(
            recipe=prepared.recipe,
            plan=prepared.plan,
            train=prepared.train,
            validation=prepared.validation,
            tokenizer=prepared.tokenizer,
            run=prepared.run,
            recorder=recorder,
            save=lambda trainer: self._save(trainer, recorder),
        )
        trainer = make_trainer(prepared.model, session)
        with recorder, _memory_errors(trainer):
            trainer.train(resume_from_checkpoint=None if newest is None else str(newest / STATE_DIRECTORY))
        self._warnings += curve_warnings(recorder.records)

    def _save(self, trainer: Any, recorder: Recorder) -> None:
        """Save a checkpoint of the trainer's present state, and tell those who asked."""
        ends = trainer.state.global_step >= self._prepared.plan.steps.max_steps
        if ends and not weights_changed(self._untrained, sample_weights(self._prepared.model)):
            raise TrainingError(
                "no trained weight has changed, so the last checkpoint would be the base and is not saved: "
                "raise learning_rate or steps"
            )
        from safetensors import SafetensorError  # what writing raises there, the disk being full

        try:
            path = self._write(trainer, recorder)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"step {trainer.state.global_step}: the checkpoint could not be written ({error}); "
                "earlier ones are whole, and the same command goes on from them"
            ) from error
        recorder.saved(path, trainer.state.global_step)
        self._drop_old()
        if self._on_checkpoint is not None:
            self._on_checkpoint(path)

    def _write(self, trainer: Any, recorder: Recorder) -> Path:
        """Write a checkpoint of the trainer's present state; return its directory."""
        prepared = self._prepared
        stage = stage_for(prepared.run, trainer.state.global_step)
        model = trainer.accelerator.unwrap_model(trainer.model)
        adapter = hasattr(model, "peft_config")
        model.save_pretrained(stage, **({"save_embedding_layers": False} if adapter else {}))
        (stage / "README.md").unlink(missing_ok=True)  # PEFT's form to fill in; the manifest says it all
        prepared.tokenizer.save_pretrained(stage)
        state = save_state(stage, optimizer=trainer.optimizer, scheduler=trainer.lr_scheduler)
        trainer.state.save_to_json(str(state / "trainer_state.json"))
        recorder.write_log(state)
        step = trainer.state.global_step
        return publish(
            stage,
            Manifest(
                name=prepared.recipe.name,
                method=prepared.recipe.method,
                progress=TrainingProgress(
                    step=step,
                    max_steps=prepared.plan.steps.max_steps,
                    epoch=float(trainer.state.epoch),
                    train_loss=recorder.window_loss(),
                    validation_loss=recorder.records[-1].validation_loss,
                    tokens_seen=recorder.tokens_seen,
                ),
                provenance=replace(self._provenance, created=utc_now()),
                recipe=prepared.recipe.resolved(),
                data=prepared.data,
                files=record_files(stage),
                base=None if prepared.base is None else prepared.base.record(),
            ),
        )

    def _drop_old(self) -> None:
        keep = self._prepared.recipe.checkpoints.keep
        if keep is not None:
            for _, path in complete_checkpoints(self._prepared.run)[:-keep]:
                remove_checkpoint(path)

    def _clear(self, *, everything: bool) -> None:
        """Remove what a kill left half-written; with `everything`, the finished checkpoints too."""
        run = self._prepared.run
        if everything:
            for _, path in complete_checkpoints(run):
                remove_checkpoint(path)
        for pattern in (".checkpoint-*.partial", ".checkpoint-*.removed"):
            for path in run.glob(pattern):
                shutil.rmtree(path)

    def _result(self, records: Sequence[StepRecord], resumed: Path | None) -> TrainingResult:
        found = complete_checkpoints(self._prepared.run)
        manifest = read_manifest(found[-1][1]) if found else None
        for warning in self._warnings:
            self._say(f"warning: {warning}")
        return TrainingResult(
            plan=self._prepared.plan,
            run=self._prepared.run,
            checkpoints=tuple(path for _, path in found),
            resumed_from=resumed,
            records=tuple(records),
            train_loss=None if manifest is None else manifest.progress.train_loss,
            validation_loss=None if manifest is None else manifest.progress.validation_loss,
            warnings=tuple(self._warnings),
        )

    def _compare_versions(self, manifest: Manifest) -> None:
        now = self._provenance.versions
        for name, version in manifest.provenance.versions.items():
            if now.get(name) != version:
                self._warnings.append(
                    f"{name} was {version}, is {now.get(name)}: this run may differ from an uninterrupted one"
                )

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, highlight=False, markup=False)


@contextlib.contextmanager
def _memory_errors(trainer: Any) -> Iterator[None]:
    """Turn running out of memory into advice."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"step {trainer.state.global_step + 1}: out of GPU memory; halve training.batch_size and double "
            "gradient_accumulation, which trains the same"
        ) from error


@contextlib.contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Keep two processes from training one run at a time."""
    from filelock import FileLock, Timeout

    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigurationError(
            f"{run} is being trained by another process: wait for it, or rename the run"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep libraries from printing between the lines of plan and progress."""
    logging: Any = import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # They deprecate each other's names; there is nothing that a user could change.
            warnings.filterwarnings(
                "ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\b"
            )
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
