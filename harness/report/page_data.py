"""Every case of a run for the script of the HTML page: compressed, and cut to a size that mail carries."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from harness.case_result import CaseResult, Role
from harness.files.write_json import encodable
from harness.report.plain_text import visible_lines
from harness.report.rerun import rerun_command
from harness.runs.record import RunRecord
from harness.stats.paired import SAME

__all__ = ["page_data"]

_BUDGET = 4_200_000
"""Most characters of all cases together: with plots and tables, a page stays under 5 MB."""
_LIMITS = (20_000, 6_000, 2_500, 1_200, 700, 400, 200, 100)
"""Characters that are kept of a text, tried in this order until the cases fit."""
_MORE_OF_FLIPS = 3
"""A case that changed keeps this many times as much as one that did not."""


def page_data(record: RunRecord, *, budget: int = _BUDGET) -> str:
    """Return the cases as JSON, compressed by gzip, in base64.

    Control characters are spelled out. Where the texts are more than the budget, they are cut, those of
    cases that did not change first, and each says how much of it is missing.

    Args:
        record: A session or a comparison.
        budget: Most characters of the result, where the shortest cut allows it.
    """
    packed = ""
    longest = max(
        (len(text) for result in record.cases for text in (result.input, *result.outputs)), default=0
    )
    whole = [limit for limit in _LIMITS if limit >= longest][-1:] or [_LIMITS[0]]
    limits = [*whole, *(limit for limit in _LIMITS if limit < whole[0])]
    while limits:
        limit = limits.pop(0)
        text = json.dumps(_cases(record, limit), ensure_ascii=True, separators=(",", ":"))
        packed = base64.b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")
        if len(packed) <= budget:
            break
        share = budget / len(packed) * _length(record, limit)
        limits = [one for one in limits if _length(record, one) <= share or one == limits[-1]]
    return packed


def _length(record: RunRecord, limit: int) -> int:
    """Return about how many characters a limit keeps, to leave out limits that cannot do."""
    return sum(min(len(text), limit) for result in record.cases for text in result.outputs)


def _cases(record: RunRecord, limit: int) -> dict[str, Any]:
    baselines = {result.pair_key: result for result in record.cases if result.role is Role.BASELINE}
    texts = _Texts()
    rows = []
    for result in record.cases:
        if result.role is Role.CANDIDATE:
            rows.append(_row(record, result, baselines.get(result.pair_key), texts, limit))
    rows.sort(key=lambda row: row["d"])  # stable: the record's order among equals
    return {"run": record.run, "texts": texts.all, "rows": rows}


class _Texts:
    """Each text once: a prompt is that of every checkpoint, and many answers are the same."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str, limit: int) -> int:
        """Return where the text is among all, cut and made visible."""
        more = len(text) - limit
        shown = visible_lines(text[:limit]) + (f"\n… and {more:,} more characters" if more > 0 else "")
        if shown not in self._places:
            self._places[shown] = len(self.all)
            self.all.append(encodable(shown))
        return self._places[shown]


def _row(
    record: RunRecord, result: CaseResult, other: CaseResult | None, texts: _Texts, limit: int
) -> dict[str, Any]:
    difference = 0.0
    if other is not None and result.score is not None and other.score is not None:
        difference = result.score - other.score
    changed = abs(difference) > SAME
    longest = limit * _MORE_OF_FLIPS if changed else limit
    target = result.target if isinstance(result.target, str) else json.dumps(result.target)
    row: dict[str, Any] = {
        "id": texts.place(result.case_id, 200),
        "s": texts.place(result.suite, 200),
        "g": texts.place(result.golden, 200),
        "f": texts.place(result.test, 200),
        "c": texts.place(result.checkpoint, 200),
        "t": [texts.place(tag, 100) for tag in result.tags],
        "q": texts.place(result.input, longest),
        "d": round(difference, 6) if changed else 0,
        "a": _side(result, texts, longest),
        "r": texts.place(rerun_command(record, result), 500),
    }
    if result.target is not None:
        row["e"] = texts.place(target, longest)
    if other is not None:
        row["b"] = _side(other, texts, longest)
    if result.must_pass:
        row["m"] = 1
    return row


def _side(result: CaseResult, texts: _Texts, limit: int) -> dict[str, Any]:
    side: dict[str, Any] = {
        "c": texts.place(result.checkpoint, 200),
        "o": "skipped" if result.skipped is not None else result.outcome.value,
        "x": [texts.place(output, limit) for output in _shared(result.outputs, limit)],
    }
    if result.score is not None:
        side["v"] = round(result.score, 4)
    if len(result.samples) > 1:
        side["n"] = [round(sample, 4) for sample in result.samples]
    for key, text in (("w", result.skipped or result.explanation), ("k", result.answer)):
        if text:
            side[key] = texts.place(text, 1_000)
    if result.completion_tokens is not None:
        side["l"] = result.completion_tokens
    if result.latency_ms is not None:
        side["ms"] = round(result.latency_ms)
    return side


def _shared(outputs: Sequence[str], limit: int) -> Sequence[str]:
    """Return the samples that are kept: at least three, and more where they are short."""
    return outputs[: max(3, limit // 500)]
