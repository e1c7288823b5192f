"""The worked numbers of docs/statistics.md are what the code says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"


def test_the_examples_of_the_page_are_true() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 5
    said: list[str] = []
    found = doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert not found.failed, "".join(said)
