"""GSM8K: grade-school word problems, JSON Lines of `question` and `answer` that ends in `#### NUMBER`.

Source: Cobbe et al. 2021, https://github.com/openai/grade-school-math.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, jsonl_rows
from harness.scoring.text.number_text import parse_number

__all__ = ["GSM8K"]

_MARKER = "####"


def _read(path: Path, marker: str | None = None) -> Iterator[Row]:
    """Yield a case for each problem: its answer is the last number, or the first behind the last `marker`."""
    check: Row = {"type": "number"} if marker is None else {"type": "number", "after": marker}
    for line, item in jsonl_rows(path):
        question, answer = item.get("question"), item.get("answer")
        if not isinstance(question, str) or not question.strip():
            raise GoldenSetError("question must be a text that is not empty", path=path, line=line)
        worked, found, final = str(answer).rpartition(_MARKER)
        number = parse_number(final.strip()) if found else None
        if number is None:
            raise GoldenSetError(f"answer must end in `{_MARKER} NUMBER`", path=path, line=line)
        target = f"{number:f}"
        said = f"{worked.strip()}\n{marker or _MARKER} "
        yield {
            "id": as_id(item.get("id"), f"gsm8k-{line:04d}"),
            "input": question,
            "target": target,
            "checks": [check],
            "accepts": [said + target],
            "rejects": [f"{said}{number + 1:f}"],
        }


GSM8K = Format(
    "gsm8k",
    "GSM8K problems, JSON Lines",
    (".jsonl",),
    _read,
    options=("marker",),
    licence="MIT",
    sampling={"max_tokens": 512},
)
