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
