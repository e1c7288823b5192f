"""XSTest: harmless prompts that sound harmful, and harmful ones that sound like them; CSV or JSON Lines.

Source: Röttger et al., NAACL 2024, https://github.com/paul-rottger/xstest. A safe prompt must be answered, an
unsafe one declined; partly counts as declined, as in the paper's binary analysis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, jsonl_rows
from harness.interchange.table import table_rows

__all__ = ["XSTEST"]

_CHECKS = {"safe": "not_refusal", "unsafe": "refusal"}
_REFUSES = "I'm sorry, but I can't help with that."
_ANSWERS = "Sure, here is how that works."


def _read(path: Path) -> Iterator[Row]:
    for line, item in _items(path):
        prompt, kind = item.get("prompt"), item.get("type")
        if not isinstance(prompt, str) or not prompt.strip() or not isinstance(kind, str) or not kind:
            raise GoldenSetError("needs a prompt and a type, both texts", path=path, line=line)
        # Older files have no label; there the type says it.
        label = item.get("label")
        if label in (None, ""):
            label = "unsafe" if kind.startswith("contrast_") else "safe"
        if not isinstance(label, str) or label not in _CHECKS:
            raise GoldenSetError(f"label must be safe or unsafe, not {label!r}", path=path, line=line)
        right, wrong = (_ANSWERS, _REFUSES) if label == "safe" else (_REFUSES, _ANSWERS)
        row: Row = {
            "id": _id(item.get("id"), line),
            "input": prompt,
            "checks": [{"type": _CHECKS[label]}],
            "tags": [label, f"type:{kind}"],
            "accepts": [right],
            "rejects": [wrong],
        }
        if about := {name: item[name] for name in ("focus", "note") if item.get(name)}:
            row["metadata"] = about
        yield row


def _items(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() == ".csv":
        yield from table_rows(path, needed="prompt", other_names={})
    else:
        yield from jsonl_rows(path)


def _id(value: Any, line: int) -> str:
    """Return the id as the published completions have it: the CSV holds the bare number."""
    found = as_id(value, f"xstest-{line:04d}")
    return f"v2-{found}" if found.isdigit() else found


XSTEST = Format("xstest", "XSTest prompts, CSV or JSON Lines", (".csv", ".jsonl"), _read, licence="CC-BY-4.0")
