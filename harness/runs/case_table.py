"""The results of a run as a Parquet table: one row per case × checkpoint, columns as in `CaseResult`."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Sequence, Sized
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.errors import HarnessError, IntegrityError
from harness.files.write_json import encodable, json_line

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

__all__ = ["read_cases", "row_of", "write_cases"]

_ROWS = 2_000
"""Rows that are turned into a table at once; Arrow holds at most 2 GiB of text in an array."""
_FIELDS = attrgetter(*CaseResult.__dataclass_fields__)
_LISTS = frozenset({"samples", "outputs", "tags", "finish_reasons", "labels"})


def row_of(result: CaseResult) -> dict[str, Any]:
    """Return the columns of one result; the target, which may be any JSON value, as JSON text."""
    row = result.as_dict()
    row["target"] = json_line(row["target"])
    columns: dict[str, Any] = encodable(row)
    return columns


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
        "must_keep": pa.bool_(),
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
        names = table.column_names
        rows = zip(*columns, strict=True)
        return [CaseResult.of_fields(dict(zip(names, row, strict=True))) for row in rows]
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
    import pyarrow as pa

    columns = dict(zip(schema.names, zip(*map(_FIELDS, cases), strict=True), strict=True))
    columns["target"] = tuple(map(json_line, columns["target"]))
    try:
        arrays = [_array(schema.field(name).type, values) for name, values in columns.items()]
    except (AttributeError, OverflowError, TypeError, ValueError) as problem:
        raise HarnessError(f"the cases of the run cannot be written as a table: {problem}") from None
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Return an array, put together of its buffers: `pa.array` would import pandas, at 0.3 s a session.

    See arrow.apache.org/docs/format/Columnar.html: one bit for each value that is there, where each begins
    (of texts and lists), and the values.
    """
    import pyarrow as pa

    if pa.types.is_list(kind):
        inner = _array(kind.value_type, tuple(chain.from_iterable(values)))
        return pa.Array.from_buffers(kind, len(values), [None, _places(values)], children=[inner])
    there = _bits([value is not None for value in values]) if None in values else None
    if pa.types.is_string(kind):
        texts: Sequence[str] = values if there is None else ["" if text is None else text for text in values]
        places, content = _spelled(texts)
        return pa.Array.from_buffers(kind, len(values), [there, places, pa.py_buffer(content)])
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, len(values), [there, _bits(values)])
    numbers = array("d" if pa.types.is_floating(kind) else "q", [0 if one is None else one for one in values])
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return pa.Array.from_buffers(kind, len(values), [there, pa.py_buffer(numbers)])


def _spelled(texts: Sequence[str]) -> tuple[pa.Buffer, bytes]:
    """Return where each text begins in the UTF-8 of all, and that; ASCII is spelled at once."""
    joined = "".join(texts)
    if joined.isascii():
        return _places(texts), joined.encode("ascii")
    spelled = [text.encode("utf-8", "backslashreplace") for text in texts]
    return _places(spelled), b"".join(spelled)


def _places(values: Sequence[Sized]) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    places = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, values), dtype=np.int64, count=len(values)), out=places[1:])
    if places[-1] >= 2**31:
        raise OverflowError("more than 2 GiB of text in one column of one batch")
    return pa.py_buffer(places.astype(np.int32))


def _bits(flags: Sequence[bool]) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.array(flags, dtype=bool), bitorder="little"))
