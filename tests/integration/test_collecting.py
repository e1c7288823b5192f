"""A session that only collects imports what collects, and nothing that runs, decides or stores."""

from __future__ import annotations

from .conftest import Project

LATE = (
    "harness.engine.cache",
    "harness.plugins.deciding.controller",
    "harness.plugins.running.rounds",
    "harness.sandbox",
    "harness.stats.paired",
    "harness.runs.store",
    "numpy",
    "arro3",
    "sqlite3",
)
TELLER = f"""
import sys

def pytest_unconfigure():
    print("late:", *(name for name in {LATE!r} if name in sys.modules))
"""


def test_only_what_collects_is_imported_for_collecting(sums_project: Project) -> None:
    sums_project.module(TELLER, "conftest.py")
    given = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl", "-p", "no:anyio", "-s")
    collected = sums_project.run_process(*given, "--collect-only")
    collected.stdout.fnmatch_lines(["late:"])
    ran = sums_project.run_process(*given)
    ran.stdout.fnmatch_lines([f"late: {' '.join(LATE)}"])
