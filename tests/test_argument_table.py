"""What docs/served-models.md says of the backends' arguments is what the backends declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.argument_table import argument_table, refresh_arguments
from harness.plugins.backends.hf import HFBackend


def test_the_page_lists_every_argument() -> None:
    page = (Path(__file__).parents[1] / "docs" / "served-models.md").read_text(encoding="utf-8")
    command = "run  python -m harness.engine.argument_table docs/served-models.md"
    assert page == refresh_arguments(page), command


def test_an_argument_that_two_backends_take_alike_stands_there_once() -> None:
    rows = argument_table().splitlines()[2:]
    assert rows == sorted(rows)
    assert f"| `device` | hf | {HFBackend.ARGUMENTS['device']} |" in rows
    (deadline,) = (row for row in rows if row.startswith("| `deadline` |"))
    assert "anthropic, openai" in deadline


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(
        ValueError, match="the page has no <!-- arguments: begin --> … <!-- arguments: end -->"
    ):
        refresh_arguments("<!-- arguments: begin -->")
