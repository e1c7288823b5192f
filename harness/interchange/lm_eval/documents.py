"""The documents of an lm-eval task, where they lie on this machine: JSON Lines, JSON, CSV, Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import GoldenSetError, MissingDependencyError
from harness.files.read_json import loads
from harness.interchange.format import jsonl_rows
from harness.interchange.lm_eval.yaml import TaskFile

__all__ = ["Documents", "read_documents"]

_MAX_BYTES = 256 * 2**20
_KWARGS = frozenset({"data_files", "trust_remote_code"})


@dataclass(frozen=True)
class Documents:
    """The documents that a task asks about.

    Attributes:
        rows: Each with its file and its line (of tables: its row), and all of `columns`.
        columns: Names that any of them has; a template may name one instead of a template.
    """

    rows: tuple[tuple[Path, int, Mapping[str, Any]], ...]
    columns: frozenset[str]


def read_documents(task: TaskFile) -> Documents:
    """Read the test split of a task, or its validation split where it has no test split.

    Paths are looked for from the working directory, as lm-eval does, then from the task's folder. A task
    whose data is on a hub is read from a file of its own name beside it, such as `boolq.jsonl`.

    Raises:
        GoldenSetError: There is no such data here, or a file of it is malformed.
        MissingDependencyError: It is CSV or Parquet, and the package that reads it is not installed.
    """
    files = _files(task)
    rows = [(path, line, document) for path in files for line, document in _rows(path, task)]
    columns = dict.fromkeys(name for _, _, document in rows for name in document)
    absent = dict.fromkeys(columns)
    return Documents(
        tuple((path, line, {**absent, **document}) for path, line, document in rows), frozenset(columns)
    )


def _files(task: TaskFile) -> list[Path]:
    builder = task.values.get("dataset_path")
    given = task.values.get("dataset_kwargs", {})
    if not isinstance(given, Mapping) or (other := sorted(given.keys() - _KWARGS)):
        found = other[0] if isinstance(given, Mapping) else given
        raise task.error("dataset_kwargs", f"{found!r} is not read; known: {', '.join(sorted(_KWARGS))}")
    beside = task.path.with_suffix(".jsonl")
    if builder not in ("json", "csv", "parquet") or "data_files" not in given:
        if beside.is_file():
            return [beside]
        raise task.error(
            "dataset_path",
            f"the data of {builder!r} is not here: put the documents of the split that is asked beside the "
            f"task as {beside.name}",
        )
    split = task.values.get("test_split") or task.values.get("validation_split")
    if split is None:
        raise task.error("test_split", "says what is asked, or validation_split does: found neither")
    named = given["data_files"]
    splits = named if isinstance(named, Mapping) else {"train": named}
    if split not in splits:
        raise task.error("dataset_kwargs", f"data_files has no split {split!r}, only {', '.join(splits)}")
    wanted = splits[split] if isinstance(splits[split], list) else [splits[split]]
    return [_found(name, task) for name in wanted]


def _found(name: Any, task: TaskFile) -> Path:
    if isinstance(name, str) and "://" not in name:
        for path in (Path(name), task.path.parent / name, task.path.parent / Path(name).name):
            if path.is_file():
                return path
    raise task.error(
        "dataset_kwargs", f"no file {name!r} here or beside the task (no addresses, no patterns)"
    )


def _rows(path: Path, task: TaskFile) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.stat().st_size > _MAX_BYTES:
        raise GoldenSetError(f"is larger than {_MAX_BYTES // 2**20} MiB: split it", path=path)
    builder = task.values.get("dataset_path")
    if path.suffix == ".jsonl" or builder not in ("csv", "parquet", "json"):
        yield from jsonl_rows(path)
    elif builder == "json":
        yield from _json(path)
    else:
        yield from enumerate(_table(path, str(builder)), start=1)


def _json(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Read JSON Lines, or one array of objects, under a name that tells neither."""
    with path.open("rb") as stream:
        first = stream.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first != b"[":
        yield from jsonl_rows(path)
        return
    try:
        values = loads(path.read_text("utf-8-sig"))
    except ValueError as problem:
        raise GoldenSetError(f"not JSON: {problem}", path=path) from None
    for number, value in enumerate(values, start=1):
        if not isinstance(value, Mapping):
            raise GoldenSetError(f"document {number} is no object", path=path)
        yield number, value


def _table(path: Path, builder: str) -> list[dict[str, Any]]:
    """Read a table as lm-eval's dataset library does: CSV by pandas, with its guesses at types.

    And Parquet by pyarrow, which answers a damaged file with an error; arro3, which reads our own runs, may
    end the process.
    """
    try:
        import pandas as pd
        import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(str(missing.name), "dataframe") from None

    try:
        if builder == "parquet":
            table = pq.read_table(path)
        else:
            table = pa.Table.from_pandas(pd.read_csv(path), preserve_index=False)
    except (ValueError, pa.ArrowException, OSError) as problem:
        raise GoldenSetError(f"not {builder}: {' '.join(str(problem).split())}", path=path) from None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
