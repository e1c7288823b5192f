"""Our own `cases.jsonl`, as a format that sets are read from and written in like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cases import Case
from harness.golden_sets.case_row import case_row
from harness.interchange.format import Format, Row, jsonl_rows

__all__ = ["HARNESS"]


def _read(path: Path) -> Iterator[Row]:
    yield from (dict(row) for _, row in jsonl_rows(path))


def _write(cases: Sequence[Case]) -> str:
    return "".join(json.dumps(case_row(case), ensure_ascii=False) + "\n" for case in cases)


HARNESS = Format("harness", "cases.jsonl", (".jsonl",), _read, _write)
