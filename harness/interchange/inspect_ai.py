"""Inspect's samples: JSON Lines of `input`, `target`, `choices`, `id`, `metadata`.

Field meanings: https://inspect.aisi.org.uk/datasets.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, input_of, jsonl_rows, only_text, target_texts

__all__ = ["INSPECT"]

_UNREAD = ("files", "sandbox", "setup")
"""What gives a sample tools and a place to use them."""


def _read(path: Path) -> Iterator[Row]:
    for line, sample in jsonl_rows(path):
        if unread := [key for key in _UNREAD if sample.get(key)]:
            raise GoldenSetError(f"`{unread[0]}` of a sample is not read", path=path, line=line)
        row: Row = {"id": as_id(sample.get("id"), f"{path.stem}-{line:04d}")}
        row |= input_of(sample.get("input"), path, line)
        target = sample.get("target")
        if choices := sample.get("choices"):
            row |= _choices(choices, target, path, line)
        elif target not in (None, "", []):
            row["target"] = target
            if isinstance(target, list):
                row["checks"] = [{"type": "one_of", "values": [str(value) for value in target]}]
        if metadata := sample.get("metadata"):
            row["metadata"] = metadata
        yield row


def _choices(choices: Any, target: Any, path: Path, line: int) -> Row:
    """Return choices and target; Inspect names the right choice by its letter."""
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise GoldenSetError("choices must be a list of texts", path=path, line=line)
    letters = target if isinstance(target, list) else [target]
    found = [ord(letter) - ord("A") for letter in letters if isinstance(letter, str) and len(letter) == 1]
    if len(found) != len(letters) or not all(0 <= index < len(choices) for index in found):
        raise GoldenSetError(
            f"the target of choices must be their letters, not {target!r}", path=path, line=line
        )
    return {"choices": choices, "target": found[0] if len(found) == 1 else found}


def _write(cases: Sequence[Case]) -> str:
    lines = []
    for case in cases:
        only_text(case, "Inspect", choices=True, checks=True)
        plain = len(case.messages) == 1 and case.messages[0].role == "user"
        sample: Row = {
            "id": case.id,
            "input": case.input if plain else [message.as_dict() for message in case.messages],
        }
        if case.continuations:
            sample["choices"] = [continuation.text for continuation in case.continuations]
            sample["target"] = _letters(case)
        elif targets := target_texts(case):
            sample["target"] = targets[0] if len(targets) == 1 else targets
        metadata = dict(case.metadata)
        if case.tags:
            metadata["tags"] = list(case.tags)
        if case.checks:
            metadata["checks"] = [dict(check) for check in case.checks]
        if metadata:
            sample["metadata"] = metadata
        lines.append(json.dumps(sample, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _letters(case: Case) -> str | list[str]:
    texts = [continuation.text for continuation in case.continuations]
    wanted = case.target if isinstance(case.target, list) else [case.target]
    indices = [
        value if isinstance(value, int) else texts.index(value) if value in texts else -1 for value in wanted
    ]
    if not all(0 <= index < min(len(texts), 26) for index in indices):
        raise GoldenSetError(f"case {case.id}: its target {case.target!r} is none of its choices")
    letters = [chr(ord("A") + index) for index in indices]
    return letters[0] if len(letters) == 1 else letters


INSPECT = Format("inspect", "Inspect samples, JSON Lines", (".jsonl",), _read, _write)
