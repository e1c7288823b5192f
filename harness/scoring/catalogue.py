"""The check types as tables of Markdown: `python -m harness.scoring.catalogue docs/scoring.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.files.marked_text import replace_marked
from harness.scoring.check_type import CheckType
from harness.scoring.registry import built_in_types

__all__ = ["refresh", "tables"]


def tables() -> str:
    """Return Markdown: a heading and a table for each module of check types, in alphabetical order."""
    rooms: dict[str, list[CheckType]] = {}
    for kind in built_in_types():
        rooms.setdefault(kind.build.__module__, []).append(kind)
    parts = []
    for module in sorted(rooms, key=_title):
        rows = [f"| `{kind.name}` | {_parameters(kind)} | {_meaning(kind)} |" for kind in rooms[module]]
        head = [f"### {_title(module)}", "", "| type | parameters | what passes |", "| --- | --- | --- |"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def refresh(text: str) -> str:
    """Return a page with the tables between its two markers renewed.

    Raises:
        ValueError: The page lacks a marker.
    """
    return replace_marked(text, "checks", tables())


def _title(module: str) -> str:
    """Return the first sentence of a module's docstring, without its mark at the end."""
    line = (inspect.getdoc(sys.modules[module]) or module).splitlines()[0]
    return line.rstrip(".").replace("|", "\\|")


def _meaning(kind: CheckType) -> str:
    """Return the first paragraph of the factory's docstring."""
    paragraph = (inspect.getdoc(kind.build) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def _parameters(kind: CheckType) -> str:
    shown = []
    for name, schema in kind.parameters.items():
        need = "**" if name in kind.required and name != kind.target else ""
        shown.append(f"{need}`{name}`{need}{_values(schema)}")
    return ", ".join(shown)


def _values(schema: Mapping[str, Any]) -> str:
    """Return the words that a parameter may have, where they are few."""
    words = schema.get("enum") or schema.get("items", {}).get("enum")
    if not words or len(words) > 8:
        return ""
    return f" ({', '.join(str(word) for word in words)})"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")
