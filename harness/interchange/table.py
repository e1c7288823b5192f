"""A table with a header: CSV with the columns `id`, `input`, `target`, `tags` (by semicolons), `system`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, only_text, target_texts

__all__ = ["CSV", "table_rows"]

_COLUMNS = ("id", "system", "input", "target", "tags")
_OTHER_NAMES = {"prompt": "input", "question": "input", "expected": "target", "answer": "target"}


def table_rows(
    path: Path, *, needed: str, other_names: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, column → text) of a CSV file with a header.

    Args:
        path: The file.
        needed: The column that must be there.
        other_names: Other spellings of columns, in lower case → the column.

    Raises:
        GoldenSetError: It is not such a table, with file and line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise GoldenSetError(f"not UTF-8 at byte {problem.start}: save it as UTF-8", path=path) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = [other_names.get(name.strip().lower(), name.strip()) for name in reader.fieldnames or ()]
    if needed not in columns or len(set(columns)) != len(columns):
        found = ", ".join(columns) or "none"
        raise GoldenSetError(
            f"needs a column `{needed}` and no column twice; found {found}", path=path, line=1
        )
    reader.fieldnames = columns
    try:
        for record in reader:
            if None in record or None in record.values():
                raise GoldenSetError(
                    "has more or fewer fields than the header", path=path, line=reader.line_num
                )
            yield reader.line_num, record
    except csv.Error as problem:
        raise GoldenSetError(f"not CSV: {problem}", path=path, line=reader.line_num) from None


def _read(path: Path) -> Iterator[Row]:
    records = table_rows(path, needed="input", other_names=_OTHER_NAMES)
    for number, (_, record) in enumerate(records, start=1):
        yield _row(record, path, number)


def _row(record: dict[str, str], path: Path, number: int) -> Row:
    row: Row = {"id": as_id(record.get("id"), f"{path.stem}-{number:04d}")}
    if record.get("system"):
        row["messages"] = [
            {"role": "system", "content": record["system"]},
            {"role": "user", "content": record["input"]},
        ]
    else:
        row["input"] = record["input"]
    if record.get("target"):
        row["target"] = record["target"]
    if tags := [tag.strip() for tag in record.get("tags", "").split(";") if tag.strip()]:
        row["tags"] = list(dict.fromkeys(tags))
    if other := {name: value for name, value in record.items() if name not in _COLUMNS and value}:
        row["metadata"] = other
    return row


def _write(cases: Sequence[Case]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for case in cases:
        only_text(case, "CSV")
        roles = [message.role for message in case.messages]
        if roles not in (["user"], ["system", "user"]):
            raise GoldenSetError(f"case {case.id} is a conversation, which a table cannot carry")
        writer.writerow(
            {
                "id": case.id,
                "system": case.messages[0].content if len(roles) == 2 else "",
                "input": case.input,
                "target": next(iter(target_texts(case)), ""),
                "tags": "; ".join(case.tags),
            }
        )
    return stream.getvalue()


CSV = Format("csv", "A table with a header, in UTF-8", (".csv",), _read, _write)
