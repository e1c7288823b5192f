"""`harness golden test` notices a check that is weakened, in the shipped golden sets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cases import Case, Score
from harness.cli.golden import app
from harness.golden_sets.read import golden_names, load_golden
from harness.scoring import registry
from harness.scoring.check_type import Scorer
from harness.scoring.selftest import case_faults

ROOTS = [Path(__file__).parents[1] / "golden"]
TAKES_MINUTES = {"python_tests"}  # runs code; its examples notice (test_check_examples.py)


@cache
def cases_by_check() -> dict[str, list[Case]]:
    """Return the shipped cases that use each check type."""
    found: dict[str, list[Case]] = defaultdict(list)
    for name in golden_names(ROOTS):
        for case in load_golden(name, roots=ROOTS):
            for kind in {str(check["type"]) for check in case.checks} - TAKES_MINUTES:
                if case.accepts and case.rejects:
                    found[kind].append(case)
    return found


@pytest.fixture
def weakened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Replace a check by one that gives every answer the same score."""

    def replace_by(name: str, score: Score) -> None:
        def build(**parameters: Any) -> Scorer:
            return lambda case, response: score

        weak = replace(registry._BUILT_IN[name], build=build)
        monkeypatch.setattr(registry, "_BUILT_IN", {**registry._BUILT_IN, name: weak})
        clear()

    def clear() -> None:
        registry.check_type.cache_clear()
        registry._built.cache_clear()

    yield replace_by
    monkeypatch.undo()
    clear()


@pytest.mark.parametrize("name", sorted(cases_by_check()))
def test_the_shipped_cases_notice_a_check_that_decides_nothing(name: str, weakened: Any) -> None:
    cases = cases_by_check()[name]
    weakened(name, Score.passed())
    assert any(case_faults(case) for case in cases), f"{len(cases)} cases pass without {name}"
    weakened(name, Score.missed("no"))
    assert all(case_faults(case) for case in cases[:20])


def test_the_command_fails_where_a_check_is_weakened(weakened: Any) -> None:
    arguments = ["test", "safety", "--golden", str(ROOTS[0])]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    weakened("refusal", Score.passed())
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert re.search(r"rejects\[\d+\] passes", done.output)
