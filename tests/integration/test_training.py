"""Training end to end on a model of a few thousand weights: what it leaves, how it resumes, when it stops."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_training import ADAPTER, SCRATCH, make_project, recipe, write_rows

from harness.checkpoints.manifest import read_manifest, verify_files
from harness.errors import CheckpointError, ConfigurationError, TrainingError, UsageError

pytest.importorskip("trl", reason="training needs checkpoint-harness[train]")

from harness.train import TrainingResult, run_training


def weights(checkpoint: Path) -> str:
    """Digest of a checkpoint's tensors."""
    (file,) = checkpoint.glob("*.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A base trained from scratch for eight steps."""
    root = make_project(tmp_path_factory.mktemp("project"))
    return run_training(recipe(SCRATCH), root=root)


@pytest.fixture(scope="module")
def adapter(trained: TrainingResult) -> TrainingResult:
    """An adapter on that base, trained without interruption."""
    return run_training(recipe(ADAPTER), root=trained.run.parent.parent)


@pytest.fixture
def project(trained: TrainingResult, tmp_path: Path) -> Path:
    """A copy of the project with the trained base, to break."""
    shutil.copytree(trained.run.parent.parent, tmp_path / "project", ignore=shutil.ignore_patterns("adapter"))
    return tmp_path / "project"


def test_a_checkpoint_stands_alone_and_says_how_it_was_made(trained: TrainingResult) -> None:
    assert [path.name for path in trained.checkpoints] == ["checkpoint-4", "checkpoint-8"]
    last = trained.checkpoints[-1]
    manifest = read_manifest(last)
    assert manifest is not None
    verify_files(last, manifest)
    assert manifest.progress.step == 8
    assert manifest.progress.validation_loss == trained.validation_loss
    assert manifest.provenance.why == "a base for tests"
    assert manifest.data[0].path == "data/orders.jsonl"
    assert manifest.data[0].rows == 88
    root = trained.run.parent.parent
    assert manifest.data[0].sha256 == hashlib.sha256((root / "data/orders.jsonl").read_bytes()).hexdigest()
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= set(
        manifest.files
    )
    pickles = [path for path in last.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    assert pickles == []
    text = "".join(path.read_text() for path in last.rglob("*.json"))
    assert str(root) not in text  # home paths stay at home


def test_the_loss_falls_and_every_step_is_recorded(trained: TrainingResult) -> None:
    assert [record.step for record in trained.records] == list(range(1, 9))
    assert trained.records[-1].loss < trained.records[0].loss - 0.5
    assert sum(record.tokens for record in trained.records) > 0
    lines = (trained.run / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))
    assert (trained.run / "curves.csv").read_text().startswith("step,epoch,loss,")


def test_losses_are_pinned(trained: TrainingResult) -> None:
    # ln(300) is what an untrained model must give over 300 tokens, whatever the rest of the stack does.
    assert trained.records[0].loss == pytest.approx(5.70, abs=0.15)
    assert trained.validation_loss == pytest.approx(4.896, abs=0.05)


def test_training_again_is_a_no_op(trained: TrainingResult) -> None:
    before = weights(trained.checkpoints[-1])
    again = run_training(recipe(SCRATCH), root=trained.run.parent.parent)
    assert again.checkpoints == trained.checkpoints
    assert weights(again.checkpoints[-1]) == before


def test_an_adapter_names_its_base_by_path_and_fingerprint(
    adapter: TrainingResult, trained: TrainingResult
) -> None:
    from harness.checkpoints.fingerprint import fingerprint_directory

    last = adapter.checkpoints[-1]
    manifest = read_manifest(last)
    assert manifest is not None
    assert manifest.base is not None
    assert manifest.base.fingerprint == fingerprint_directory(trained.checkpoints[-1])[0]
    config = json.loads((last / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "runs/scratch/checkpoint-8"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (last / "tokenizer.json").is_file()
    assert not (last / "model.safetensors").exists()


@pytest.mark.parametrize("stop", [3, 5, 6], ids=["mid-epoch", "epoch boundary", "second epoch"])
def test_a_resumed_run_equals_an_uninterrupted_one(project: Path, adapter: TrainingResult, stop: int) -> None:
    assert adapter.plan.steps.per_epoch == 5
    every = {"checkpoints__every": stop}
    whole = run_training(recipe(ADAPTER, name="whole", **every), root=project)

    class PowerCutError(Exception):
        """Stands for a power cut right after a checkpoint."""

    def cut(path: Path) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run_training(recipe(ADAPTER, name="cut", **every), root=project, on_checkpoint=cut)
    resumed = run_training(recipe(ADAPTER, name="cut", **every), root=project, resume=True)
    assert resumed.resumed_from is not None
    assert resumed.resumed_from.name == f"checkpoint-{stop}"
    assert [r.loss for r in resumed.records] == [r.loss for r in whole.records]
    assert [r.validation_loss for r in resumed.records] == [r.validation_loss for r in whole.records]
    assert [weights(path) for path in resumed.checkpoints] == [weights(path) for path in whole.checkpoints]


def test_a_full_run_resumes_identically_too(project: Path, trained: TrainingResult) -> None:
    shutil.rmtree(project / "runs/scratch/checkpoint-8")
    resumed = run_training(recipe(SCRATCH), root=project, resume=True)
    assert [r.loss for r in resumed.records] == [r.loss for r in trained.records]
    assert weights(resumed.checkpoints[-1]) == weights(trained.checkpoints[-1])


def test_gradient_accumulation_changes_nothing_but_rounding(project: Path) -> None:
    text = SCRATCH.replace("max_steps: 8", "max_steps: 3")
    one = run_training(recipe(text, name="one"), root=project)
    four = run_training(
        recipe(text, name="four", training__batch_size=2, training__gradient_accumulation=4), root=project
    )
    assert [r.loss for r in four.records] == pytest.approx([r.loss for r in one.records], rel=1e-4)


def test_the_loss_is_that_of_a_plain_forward_pass(project: Path) -> None:
    """The first step's loss equals a plain forward pass over the same rows, prompt masked."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = project / "runs/scratch/checkpoint-8"
    settings = recipe(
        ADAPTER,
        name="one-step",
        training__max_steps=1,
        training__epochs=None,
        training__batch_size=36,
        training__gradient_accumulation=1,
    )
    result = run_training(settings, root=project)
    assert result.plan.data.train_rows == 36
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    model.eval()
    held_out = _validation_prompts(settings, project)
    total, count = 0.0, 0
    for line in (project / "data/refunds.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["prompt"] in held_out:
            continue
        prompt = [{"role": "user", "content": row["prompt"]}]
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)
        before = asked["input_ids"]
        turn = tokenizer(row["completion"] + "<|im_end|>", add_special_tokens=False)["input_ids"]
        ids = torch.tensor([before + turn])
        labels = torch.tensor([[-100] * len(before) + turn])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels).loss) * len(turn)
        count += len(turn)
    assert result.records[0].loss == pytest.approx(total / count, rel=1e-4)


def _validation_prompts(settings: object, project: Path) -> set[str]:
    from harness.train.prepare import prepare
    from harness.train.recipe import Recipe

    assert isinstance(settings, Recipe)
    return {row.example.messages[0]["content"] for row in prepare(settings, project).validation}


def test_a_diverging_run_says_so(project: Path) -> None:
    hot = {"learning_rate": 2.0, "max_grad_norm": 0.0, "warmup": 0.0, "schedule": "constant", "max_steps": 20}
    result = run_training(recipe(SCRATCH, name="hot", training=hot), root=project)
    assert any("training loss rose" in warning for warning in result.warnings)


def test_nan_weights_in_the_base_stop_the_first_step(project: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = project / "runs/scratch/checkpoint-8"
    tensors = load_file(base / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    (base / "manifest.json").unlink()
    with pytest.raises(TrainingError, match=r"step 1: the loss is nan.*data/refunds\.jsonl:\d+"):
        run_training(recipe(ADAPTER, name="nan"), root=project)
    assert not list((project / "runs/nan").glob("*checkpoint-*"))


def test_a_damaged_base_is_refused(project: Path) -> None:
    weights_file = project / "runs/scratch/checkpoint-8/model.safetensors"
    data = bytearray(weights_file.read_bytes())
    data[-5] ^= 1
    weights_file.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors.*damaged"):
        run_training(recipe(ADAPTER), root=project)


@pytest.fixture
def half(project: Path) -> Path:
    """A project whose scratch run stopped after step 4."""
    shutil.rmtree(project / "runs/scratch/checkpoint-8")
    return project


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"training__learning_rate": 0.001}, r"training\.learning_rate was 0\.004, is 0\.001"),
        ({"training__seed": 5}, r"training\.seed"),
        ({"training__max_steps": 20}, r"training\.max_steps"),
        ({"data__split": {"validation": 0.2, "group": "customer"}}, r"data\.split\.validation"),
    ],
)
def test_a_changed_recipe_does_not_resume(half: Path, changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        run_training(recipe(SCRATCH, **changes), root=half)


def test_changed_data_do_not_resume(half: Path) -> None:
    with (half / "data/orders.jsonl").open("a") as stream:
        turns = [{"role": "user", "content": "New?"}, {"role": "assistant", "content": "Yes."}]
        stream.write(json.dumps({"messages": turns, "customer": "C1"}) + "\n")
    with pytest.raises(ConfigurationError, match=r"the data in data/orders\.jsonl"):
        run_training(recipe(SCRATCH), root=half)


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "trainer_state.json"])
def test_a_checkpoint_without_its_state_does_not_resume(half: Path, name: str) -> None:
    (half / "runs/scratch/checkpoint-4/trainer_state" / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        run_training(recipe(SCRATCH), root=half)


def test_damaged_weights_do_not_resume(half: Path) -> None:
    file = half / "runs/scratch/checkpoint-4/model.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        run_training(recipe(SCRATCH), root=half)


def test_restart_starts_over_and_resume_demands_a_checkpoint(half: Path) -> None:
    again = run_training(recipe(SCRATCH, training__learning_rate=0.001), root=half, restart=True)
    assert again.resumed_from is None
    assert again.records[0].step == 1
    shutil.rmtree(half / "runs/scratch")
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        run_training(recipe(SCRATCH), root=half, resume=True)


def test_half_written_checkpoints_are_ignored_and_removed(half: Path, trained: TrainingResult) -> None:
    partial = half / "runs/scratch/.checkpoint-6.partial"
    shutil.copytree(half / "runs/scratch/checkpoint-4", partial)
    bare = half / "runs/scratch/checkpoint-7"  # somebody's copy that broke off before the manifest
    shutil.copytree(half / "runs/scratch/checkpoint-4", bare)
    (bare / "manifest.json").unlink()
    resumed = run_training(recipe(SCRATCH), root=half)
    assert resumed.resumed_from is not None
    assert resumed.resumed_from.name == "checkpoint-4"
    assert not partial.exists()
    assert weights(resumed.checkpoints[-1]) == weights(trained.checkpoints[-1])


def test_only_the_newest_are_kept(project: Path) -> None:
    result = run_training(recipe(SCRATCH, name="few", checkpoints={"every": 2, "keep": 2}), root=project)
    assert [path.name for path in result.checkpoints] == ["checkpoint-6", "checkpoint-8"]
    assert sorted(path.name for path in result.run.glob("*checkpoint*")) == ["checkpoint-6", "checkpoint-8"]


def test_weights_that_do_not_change_are_an_error(project: Path) -> None:
    settings = recipe(SCRATCH, name="frozen", training__learning_rate=1e-30)
    for _ in range(2):  # run again, it is not taken for finished
        with pytest.raises(TrainingError, match="no trained weight has changed"):
            run_training(settings, root=project)
        assert [path.name for path in (project / "runs/frozen").glob("checkpoint-*")] == ["checkpoint-4"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limits on files on this system")
def test_a_disk_without_room_keeps_the_checkpoints_before(project: Path) -> None:
    import resource

    settings = recipe(SCRATCH, name="full")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(_: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    try:
        with pytest.raises(TrainingError, match="step 8: the checkpoint could not be written"):
            run_training(settings, root=project, on_checkpoint=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (project / "runs/full").glob("checkpoint-*")] == ["checkpoint-4"]
    assert [path.name for path in run_training(settings, root=project).checkpoints] == [
        "checkpoint-4",
        "checkpoint-8",
    ]


def test_a_resumed_run_may_end_with_steps_that_change_next_to_nothing(project: Path) -> None:
    """What counts is what has changed since the base; a schedule may end at a rate of zero."""
    changes = {"training__learning_rate": 2e-9, "training__warmup": 0, "checkpoints__every": 7}
    settings = recipe(SCRATCH, name="slow", **changes)
    last = run_training(settings, root=project).checkpoints[-1]
    shutil.rmtree(last)
    assert run_training(settings, root=project).checkpoints[-1] == last


def test_rows_that_are_too_long_are_an_error_or_counted(project: Path) -> None:
    rows = [{"prompt": f"Say {'word ' * count}{count}", "completion": "Done."} for count in (1, 2, 3, 4, 200)]
    write_rows(project / "data/long.jsonl", rows)
    changes = {"data__sources": [{"path": "data/long.jsonl"}], "data__split": {}, "training__max_steps": 1}
    with pytest.raises(UsageError, match=r"data/long\.jsonl:5: has \d+ tokens, training\.max_length is 96"):
        run_training(recipe(SCRATCH, name="long", **changes), root=project)
    result = run_training(recipe(SCRATCH, name="long", data__long_rows="drop", **changes), root=project)
    assert result.plan.data.too_long == 1
    assert result.plan.data.train_rows == 4


def test_an_adapter_is_no_base(project: Path, adapter: TrainingResult) -> None:
    shutil.copytree(adapter.run, project / "runs/adapter")
    settings = recipe(ADAPTER, name="stacked", base="runs/adapter/checkpoint-3")
    with pytest.raises(CheckpointError, match="is an adapter"):
        run_training(settings, root=project)


def test_target_modules_that_do_not_exist_are_named(project: Path) -> None:
    settings = recipe(ADAPTER, name="typo", lora={"target_modules": ["q_porj"]})
    with pytest.raises(ConfigurationError, match="no linear layer 'q_porj'; it has down_proj"):
        run_training(settings, root=project)


def test_a_run_is_trained_by_one_process_at_a_time(project: Path) -> None:
    from filelock import FileLock

    with FileLock(project / "runs/scratch/.lock"), pytest.raises(ConfigurationError, match="another process"):
        run_training(recipe(SCRATCH), root=project)


def test_the_faster_loss_is_taken_where_it_is_the_same(project: Path) -> None:
    from harness.train.prepare import prepare
    from harness.train.recorder import Recorder
    from harness.train.trainer import Session, make_trainer

    changes = {"name": "fast", "training__max_steps": 1, "training__epochs": None}
    settings = recipe(ADAPTER, **changes)
    prepared = prepare(settings, project)
    recorder = Recorder(prepared.run, max_steps=1, console=None)
    session = Session(
        settings,
        prepared.plan,
        prepared.train,
        (),
        prepared.tokenizer,
        prepared.run,
        recorder,
        lambda _: None,
    )
    trainer = make_trainer(prepared.model, session)
    trainer.train()
    assert trainer.labelled_only
    # A model that scales its hidden states before the output layer must not take it.
    prepared.model.get_base_model().lm_head.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 3,))
    other = make_trainer(prepared.model, session)
    other.train()
    assert not other.labelled_only
