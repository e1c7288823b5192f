"""`harness train` as it is typed: what it prints, its exit codes, and what an interruption leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_training import SCRATCH, make_project
from typer.testing import CliRunner

from harness.cli.main import app
from harness.train.saving import complete_checkpoints

pytest.importorskip("trl", reason="training needs checkpoint-harness[train]")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "project")
    (root / "recipes").mkdir()
    path = root / "recipes" / "scratch.yaml"
    path.write_text(SCRATCH)
    return path


def invoke(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "120", "TERM": "dumb"})
    return result.exit_code, result.stdout, result.stderr


def test_the_plan_is_printed_and_nothing_written(recipe_file: Path) -> None:
    code, out, _ = invoke(recipe_file, "--plan")
    assert code == 0
    assert "scratch: full from scratch" in out
    assert "88 rows, 88 used" in out
    assert "80 train, 8 validation, 22 groups whole" in out
    assert "8 of 8 rows, warmup 1; 0.80 epochs of 10 steps" in out
    assert "runs/scratch/checkpoint-{4, 8}" in out
    assert not (recipe_file.parents[1] / "runs").exists()


def test_training_prints_plan_progress_and_checkpoints(recipe_file: Path) -> None:
    code, out, _ = invoke(recipe_file, "--max-steps", 4, "--why", "to see", "--output", "elsewhere")
    assert code == 0, out
    root = recipe_file.parents[1]
    assert "step 4/4  loss " in out
    assert "saved checkpoint-4  train loss " in out
    assert "done: elsewhere/scratch/checkpoint-4" in out
    assert '"why": "to see"' in (root / "elsewhere/scratch/checkpoint-4/manifest.json").read_text()
    code, out, _ = invoke(recipe_file, "--max-steps", 4, "--output", "elsewhere")
    assert code == 0
    assert "finished already" in out
    code, _, err = invoke(recipe_file, "--max-steps", 5, "--output", "elsewhere")
    assert code == 4
    assert "training.max_steps was 4, is 5" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nname: y\n", "scratch.yaml:2: the key 'name' is already given in line 1"),
        (SCRATCH.replace("batch_size", "batchsize"), "'training.batchsize': did you mean 'batch_size'?"),
        (SCRATCH.replace("orders.jsonl", "absent.jsonl"), "data/absent.jsonl: no such file"),
        (SCRATCH.replace("customer", "client"), "data/orders.jsonl:1: has no group 'client'"),
        (SCRATCH.replace("model: {", "base: nowhere\n#"), "no checkpoint 'nowhere'"),
    ],
    ids=["duplicate key", "typo", "no data", "no group", "no base"],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_code_4(recipe_file: Path, text: str, message: str) -> None:
    recipe_file.write_text(text)
    code, out, err = invoke(recipe_file)
    assert code == 4
    assert message in err
    assert "Traceback" not in out + err
    assert len(err.splitlines()) == 1
    assert not (recipe_file.parents[1] / "runs").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")
def test_a_terminated_run_says_how_to_go_on(recipe_file: Path) -> None:
    recipe_file.write_text(
        SCRATCH.replace("max_steps: 8", "max_steps: 2000").replace("every: 4", "every: 10")
    )
    command = [sys.executable, "-c", "from harness.cli.main import main; main()", "train", str(recipe_file)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        run = recipe_file.parents[1] / "runs/scratch"
        deadline = time.monotonic() + 120
        while len(complete_checkpoints(run)) < 2 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGTERM)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 2, err
    assert "interrupted: run the same command to go on" in err
    assert len(complete_checkpoints(run)) >= 2
