"""A session leaves Python's search for garbage as it found it."""

from __future__ import annotations

import gc

import pytest

from .conftest import Project

SUITE = """
import gc
import pytest

@pytest.mark.suite("sums")
def test_it(case, response):
    assert (gc.get_threshold()[0] >= 100_000) is {rarely}
    assert gc.get_freeze_count() > 0
"""


@pytest.mark.parametrize("before", [(700, 10, 10), (0, 10, 10)], ids=["on", "off"])
def test_thresholds_are_those_of_before(sums_project: Project, before: tuple[int, int, int]) -> None:
    kept = gc.get_threshold()
    sums_project.module(SUITE.format(rarely=bool(before[0])))
    try:
        gc.set_threshold(*before)
        code, record = sums_project.results("--model=replay/good.jsonl", "suites/test_own.py")
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*kept)
    assert gc.get_freeze_count() == 0
    assert {case["outcome"] for case in record["cases"]} == {"passed"}
    assert code == 10


WATCHER = """
import atexit
import gc

# What is registered first is called last.
atexit.register(lambda: print("frozen:", gc.get_freeze_count() > 0, flush=True))
"""
OPEN = """
import pytest

STREAM, GONE = open("left-open.txt", "w"), open("gone.txt", "w")

class Looped:
    def __init__(self):
        self.myself = self

    def __del__(self):
        print("gone", file=GONE)

@pytest.mark.suite("sums")
def test_it(case, response):
    Looped()
    print(case.id, file=STREAM)
"""
HOST = """
import sys
import pytest
import watcher
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_only_a_process_of_pytests_own_leaves_its_objects_to_the_system(sums_project: Project) -> None:
    sums_project.module(WATCHER, "watcher.py")
    sums_project.module(HOST, "host.py")
    given = ("--model=replay/good.jsonl", "-p", "no:cacheprovider")
    own = sums_project.run_process(*given, "-p", "watcher")
    called = sums_project.pytester.runpython_c(
        f"import sys; sys.argv[1:] = {given!r}; sys.path.insert(0, '.'); exec(open('host.py').read())"
    )
    own.stdout.fnmatch_lines(["frozen: True"])
    called.stdout.fnmatch_lines(["frozen: False"])


def test_what_tests_leave_behind_is_written_and_finalised_all_the_same(sums_project: Project) -> None:
    sums_project.module(OPEN)
    sums_project.run_process("--model=replay/good.jsonl", "suites/test_own.py")
    assert len((sums_project.path / "left-open.txt").read_text().split()) == 60
    assert len((sums_project.path / "gone.txt").read_text().split()) == 60
