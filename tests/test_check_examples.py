"""Every built-in check is held to its own examples, and the examples notice a check that decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cases import Case, Message, Score
from harness.errors import MissingDependencyError
from harness.sandbox import code_allowed
from harness.scoring import registry
from harness.scoring.catalogue import refresh
from harness.scoring.check_type import CheckType, Example, Scorer
from harness.scoring.selftest import case_faults

WITHOUT_REJECTS = {"allow_empty"}  # it passes any answer, on purpose
# Checks that read more of a response than its text, or need a model.
WITHOUT_EXAMPLES = {"ends_by_itself", "exact_greedy", "perplexity", "semantic_similarity"}


EXAMPLES = [
    pytest.param(kind, example, id=f"{name}-{index}")
    for name, kind in registry._BUILT_IN.items()
    for index, example in enumerate(kind.examples)
]


def case_of(kind: CheckType, example: Example) -> Case:
    return Case(
        "example",
        (Message("user", "?"),),
        checks=({"type": kind.name, **example.parameters},),
        tools=example.tools,
        accepts=example.accepts,
        rejects=example.rejects,
    )


@pytest.fixture
def weakened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Replace a check by one that gives every answer the same score."""

    def replace_by(kind: CheckType, score: Score) -> None:
        def build(**parameters: Any) -> Scorer:
            return lambda case, response: score

        weak = replace(kind, build=build)
        monkeypatch.setattr(registry, "_BUILT_IN", {**registry._BUILT_IN, kind.name: weak})
        clear()

    def clear() -> None:
        registry.check_type.cache_clear()
        registry._built.cache_clear()

    yield replace_by
    monkeypatch.undo()
    clear()


def test_the_page_lists_every_check() -> None:
    page = Path(__file__).parents[1] / "docs" / "scoring.md"
    text = page.read_text(encoding="utf-8")
    assert text == refresh(text), "run  python -m harness.scoring.catalogue docs/scoring.md"


def test_every_check_has_examples_of_both_kinds() -> None:
    for name, kind in registry._BUILT_IN.items():
        if name in WITHOUT_EXAMPLES:
            continue
        assert kind.examples, f"{name} has no examples: say beside it what it accepts and rejects"
        assert any(example.accepts for example in kind.examples), f"{name} accepts no example"
        assert name in WITHOUT_REJECTS or all(example.rejects for example in kind.examples), name


@pytest.fixture(autouse=True)
def examples_may_run() -> Iterator[None]:
    with code_allowed():
        yield


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_each_check_decides_its_examples(kind: CheckType, example: Example) -> None:
    try:
        assert case_faults(case_of(kind, example)) == []
    except MissingDependencyError as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_a_weakened_check_fails_its_examples(kind: CheckType, example: Example, weakened: Any) -> None:
    weakened(kind, Score.passed())
    assert len(case_faults(case_of(kind, example))) == len(example.rejects)
    weakened(kind, Score.missed("no"))
    assert len(case_faults(case_of(kind, example))) == len(example.accepts)
