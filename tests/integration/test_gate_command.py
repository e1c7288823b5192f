"""`harness gate`: a child pytest, its exit code, and what reaches it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Project, right_except, sums

GOOD, BASE = "--model=replay/good.jsonl", "--baseline=replay/base.jsonl"
COMMAND = [sys.executable, "-m", "harness.cli", "gate", GOOD, BASE]

SLOW = """
import os
import pathlib
import time

def test_slow():
    pathlib.Path("child").write_text(str(os.getpid()))
    time.sleep(60)
"""


def gate(project: Project, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=project.path, capture_output=True, text=True, check=False, **options
    )


def test_the_results_are_left_where_they_are_wanted(sums_project: Project) -> None:
    for number, argument in enumerate((["--harness-json=a.json"], ["--harness-json", "b.json"])):
        done = gate(sums_project, *argument)
        assert done.returncode == 0, done.stderr
        found = json.loads((sums_project.path / f"{'ab'[number]}.json").read_text(encoding="utf-8"))
        assert found["verdicts"][0]["status"] == "PASS"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, False)]
)
def test_a_signal_reaches_pytest_which_keeps_its_work(
    sums_project: Project, number: int, to_all: bool
) -> None:
    """Some send SIGTERM to all processes of a job: pytest is then told twice."""
    sums_project.module(SLOW, "suites/test_zslow.py")
    running = subprocess.Popen(
        COMMAND, cwd=sums_project.path, stdin=subprocess.DEVNULL, start_new_session=True
    )
    child = sums_project.path / "child"
    deadline = time.monotonic() + 30
    while not (child.exists() and child.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    if to_all:
        os.killpg(running.pid, number)
    else:
        running.send_signal(number)
    assert running.wait(30) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
    assert [path.name for path in (sums_project.path / ".harness" / "runs").glob("*/run.json")] == [
        "run.json"
    ]


def test_a_run_cut_short_is_believed_where_it_blocks(project: Project) -> None:
    project.golden("sums", [case | {"must_pass": case["id"] == "c3"} for case in sums()])
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("good", right_except(lambda i: i == 3))
    assert gate(project, "-x").returncode == 1


def test_output_that_cannot_be_spelled_does_not_change_the_verdict(sums_project: Project) -> None:
    """A log in ASCII has no room for `Δ`."""
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = gate(sums_project, env=ascii_only)
    assert (done.returncode, "exit code 0" in done.stdout) == (0, True), done.stderr
    (run,) = [path.name for path in (sums_project.path / ".harness" / "runs").iterdir()]
    compare = [sys.executable, "-m", "harness.cli", "compare", run, run, "--allow-same"]
    done = subprocess.run(
        compare, cwd=sums_project.path, capture_output=True, text=True, check=False, env=ascii_only
    )
    assert (done.returncode, "PASS" in done.stdout) == (0, True), done.stderr


def test_a_command_that_breaks_is_no_regression(sums_project: Project, tmp_path: Path) -> None:
    """Python ends a program that breaks with 1, which is what a regression ends with."""
    (tmp_path / "sitecustomize.py").write_text(
        "import harness.runs.compare as broken\n"
        "def find_side(*given): raise ZeroDivisionError('a fault of our own')\n"
        "broken.find_side = find_side\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "compare", "a", "b"],
        cwd=sums_project.path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert "ZeroDivisionError: a fault of our own" in done.stderr
    assert done.returncode == 3


def test_a_command_line_that_cannot_be_read_is_a_usage_error(sums_project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "gate", BASE],
        cwd=sums_project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--model" in done.stderr
    assert done.returncode == 4
