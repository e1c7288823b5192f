"""The formats by name, and reading and writing by them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case, Sampling
from harness.errors import ConfigurationError, GoldenSetError
from harness.golden_sets.case_row import case_problems, case_row
from harness.interchange.bfcl import BFCL
from harness.interchange.deepeval import DEEPEVAL
from harness.interchange.format import Format, Row, jsonl_rows
from harness.interchange.gsm8k import GSM8K
from harness.interchange.inspect_ai import INSPECT
from harness.interchange.lm_eval.samples import LM_EVAL
from harness.interchange.lm_eval.task import LM_EVAL_TASK
from harness.interchange.mt_bench import MT_BENCH
from harness.interchange.openai_evals import OPENAI_EVALS
from harness.interchange.promptfoo import PROMPTFOO
from harness.interchange.table import CSV
from harness.interchange.xstest import XSTEST
from harness.registry import did_you_mean

__all__ = ["FORMATS", "Format", "export_cases", "export_files", "import_rows"]


def _read_own(path: Path) -> Iterator[Row]:
    yield from (dict(row) for _, row in jsonl_rows(path))


def _write_own(cases: Sequence[Case]) -> str:
    return "".join(json.dumps(case_row(case), ensure_ascii=False) + "\n" for case in cases)


_OWN = Format("harness", "cases.jsonl", (".jsonl",), _read_own, _write_own)
_TOOLS = (_OWN, CSV, DEEPEVAL, INSPECT, LM_EVAL, LM_EVAL_TASK, OPENAI_EVALS, PROMPTFOO)
_BENCHMARKS = (BFCL, GSM8K, MT_BENCH, XSTEST)
FORMATS = {form.name: form for form in (*_TOOLS, *_BENCHMARKS)}
"""Every format by the name that the command line calls it."""


def import_rows(path: Path, format_name: str, **options: str | bool) -> list[dict[str, Any]]:
    """Return the rows of `cases.jsonl` that a file in another tool's format stands for.

    Args:
        path: The file.
        format_name: One of `FORMATS`.
        options: What that format's `read` takes beside the file.

    Raises:
        ConfigurationError: There is no such format, or it takes no such option.
        GoldenSetError: The file is missing or malformed, or a row of it makes no valid case.
    """
    form = _format(format_name)
    if unknown := [name for name in options if name not in form.options]:
        raise ConfigurationError(
            f"--{unknown[0].replace('_', '-')} says nothing about the format {form.name}"
        )
    if not path.is_file():
        raise GoldenSetError("no such file", path=path)
    rows: list[Row] = []
    places: dict[str, int] = {}
    for number, row in enumerate(form.read(path, **options), start=1):
        if problems := case_problems(row):
            raise GoldenSetError(f"case {number} ({row.get('id')}): {'; '.join(problems)}", path=path)
        first = places.setdefault(row["id"], number)
        if first != number and rows[first - 1] != row:
            raise GoldenSetError(
                f"case {number} ({row['id']}): its id is that of case {first}, which is another case",
                path=path,
            )
        rows.append(row)
    if not rows:
        raise GoldenSetError("holds no case", path=path)
    return rows


def export_cases(cases: Sequence[Case], format_name: str) -> str:
    """Return the text of a file in another tool's format that holds these cases.

    Raises:
        ConfigurationError: There is no such format, or it is only read.
        GoldenSetError: A case has what the format cannot carry.
    """
    form = _format(format_name)
    if form.write_files is not None:
        raise ConfigurationError(
            f"{form.name} is several files: name the first with --output FILE{form.suffixes[0]}"
        )
    if form.write is None:
        written = ", ".join(
            name for name, other in sorted(FORMATS.items()) if other.write or other.write_files
        )
        raise ConfigurationError(f"{form.name} is read and not written; written are: {written}")
    return form.write(cases)


def export_files(
    cases: Sequence[Case], format_name: str, path: Path, sampling: Sampling | None = None
) -> Mapping[Path, str]:
    """Return the texts of the files in another tool's format that hold these cases, by path.

    Args:
        cases: The cases.
        format_name: One of `FORMATS`.
        path: Of the file, or of the first of several.
        sampling: How their answers are drawn, for formats that say so; None for the default.

    Raises:
        ConfigurationError: There is no such format, it is only read, or its first file is not called so.
        GoldenSetError: A case has what the format cannot carry.
    """
    form = _format(format_name)
    if form.write_files is None:
        return {path: export_cases(cases, format_name)}
    if path.suffix not in form.suffixes:
        raise ConfigurationError(f"{path}: {form.name} files end in {' or '.join(form.suffixes)}")
    return form.write_files(cases, path, sampling or Sampling())


def _format(name: str) -> Format:
    if name not in FORMATS:
        hint = did_you_mean(name, sorted(FORMATS)) or f"; known: {', '.join(sorted(FORMATS))}"
        raise ConfigurationError(f"unknown format {name!r}{hint}")
    return FORMATS[name]
