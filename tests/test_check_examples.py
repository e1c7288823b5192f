"""Every built-in check is held to its own examples, and the examples notice a check that is weakened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cases import Outcome, Response, Score
from harness.errors import MissingDependencyError
from harness.sandbox import code_allowed
from harness.scoring import registry, scorers
from harness.scoring.catalogue import refresh
from harness.scoring.check_type import CheckType, Example, Scorer
from harness.scoring.selftest import example_case, example_faults

WITHOUT_REJECTS = {"allow_empty"}  # it passes any answer, on purpose
WITHOUT_EXAMPLES = {"not_toxic", "semantic_similarity"}  # need a model; their tests make one
# They change no decision: limits (test_sandbox.py), and what a form is worth (test_format_checks.py).
WITHOUT_EFFECT = {("python_tests", "seconds"), ("python_tests", "memory"), ("json", "credit")}

EXAMPLES = [
    pytest.param(kind, example, id=f"{name}-{index}")
    for name, kind in registry._BUILT_IN.items()
    for index, example in enumerate(kind.examples)
]
OPTIONAL = [
    pytest.param(kind, name, id=f"{kind.name}-{name}")
    for kind in registry._BUILT_IN.values()
    for name in kind.parameters
    if name not in kind.required and kind.examples and (kind.name, name) not in WITHOUT_EFFECT
]
Weaken = Callable[[CheckType, Callable[..., Scorer]], None]


@pytest.fixture
def weakened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Weaken]:
    """Replace what builds a check."""

    def replace_by(kind: CheckType, build: Callable[..., Scorer]) -> None:
        weak = replace(kind, build=build)
        monkeypatch.setattr(registry, "_BUILT_IN", {**registry._BUILT_IN, kind.name: weak})
        clear()

    def clear() -> None:
        registry.check_type.cache_clear()
        registry._built.cache_clear()

    yield replace_by
    monkeypatch.undo()
    clear()


def always(score: Score) -> Callable[..., Scorer]:
    return lambda **parameters: lambda case, response: score


def faults_of(kind: CheckType, example: Example) -> list[str]:
    faults = example_faults(kind, example)
    if absent := [fault for fault in faults if "is not installed" in fault]:
        pytest.skip(absent[0])
    return faults


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
    assert faults_of(kind, example) == []


def test_each_check_is_a_function_under_its_name() -> None:
    assert scorers.__all__ == sorted(registry._BUILT_IN)
    for name, kind in registry._BUILT_IN.items():
        assert getattr(scorers, name) is kind.build


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_called_as_a_function_it_decides_the_same(kind: CheckType, example: Example) -> None:
    try:
        scorer = getattr(scorers, kind.name)(**example.parameters)
    except MissingDependencyError as problem:
        pytest.skip(str(problem))
    case = example_case(kind, example)
    for answers, passes in ((example.accepts, True), (example.rejects, False)):
        for answer in answers:
            response = Response(answer) if isinstance(answer, str) else answer
            if response.text.strip() or response.likelihoods:
                assert (scorer(case, response).outcome is Outcome.PASSED) is passes, answer


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_a_check_that_decides_nothing_fails_its_examples(
    kind: CheckType, example: Example, weakened: Weaken
) -> None:
    weakened(kind, always(Score.passed()))
    assert len(faults_of(kind, example)) == len(example.rejects)
    weakened(kind, always(Score.missed("no")))
    assert len(faults_of(kind, example)) == len(example.accepts)


@pytest.mark.parametrize(("kind", "parameter"), OPTIONAL)
def test_a_check_that_ignores_a_parameter_fails_its_examples(
    kind: CheckType, parameter: str, weakened: Weaken
) -> None:
    def build(**parameters: Any) -> Scorer:
        parameters.pop(parameter, None)
        return kind.build(**parameters)

    examples = [example for example in kind.examples if parameter in example.parameters]
    assert examples, f"no example of {kind.name} uses {parameter}"
    assert not any(faults_of(kind, example) for example in examples)
    weakened(kind, build)
    assert any(faults_of(kind, example) for example in examples), f"none needs {parameter}"
