"""Staged saving: a checkpoint is there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from harness.checkpoints.manifest import (
    Manifest,
    Provenance,
    TrainingProgress,
    read_manifest,
    record_files,
    verify_files,
)
from harness.train.saving import complete_checkpoints, publish, remove_checkpoint, stage_for

SIZE = 3_000_000


def save(run: Path, step: int) -> Path:
    stage = stage_for(run, step)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (stage / name).write_bytes(bytes([step % 256]) * SIZE)
    (stage / "trainer_state").mkdir()
    (stage / "trainer_state" / "state.json").write_text("{}")
    return publish(
        stage,
        Manifest(
            name="run",
            method="full",
            progress=TrainingProgress(step=step, max_steps=10_000, epoch=0.0),
            provenance=Provenance(who="test", why=None, created="now", seed=0),
            recipe={},
            data=(),
            files=record_files(stage),
        ),
    )


def save_for_ever(run: str, first: int) -> None:
    for step in range(first, first + 10_000):
        save(Path(run), step)
        if step > 3:
            remove_checkpoint(Path(run) / f"checkpoint-{step - 3}")


def test_a_saved_checkpoint_is_complete(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    assert path.name == "checkpoint-3"
    assert complete_checkpoints(tmp_path) == [(3, path)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint-3"]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (tmp_path / "checkpoint-3" / "config.json").write_text("old")
    path = save(tmp_path, 3)
    assert (path / "config.json").read_bytes() == b"\x03" * SIZE


def test_a_stage_starts_empty(tmp_path: Path) -> None:
    (stage_for(tmp_path, 3) / "left-over").write_text("x")
    assert list(stage_for(tmp_path, 3).iterdir()) == []


def test_incomplete_and_foreign_directories_are_ignored(tmp_path: Path) -> None:
    save(tmp_path, 9)
    save(tmp_path, 10)
    (tmp_path / "checkpoint-11").mkdir()
    stage_for(tmp_path, 12)
    (tmp_path / "checkpoint-best").mkdir()
    assert [step for step, _ in complete_checkpoints(tmp_path)] == [9, 10]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_kill_9_never_leaves_half_a_checkpoint(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__] if __name__ in sys.modules else [])
    draw = random.Random(1)
    for _ in range(10):
        found = complete_checkpoints(tmp_path)
        first = found[-1][0] + 1 if found else 1
        child = context.Process(target=save_for_ever, args=(str(tmp_path), first))
        child.start()
        assert child.pid is not None
        while not complete_checkpoints(tmp_path)[-1:] > found[-1:]:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        now = complete_checkpoints(tmp_path)
        assert now
        for step, path in now:
            manifest = read_manifest(path)
            assert manifest is not None
            assert manifest.progress.step == step
            verify_files(path, manifest)
