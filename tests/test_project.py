"""Where a run belongs, who made it, and what it tells while it runs."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from _pytest.config.findpaths import determine_setup
from rich.console import Console

from harness.errors import CheckpointError
from harness.project import find_root, provenance, relative_to_root
from harness.train.recorder import Recorder, StepRecord, read_log
from harness.train.sanity import curve_warnings


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


QUIET = "[project]\nname = 'app'\n"
ROOTS = {
    "a package that says nothing of pytest": ({"pytest.ini": "", "packages/app/pyproject.toml": QUIET}, "."),
    "a package with options of its own": (
        {"pytest.ini": "", "packages/app/pyproject.toml": f"{QUIET}[tool.pytest.ini_options]\n"},
        "packages/app",
    ),
    "a package with a table of its own": (
        {"pytest.toml": "", "packages/app/pyproject.toml": "[tool.pytest]\nxfail_strict = true\n"},
        "packages/app",
    ),
    "files of other tools": (
        {
            "pyproject.toml": "[tool.pytest.ini_options]\n",
            "packages/app/tox.ini": "[tox]\n",
            "packages/app/setup.cfg": "[metadata]\nname = 100%\n",
            "packages/app/pyproject.toml": "[tool.pytest]\n",
        },
        ".",
    ),
    "tox.ini": ({"pytest.ini": "", "packages/tox.ini": "[tox]\n[pytest]\n"}, "packages"),
    "setup.cfg": ({"pytest.ini": "", "packages/setup.cfg": "[tool:pytest]\n"}, "packages"),
    "packages that all say nothing": ({"pyproject.toml": QUIET, "packages/pyproject.toml": ""}, "packages"),
    "a package of another age": ({"packages/setup.py": "", "packages/app/.git/HEAD": ""}, "packages"),
}


@pytest.mark.parametrize("layout", ROOTS)
def test_the_root_is_pytests(tmp_path: Path, layout: str) -> None:
    files, root = ROOTS[layout]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    recipes = tmp_path / "packages" / "app" / "recipes"
    recipes.mkdir(parents=True)
    found, *_ = determine_setup(
        inifile=None, override_ini=None, args=[str(recipes)], rootdir_cmd_arg=None, invocation_dir=recipes
    )
    assert find_root(recipes) == found == (tmp_path / root).resolve()


def test_the_root_is_the_repository_where_nothing_speaks_of_pytest(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "setup.cfg").write_text("no section at all", encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    assert find_root(tmp_path / "recipes") == tmp_path.resolve()


def test_a_path_above_the_root_is_spelled_from_it(tmp_path: Path) -> None:
    assert relative_to_root(tmp_path / "data" / "rows.jsonl", tmp_path / "project") == "../data/rows.jsonl"


def test_provenance_names_commit_and_dirt(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "Ada Lovelace")
    git(tmp_path, "config", "user.email", "ada@example.org")
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    git(tmp_path, "add", "recipe.yaml")
    git(tmp_path, "commit", "-qm", "Start")
    clean = provenance(tmp_path, why="to see", seed=3)
    assert (clean.who, clean.why, clean.seed, clean.git_dirty) == ("Ada Lovelace", "to see", 3, False)
    assert clean.git_commit is not None
    assert len(clean.git_commit) == 40
    assert "checkpoint-harness" in clean.versions
    assert datetime.strptime(clean.created, "%Y-%m-%dT%H:%M:%SZ")  # as runs, baselines and noise spell it
    (tmp_path / "recipe.yaml").write_text("name: y\n")
    assert provenance(tmp_path, why=None, seed=0).git_dirty is True


def step(recorder: Recorder, number: int, loss: float = 1.0) -> None:
    recorder.step(step=number, epoch=0.1, loss=loss, learning_rate=1e-3, grad_norm=0.5, tokens=100)


@pytest.mark.parametrize(("terminal", "lines"), [(False, 21), (True, 0)], ids=["log", "terminal"])
def test_progress_is_a_bar_on_a_terminal_and_sparse_lines_elsewhere(
    tmp_path: Path, terminal: bool, lines: int
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, legacy_windows=False)
    with Recorder(tmp_path, max_steps=400, console=console) as recorder:
        for number in range(1, 401):
            step(recorder, number)
    assert sum(line.startswith("step ") for line in out.getvalue().splitlines()) == lines
    assert ("training" in out.getvalue()) is terminal


def test_a_curve_goes_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    first = Recorder(tmp_path, max_steps=10, console=None)
    step(first, 1, 3.0)
    step(first, 2, 2.0)
    assert first.window_loss() == 2.5
    first.validated(1.5)
    (tmp_path / "state").mkdir()
    first.write_log(tmp_path / "state")
    first.saved(tmp_path / "checkpoint-2", 2)
    step(first, 3, 9.0)  # lost: no checkpoint holds it
    again = Recorder(tmp_path, max_steps=10, console=None, earlier=read_log(tmp_path / "state"))
    assert again.tokens_seen == 200
    assert again.window_loss() is None
    step(again, 3, 1.0)
    again.flush()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses == [3.0, 2.0, 1.0]
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 4


def test_a_cut_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "ep')
    with pytest.raises(CheckpointError, match=r"log\.jsonl:1"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(CheckpointError, match="malformed"):
        read_log(tmp_path)


def curve(losses: list[float], validation: dict[int, float] | None = None) -> list[StepRecord]:
    measured = validation or {}
    return [
        StepRecord(number, 0.0, loss, 1e-3, 1.0, 10, 1.0, measured.get(number))
        for number, loss in enumerate(losses, 1)
    ]


def test_curves_that_went_wrong_are_said() -> None:
    assert curve_warnings(curve([4.0, 3.0, 2.0, 1.0])) == []
    (rose,) = curve_warnings(curve([1.0, 2.0, 3.0, 4.0]))
    assert "the training loss rose from 1.000 to 4.000" in rose
    (overfit,) = curve_warnings(curve([4.0, 3.0, 2.0, 1.0], {2: 1.0, 4: 2.0}))
    assert "lowest at step 2 (1.000) and ended at 2.000" in overfit
    assert curve_warnings(curve([4.0, 3.0, 2.0, 1.0], {2: 1.0, 4: 1.05})) == []
