"""Without a name that guards training nothing is trained, or saved: a refusal that names it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hidden_names import hidden
from tiny_training import SCRATCH, make_project, recipe

pytest.importorskip("trl", reason="training needs checkpoint-harness[train]")

from harness.errors import IncompatibleLibraryError
from harness.train import TrainingResult, run_training, trainer
from harness.upstream import trainer_internals
from harness.upstream.private_name import PrivateName

RESUMING = ("_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state")
SHORT = recipe(SCRATCH, training__max_steps=2, checkpoints__every=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return run_training(SHORT, root=make_project(tmp_path_factory.mktemp("project")))


@pytest.fixture
def cut(trained: TrainingResult, tmp_path: Path) -> Path:
    """The project, as if its training had been killed after the first of two steps."""
    root = shutil.copytree(trained.run.parent.parent, tmp_path / "project")
    shutil.rmtree(root / "runs" / "scratch" / "checkpoint-2")
    return root


@pytest.fixture(autouse=True)
def _defined_anew() -> Any:
    """The trainer is defined once for each process, by what it finds then."""
    yield
    trainer._trainer_class.cache_clear()


def refused(root: Path, name: object, *, resume: bool) -> None:
    trainer._trainer_class.cache_clear()
    with pytest.raises(IncompatibleLibraryError, match=f"has no {name}, by which") as raised:
        run_training(SHORT, root=root, resume=resume)
    assert raised.value.exit_code == 4
    left = sorted(path.name for path in (root / "runs" / "scratch").glob("checkpoint-*"))
    assert left == (["checkpoint-1"] if resume else [])


@pytest.mark.parametrize("name", trainer_internals.NAMES, ids=str)
def test_without_a_safeguard_nothing_is_trained(
    cut: Path, tmp_path: Path, name: PrivateName, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.name == "_send_telemetry":
        monkeypatch.setattr(trainer_internals, "_sends", lambda trainer: True)  # TRL 1.0 sends nothing
    resume = name.name in RESUMING
    with hidden(name):
        refused(cut if resume else make_project(tmp_path / "new"), name, resume=resume)


def test_a_fresh_run_needs_nothing_to_go_on_from(tmp_path: Path, trained: TrainingResult) -> None:
    (name,) = [name for name in trainer_internals.NAMES if name.name == "_load_rng_state"]
    with hidden(name):
        again = run_training(SHORT, root=make_project(tmp_path / "new"))
    assert [record.loss for record in again.records] == [record.loss for record in trained.records]


def test_an_argument_that_a_recipe_needs_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trl

    fields = dict(trl.SFTConfig.__dataclass_fields__)
    monkeypatch.setattr(
        trl.SFTConfig, "__dataclass_fields__", {key: fields[key] for key in fields if key != "weight_decay"}
    )
    refused(make_project(tmp_path / "new"), "trl.SFTConfig.weight_decay", resume=False)


def test_a_step_whose_gradient_nobody_looked_at_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.trainer_callback import CallbackHandler

    def silent(self: Any, args: Any, state: Any, control: Any) -> Any:
        return control

    monkeypatch.setattr(CallbackHandler, "on_pre_optimizer_step", silent)
    refused(
        make_project(tmp_path / "new"), "transformers.TrainerCallback.on_pre_optimizer_step", resume=False
    )


@pytest.mark.parametrize("name", RESUMING[1:])
def test_a_resumed_run_without_all_of_its_state_ends_before_a_step(
    cut: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(trainer_internals.guarded_trainer(), name, lambda self, checkpoint: None)
    refused(cut, f"trl.SFTTrainer.{name}", resume=True)


def test_a_trl_without_telemetry_needs_none_to_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As TRL 1.0, which sends nothing and has no method for it."""
    monkeypatch.setattr(trainer_internals, "_sends", lambda trainer: False)
    (name,) = [name for name in trainer_internals.NAMES if name.name == "_send_telemetry"]
    with hidden(name):
        assert trainer_internals.guarded_trainer()


def test_telemetry_is_told_from_what_a_module_names() -> None:
    import trl

    assert trainer_internals._sends(trl.SFTTrainer) is hasattr(trl.SFTTrainer, "_send_telemetry")
    assert not trainer_internals._sends(dict)
