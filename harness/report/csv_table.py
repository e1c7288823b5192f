"""The cases of a run as CSV, for spreadsheets: a row per candidate's case, the baseline's beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from harness.report.plain_text import visible_lines
from harness.runs.record import RunRecord, case_entries

__all__ = ["render_csv"]

_TEXTS = ("suite", "golden", "test", "id", "checkpoint", "outcome")
_NUMBERS = ("score", "baseline_score", "latency_ms", "prompt_tokens", "completion_tokens")
_LONG = ("baseline_outcome", "tags", "cluster", "input", "target", "output", "baseline_output", "explanation")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""How a cell begins that a spreadsheet would compute: https://owasp.org/www-community/attacks/CSV_Injection"""


def render_csv(record: RunRecord) -> str:
    """Return the candidates' cases as CSV (RFC 4180), with a header.

    A cell of text that a spreadsheet would take for a formula gets an apostrophe before it; numbers are
    numbers. Control characters are spelled out.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([*_TEXTS, *_NUMBERS, *_LONG])
    for entry in case_entries(record.cases):
        writer.writerow(
            [
                *(_text(entry, name) for name in _TEXTS),
                *(entry[name] for name in _NUMBERS),
                *(_text(entry, name) for name in _LONG),
            ]
        )
    return stream.getvalue()


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    text = "" if value is None else " ".join(value) if isinstance(value, list) else str(value)
    shown = visible_lines(text)
    return f"'{shown}" if shown.lstrip(" \n").startswith(_FORMULA) else shown
