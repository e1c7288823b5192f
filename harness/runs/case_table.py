"""The results of a run as a Parquet table: one row per case × checkpoint, columns as in `CaseResult`.

Read and written by arro3, a twelfth of pyarrow's size on disk and of its time to import; the file is what
pyarrow writes for the same schema, and either reads the other's (docs/decisions/parquet-without-pyarrow.md).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.errors import HarnessError, IntegrityError
from harness.files.durable import write_synced
from harness.files.write_json import encodable, json_line

if TYPE_CHECKING:
    import arro3.core as arrow

__all__ = ["read_cases", "row_of", "write_cases"]

_ROWS = 2_000
"""Rows that are turned into arrays at once."""
_MAX_TEXT = 2**31 - 1
"""Bytes of text that one array can hold: its offsets are signed integers of 32 bits."""
_FIELDS = attrgetter(*CaseResult.__dataclass_fields__)
_TEXT_LISTS = frozenset({"outputs", "tags", "finish_reasons", "labels"})
_LISTS = _TEXT_LISTS | {"samples"}
_FLAGS = frozenset({"must_pass", "must_keep"})
_NUMBERS = frozenset({"latency_ms", "prompt_tokens", "completion_tokens"})


def row_of(result: CaseResult) -> dict[str, Any]:
    """Return the columns of one result; the target, which may be any JSON value, as JSON text."""
    row = result.as_dict()
    row["target"] = json_line(row["target"])
    columns: dict[str, Any] = encodable(row)
    return columns


def _schema() -> arrow.Schema:
    from arro3.core import DataType, Field, Schema

    def list_of(kind: DataType) -> DataType:
        return DataType.list(Field("element", kind, nullable=True))  # the name that pyarrow gives it

    kinds = {name: list_of(DataType.string()) for name in _TEXT_LISTS}
    kinds |= {name: DataType.bool() for name in _FLAGS}
    kinds |= {
        "samples": list_of(DataType.float64()),
        "latency_ms": DataType.float64(),
        "prompt_tokens": DataType.int64(),
        "completion_tokens": DataType.int64(),
    }
    names = CaseResult.__dataclass_fields__
    return Schema([Field(name, kinds.get(name, DataType.string()), nullable=True) for name in names])


def write_cases(path: Path, cases: Sequence[CaseResult]) -> str:
    """Write results as a Parquet file, wait until the disk has it, and return its sha256.

    Raises:
        HarnessError: A value fits no column, such as a number that is not finite.
    """
    from arro3.core import Table
    from arro3.io import write_parquet

    schema = _schema()
    batches = [_batch(cases[start : start + _ROWS], schema) for start in range(0, len(cases), _ROWS)]
    content = io.BytesIO()
    write_parquet(Table.from_batches(batches, schema=schema), content, compression="zstd(1)")
    write_synced(path, content.getvalue())
    return hashlib.sha256(content.getbuffer()).hexdigest()


def read_cases(path: Path, sha256: str) -> list[CaseResult]:
    """Read what `write_cases` wrote.

    Args:
        path: The file.
        sha256: What `write_cases` returned. No other bytes are parsed: damaged pages can end the whole
            process, by a panic of the Parquet library that Python cannot catch.

    Raises:
        IntegrityError: It is not that file, or not of this version's columns; it is named.
        OSError: It cannot be read.
    """
    from arro3.io import read_parquet

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise IntegrityError(f"{path}: is not what was written with this run (its sha256 differs)")
    try:
        stored = read_parquet(io.BytesIO(content))  # arro3 0.8, the last for Python 3.10, takes no bytes
        if _kinds(stored.schema) != _kinds(_schema()):
            raise IntegrityError(f"{path}: its columns are not those of a run's cases")
        table = stored.read_all()
        # Column by column: a dictionary for each row would take longer than everything else.
        names = table.column_names
        columns = [_values(name, list(table.column(name).to_pylist())) for name in names]
        rows = zip(*columns, strict=True)
        return [CaseResult.of_fields(dict(zip(names, row, strict=True))) for row in rows]
    except IntegrityError:
        raise
    except BaseException as problem:
        if not isinstance(problem, Exception) and type(problem).__module__ != "pyo3_runtime":
            raise  # such as KeyboardInterrupt; a panic of Rust is no Exception either
        raise IntegrityError(f"{path}: cannot be read as the cases of a run: {problem}") from None


def _kinds(schema: arrow.Schema) -> list[tuple[str, arrow.DataType]]:
    return [(name, schema.field(name).type) for name in schema.names]


def _values(name: str, stored: list[Any]) -> list[Any]:
    """Return a column's values as `CaseResult` has them."""
    if name == "target":
        return [json.loads(text) for text in stored]
    if name in ("role", "outcome"):
        kind = Role if name == "role" else Outcome
        members = {text: kind(text) for text in set(stored)}
        return [members[text] for text in stored]
    return [tuple(values) for values in stored] if name in _LISTS else stored


def _batch(cases: Sequence[CaseResult], schema: arrow.Schema) -> arrow.RecordBatch:
    from arro3.core import RecordBatch

    columns = dict(zip(schema.names, zip(*map(_FIELDS, cases), strict=True), strict=True))
    columns["target"] = tuple(map(json_line, columns["target"]))
    try:
        arrays = [_array(name, schema.field(name).type, values) for name, values in columns.items()]
    except (AttributeError, OverflowError, TypeError, ValueError) as problem:
        raise HarnessError(f"the cases of the run cannot be written as a table: {problem}") from None
    return RecordBatch.from_arrays(arrays, schema=schema)


def _array(name: str, kind: arrow.DataType, values: Sequence[Any]) -> arrow.Array:
    from arro3.core import Array, list_array

    if name not in _LISTS:
        return _flat(name, kind, values)
    import numpy as np

    ends = np.cumsum(np.fromiter(map(len, values), dtype=np.int64, count=len(values)))
    offsets = Array(np.concatenate([np.zeros(1, dtype=np.int64), ends]).astype(np.int32))
    inner = kind.value_type
    assert inner is not None  # a list has one
    return list_array(offsets, _flat(name, inner, tuple(chain.from_iterable(values))), type=kind)


def _flat(name: str, kind: arrow.DataType, values: Sequence[Any]) -> arrow.Array:
    """Return an array of numbers, flags or texts, None where a value is missing."""
    from arro3.core import Array

    if name == "samples" or name in _NUMBERS:
        if not all(math.isfinite(number) for number in values if number is not None):
            raise ValueError(f"a number of {name!r} is not finite")
    elif name not in _FLAGS:
        values = _spelled(values)
    return Array(values, kind)


def _spelled(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Return texts that UTF-8 can spell: half a surrogate pair is written as its escape."""
    joined = "".join(text for text in texts if text is not None)
    try:
        size = len(joined.encode("utf-8"))
    except UnicodeEncodeError:
        size = len(joined.encode("utf-8", "backslashreplace"))
        texts = [text and text.encode("utf-8", "backslashreplace").decode("utf-8") for text in texts]
    if size > _MAX_TEXT:
        raise OverflowError("more than 2 GiB of text in one column of one batch")
    return texts
