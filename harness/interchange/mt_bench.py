"""MT-Bench: 80 questions of two turns, JSON Lines of `question_id`, `category`, `turns`, `reference`.

Source: Zheng et al., NeurIPS 2023, https://github.com/lm-sys/FastChat. Both turns are graded, as there: each
turn is a case of its own, and the turns of a question are one cluster. The first turn is answered once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, jsonl_rows

__all__ = ["MT_BENCH"]

_RUBRIC = """\
A good answer does what its turn asks for, correctly, completely and on the subject, with the depth that the \
question deserves; a later turn also builds on what was said before it.
10: nothing of substance could be better. 7: right and helpful, with small flaws. 4: helps in part, or has a \
clear mistake. 1: wrong, off the subject, or no answer.
A REFERENCE, where there is one, is right: results that differ from it are wrong."""


def _read(path: Path) -> Iterator[Row]:
    for line, item in jsonl_rows(path):
        turns = item.get("turns")
        if not isinstance(turns, list) or not turns or not all(isinstance(t, str) and t for t in turns):
            raise GoldenSetError("turns must be a list of texts that are not empty", path=path, line=line)
        name = as_id(item.get("question_id"), f"{line:04d}")
        references = _references(item.get("reference"), path, line)
        for index in range(len(turns)):
            row: Row = {"id": f"mt-bench-{name}-turn-{index + 1}", "cluster": f"mt-bench-{name}"}
            row |= {"input": turns[0]} if index == 0 else {"turns": turns[: index + 1]}
            tags = [f"turn:{index + 1}"]
            if isinstance(item.get("category"), str) and item["category"]:
                tags.insert(0, f"category:{item['category']}")
            row["tags"] = tags
            if index < len(references) and references[index].strip():
                row["target"] = references[index]
            yield row


def _references(value: Any, path: Path, line: int) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise GoldenSetError("reference must be a list of texts, one a turn", path=path, line=line)
    return value


MT_BENCH = Format(
    "mt-bench",
    "MT-Bench questions, JSON Lines",
    (".jsonl",),
    _read,
    licence="Apache-2.0",
    sampling={"max_tokens": 1024},
    rubric=_RUBRIC,
)
