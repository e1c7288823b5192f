"""`kill -9` while checkpoints are saved: none is ever half there, and the run ends as if it had not been."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tiny_training import ADAPTER, SCRATCH, make_project, recipe, train_until_killed

from harness.checkpoints.manifest import read_manifest, verify_files
from harness.train.saving import check_state, complete_checkpoints

pytest.importorskip("trl", reason="training needs checkpoint-harness[train]")

SAVING = ADAPTER.replace("checkpoints: {every: 3}", "checkpoints: {every: 1}").replace(
    "epochs: 2", "max_steps: 40"
)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_again_and_again_it_ends_as_if_never(tmp_path: Path) -> None:
    from harness.train import run_training

    root = make_project(tmp_path / "project")
    run_training(recipe(SCRATCH), root=root)
    whole = run_training(recipe(SAVING, name="whole"), root=root)

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["trl.trainer.sft_trainer", "peft", "harness.train.runner", "tiny_training"]
    )
    text = SAVING.replace("name: adapter", "name: killed")
    target = root / "runs" / "killed"
    draw = random.Random(3)
    kills = 0
    for _ in range(30):
        child = context.Process(target=train_until_killed, args=(str(root), text))
        child.start()
        assert child.pid is not None
        before = _newest(target)
        deadline = time.monotonic() + 60
        while child.is_alive() and _newest(target) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.03))  # anywhere in the steps and saves that follow
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.join()
        for _, path in complete_checkpoints(target):
            manifest = read_manifest(path)
            assert manifest is not None
            verify_files(path, manifest)
            check_state(path)
        if child.exitcode == 0:
            break
    assert kills >= 4
    result = run_training(recipe(text), root=root)
    assert [path.name for path in result.checkpoints] == [path.name for path in whole.checkpoints]
    for mine, theirs in zip(result.checkpoints, whole.checkpoints, strict=True):
        name = "adapter_model.safetensors"
        assert (mine / name).read_bytes() == (theirs / name).read_bytes()
    assert [r.loss for r in result.records] == [r.loss for r in whole.records]
    assert not list(target.glob(".checkpoint-*"))


def _newest(run: Path) -> int:
    found = complete_checkpoints(run)
    return found[-1][0] if found else 0
