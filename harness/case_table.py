"""The results of a run as a Parquet table: one row per case × checkpoint, columns as in `CaseResult`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.errors import IntegrityError
from harness.record import encodable, json_line

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

__all__ = ["read_cases", "row_of", "write_cases"]

_ROWS = 2_000
"""Rows that are turned into a table at once; Arrow takes at most 2 GiB of JSON."""
_LISTS = frozenset({"samples", "outputs", "tags", "finish_reasons", "labels"})


def row_of(result: CaseResult) -> dict[str, Any]:
    """Return the columns of one result; the target, which may be any JSON value, as JSON text."""
    row = result.as_dict()
    row["target"] = json_line(row["target"])
    columns: dict[str, Any] = encodable(row)
    return columns


def _line(result: CaseResult) -> str:
    row = result.fields()  # JSON spells tuples and the words of an enumeration as we want them
    row["target"] = json_line(row["target"])
    return json_line(row)


def _schema() -> pa.Schema:
    import pyarrow as pa

    lists = {
        "samples": pa.list_(pa.float64()),
        "outputs": pa.list_(pa.string()),
        "tags": pa.list_(pa.string()),
        "finish_reasons": pa.list_(pa.string()),
        "labels": pa.list_(pa.string()),
    }
    kinds = lists | {
        "must_pass": pa.bool_(),
        "latency_ms": pa.float64(),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in CaseResult.__dataclass_fields__])


def write_cases(path: Path, cases: Sequence[CaseResult]) -> None:
    """Write results as a Parquet file and see it to the disk."""
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

    schema = _schema()
    with path.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for start in range(0, len(cases), _ROWS):
                writer.write_table(_table(cases[start : start + _ROWS], schema))
        stream.flush()
        os.fsync(stream.fileno())


def read_cases(path: Path) -> list[CaseResult]:
    """Read what `write_cases` wrote.

    Raises:
        IntegrityError: It is no such file; it is named.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as stored:
            if stored.schema_arrow != _schema():
                raise IntegrityError(f"{path}: its columns are not those of a run's cases")
            table = stored.read()
        # Column by column: a dictionary for each row would take longer than everything else.
        columns = [_values(name, table.column(name).to_pylist()) for name in table.column_names]
        return [CaseResult(*row) for row in zip(*columns, strict=True)]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as problem:
        raise IntegrityError(f"{path}: cannot be read as the cases of a run: {problem}") from None


def _values(name: str, stored: list[Any]) -> list[Any]:
    """Return a column's values as `CaseResult` has them."""
    if name == "target":
        return [json.loads(text) for text in stored]
    if name in ("role", "outcome"):
        kind = Role if name == "role" else Outcome
        members = {text: kind(text) for text in set(stored)}
        return [members[text] for text in stored]
    return [tuple(values) for values in stored] if name in _LISTS else stored


def _table(cases: Sequence[CaseResult], schema: pa.Schema) -> pa.Table:
    """Return a table by way of Arrow's JSON reader: `pa.array` would import pandas, at 0.3 s a session."""
    import pyarrow as pa
    import pyarrow.json  # type: ignore[import-untyped]  # ships no types

    lines = "\n".join(map(_line, cases)).encode("ascii")
    return pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="error"
        ),
    )
