"""The formats by name, and reading and writing by them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import ConfigurationError, GoldenSetError
from harness.golden_case import case_problems, case_row
from harness.interchange.deepeval import DEEPEVAL
from harness.interchange.format import Format, Row, jsonl_rows
from harness.interchange.inspect_ai import INSPECT
from harness.interchange.lm_eval import LM_EVAL
from harness.interchange.openai_evals import OPENAI_EVALS
from harness.interchange.promptfoo import PROMPTFOO
from harness.interchange.table import CSV
from harness.registry import did_you_mean

__all__ = ["FORMATS", "Format", "export_cases", "import_rows"]


def _read_own(path: Path) -> Iterator[Row]:
    yield from (dict(row) for _, row in jsonl_rows(path))


def _write_own(cases: Sequence[Case]) -> str:
    return "".join(json.dumps(case_row(case), ensure_ascii=False) + "\n" for case in cases)


_OWN = Format("harness", "cases.jsonl", (".jsonl",), _read_own, _write_own)
FORMATS = {form.name: form for form in (_OWN, CSV, DEEPEVAL, INSPECT, LM_EVAL, OPENAI_EVALS, PROMPTFOO)}
"""Every format by the name that the command line calls it."""


def import_rows(path: Path, format_name: str) -> list[dict[str, Any]]:
    """Return the rows of `cases.jsonl` that a file in another tool's format stands for.

    Raises:
        ConfigurationError: There is no such format.
        GoldenSetError: The file is missing or malformed, or a row of it makes no valid case.
    """
    form = _format(format_name)
    if not path.is_file():
        raise GoldenSetError("no such file", path=path)
    rows = []
    for number, row in enumerate(form.read(path), start=1):
        if problems := case_problems(row):
            raise GoldenSetError(f"case {number} ({row['id']}): {'; '.join(problems)}", path=path)
        rows.append(row)
    if not rows:
        raise GoldenSetError("holds no case", path=path)
    return rows


def export_cases(cases: Sequence[Case], format_name: str) -> str:
    """Return the text of a file in another tool's format that holds these cases.

    Raises:
        ConfigurationError: There is no such format.
        GoldenSetError: A case has what the format cannot carry.
    """
    return _format(format_name).write(cases)


def _format(name: str) -> Format:
    if name not in FORMATS:
        hint = did_you_mean(name, sorted(FORMATS)) or f"; known: {', '.join(sorted(FORMATS))}"
        raise ConfigurationError(f"unknown format {name!r}{hint}")
    return FORMATS[name]
