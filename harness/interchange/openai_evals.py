"""OpenAI Evals' basic samples: JSON Lines of `input` (messages) and `ideal` (a text or several).

Field meanings: https://github.com/openai/evals/blob/main/docs/build-eval.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, input_of, jsonl_rows, only_text, target_texts

__all__ = ["OPENAI_EVALS"]


def _read(path: Path) -> Iterator[Row]:
    for line, sample in jsonl_rows(path):
        row: Row = {"id": as_id(sample.get("id"), f"{path.stem}-{line:04d}")}
        row |= input_of(sample.get("input"), path, line)
        ideal = sample.get("ideal")
        values = ideal if isinstance(ideal, list) else [ideal]
        if not values or not all(isinstance(value, str) and value for value in values):
            raise GoldenSetError("ideal must be a text or a list of texts", path=path, line=line)
        row["target"] = ideal
        row["checks"] = [{"type": "one_of", "values": values, "normalize": ["strip"]}]
        yield row


def _write(cases: Sequence[Case]) -> str:
    lines = []
    for case in cases:
        only_text(case, "OpenAI Evals")
        ideal = target_texts(case)
        if not ideal:
            raise GoldenSetError(
                f"case {case.id} has no target, and OpenAI Evals samples need an ideal answer"
            )
        messages = [message.as_dict() for message in case.messages]
        sample = {"id": case.id, "input": messages, "ideal": ideal[0] if len(ideal) == 1 else ideal}
        lines.append(json.dumps(sample, ensure_ascii=False))
    return "\n".join(lines) + "\n"


OPENAI_EVALS = Format("openai-evals", "OpenAI Evals samples, JSON Lines", (".jsonl",), _read, _write)
