"""Checks of tables: CSV and Markdown, their columns and rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import COUNT, FLAG, TEXT, TEXTS
from harness.scoring.text.fences import outside_fences, unfenced
from harness.scoring.text.normal_text import normalise

__all__ = ["csv_rows", "csv_table", "markdown_table", "markdown_tables"]

Rows = list[list[str]]
_RULE = re.compile(r":?-+:?")


def csv_rows(text: str, delimiter: str = ",") -> Rows:
    """Return the rows of a CSV text, blank lines left out.

    Raises:
        ValueError: A quote is not closed or stands in the wrong place, a field is larger than 128 KiB, or
            rows differ in length.
    """
    try:
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
        ]
    except csv.Error as problem:
        raise ValueError(str(problem)) from None
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {number} has {len(row)} fields, the first one {len(rows[0])}")
    return rows


def markdown_tables(text: str) -> list[Rows]:
    """Return the tables of a text outside its fenced blocks, each as its heading and rows.

    A table is a line with cells, a rule of dashes with as many, and the lines with a `|` below; missing cells
    are empty, surplus ones are dropped. Source: GitHub Flavored Markdown, section 4.10.
    """
    lines = outside_fences(text).splitlines()
    tables: list[Rows] = []
    index = 0
    while index + 1 < len(lines):
        head, dashes = _cells(lines[index]), _cells(lines[index + 1])
        if "|" not in lines[index] or len(dashes) != len(head) or not all(map(_RULE.fullmatch, dashes)):
            index += 1
            continue
        rows = [head]
        index += 2
        while index < len(lines) and "|" in lines[index]:
            cells = _cells(lines[index])[: len(head)]
            rows.append(cells + [""] * (len(head) - len(cells)))
            index += 1
        tables.append(rows)
    return tables


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)]


_ROWS: Mapping[str, Any] = {"columns": TEXTS, "rows": COUNT, "min_rows": COUNT, "max_rows": COUNT}


@declare_check(
    "csv",
    parameters={**_ROWS, "delimiter": {**TEXT, "maxLength": 1}, "header": FLAG},
    examples=(
        Example(
            {"columns": ["name", "age"], "rows": 2},
            ('Name,Age\nAnn,3\n"Lee, Bo",4\n', "Here:\n```csv\nname,age\na,1\nb,2\n```"),
            ("name,age\na,1", "age,name\n1,a\n2,b", "name,age\na,1\nb", "two people", 'name,age\n"a,1'),
        ),
        Example({"delimiter": ";", "header": False, "min_rows": 1}, ("1;2",), ("1,2",)),
        Example({"columns": ["a"], "min_rows": 1, "max_rows": 2}, ("a\n1\n2",), ("a", "a\n1\n2\n3")),
        Example({"header": False, "columns": ["a", "b"]}, ("1,2",), ("1,2,3",)),
    ),
)
def csv_table(
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    min_rows: int = 0,
    max_rows: int | None = None,
    delimiter: str = ",",
    header: bool = True,
) -> Scorer:
    """The answer is CSV, alone or in the only fenced block, every row of the same length: with these
    `columns` in this order (case aside), and exactly `rows`, at least `min_rows` and at most `max_rows` rows
    below the heading (`header: false`: there is none, and `columns` only counts).
    """  # noqa: D205  (one paragraph is the documentation of the check)

    def read(text: str) -> Rows:
        found = csv_rows(unfenced(text, ("csv", "tsv", "text", "txt")).strip("\n"), delimiter)
        if not found or (len(found[0]) < 2 and len(columns or ()) != 1):
            raise ValueError(f"no line with {delimiter!r} between fields")
        return found

    return _table(read, "CSV", columns, rows, min_rows, max_rows, header)


@declare_check(
    "markdown_table",
    parameters=_ROWS,
    examples=(
        Example(
            {"columns": ["Plan", "Price"], "min_rows": 2},
            ("See:\n\n| **Plan** | price |\n|:--|--:|\n| a | 1 |\n| b \\| c | 2 |\n",),
            (
                "| Plan | Price |\n| --- | --- |\n| a | 1 |",
                "| Price | Plan |\n| --- | --- |\n| 1 | a |\n| 2 | b |",
                "Plan, Price",
                "```\n| Plan | Price |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n```",
            ),
        ),
        Example(
            {"rows": 1},
            accepts=("| a |\n| --- |\n| 1 |",),
            rejects=("| a |\n| --- |\n| 1 |\n| 2 |",),
        ),
        Example(
            {"max_rows": 1},
            accepts=("| a |\n| --- |\n| 1 |",),
            rejects=("| a |\n| --- |\n| 1 |\n| 2 |",),
        ),
    ),
)
def markdown_table(
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    min_rows: int = 0,
    max_rows: int | None = None,
) -> Scorer:
    """The answer has exactly one Markdown table: with these `columns` in this order (case and emphasis
    aside), and exactly `rows`, at least `min_rows` and at most `max_rows` rows below the heading.
    """  # noqa: D205  (one paragraph is the documentation of the check)

    def read(text: str) -> Rows:
        found = markdown_tables(text)
        if len(found) != 1:
            raise ValueError(f"expected one, found {len(found)}")
        return found[0]

    return _table(read, "Markdown table", columns, rows, min_rows, max_rows, True)


def _table(
    read: Callable[[str], Rows],
    kind: str,
    columns: Sequence[str] | None,
    rows: int | None,
    min_rows: int,
    max_rows: int | None,
    header: bool,
) -> Scorer:
    least = rows if rows is not None else min_rows
    most = rows if rows is not None else max_rows
    if most is not None and least > most:
        raise ValueError(f"min_rows {least} is more than max_rows {most}")

    def scorer(case: Case, response: Response) -> Score:
        cut = ": the answer was cut off" if response.truncated else ""
        try:
            found = read(response.text)
        except ValueError as problem:
            return Score.invalid(f"no {kind}: {problem}{cut}")
        answer = canonical_json(found[:20])
        body = found[1:] if header else found
        complaint = _wrong_columns(found[0], columns, header)
        if complaint is None and (len(body) < least or (most is not None and len(body) > most)):
            wanted = str(rows) if rows is not None else f"{least} to {'any' if most is None else most}"
            complaint = f"{len(body)} rows, expected {wanted}"
        if complaint is not None:
            return Score.missed(complaint, answer)
        return Score.invalid(f"the last row may be incomplete{cut}", answer) if cut else Score.passed(answer)

    return scorer


def _wrong_columns(found: Sequence[str], columns: Sequence[str] | None, header: bool) -> str | None:
    if columns is None:
        return None
    if not header:
        return None if len(found) == len(columns) else f"{len(found)} columns, expected {len(columns)}"
    spelled = [normalise(name.strip("*_` "), ("casefold", "whitespace")) for name in found]
    if spelled == [normalise(name, ("casefold", "whitespace")) for name in columns]:
        return None
    return f"the columns are {', '.join(found)}, expected {', '.join(columns)}"
