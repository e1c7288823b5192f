"""The formats by name, and reading and writing by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.cases import Case, Sampling
from harness.declarations import Declarations
from harness.errors import ConfigurationError, GoldenSetError
from harness.golden_sets.case_row import case_problems
from harness.interchange.format import Format, Row
from harness.registry import did_you_mean, load_adapter, names

__all__ = ["FORMATS", "Format", "export_cases", "export_files", "find_format", "format_names", "import_rows"]

_OF_OTHERS = "harness.formats"
"""Entry-point group of formats that others register: instances of `Format`, each under its own name."""


def _formats_in(module: ModuleType) -> Mapping[str, Format]:
    return {value.name: value for value in vars(module).values() if isinstance(value, Format)}


FORMATS = Declarations("harness.interchange", r"\w+ = Format\(", _formats_in)
"""Every format that comes with this package, by the name that the command line calls it."""


def format_names() -> tuple[str, ...]:
    """Return the names of all formats, those of others too, sorted."""
    return tuple(sorted({*FORMATS, *names(_OF_OTHERS)}))


def find_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        ConfigurationError: There is none, or what is registered under the name is no `Format` of that name.
    """
    if name in FORMATS:
        return FORMATS[name]
    if name not in names(_OF_OTHERS):
        hint = did_you_mean(name, format_names()) or f"; known: {', '.join(format_names())}"
        raise ConfigurationError(f"unknown format {name!r}{hint}")
    form = load_adapter(_OF_OTHERS, name)
    if not isinstance(form, Format) or form.name != name:
        raise ConfigurationError(f"{name!r} under {_OF_OTHERS} is no Format of that name")
    return form


def import_rows(path: Path, format_name: str, **options: str | bool) -> list[dict[str, Any]]:
    """Return the rows of `cases.jsonl` that a file in another tool's format stands for.

    Args:
        path: The file.
        format_name: One of `format_names`.
        options: What that format's `read` takes beside the file.

    Raises:
        ConfigurationError: There is no such format, or it takes no such option.
        GoldenSetError: The file is missing or malformed, or a row of it makes no valid case.
    """
    form = find_format(format_name)
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
    form = find_format(format_name)
    if form.write_files is not None:
        raise ConfigurationError(
            f"{form.name} is several files: name the first with --output FILE{form.suffixes[0]}"
        )
    if form.write is None:
        written = ", ".join(
            name
            for name, other in ((name, find_format(name)) for name in format_names())
            if other.write or other.write_files
        )
        raise ConfigurationError(f"{form.name} is read and not written; written are: {written}")
    return form.write(cases)


def export_files(
    cases: Sequence[Case], format_name: str, path: Path, sampling: Sampling | None = None
) -> Mapping[Path, str]:
    """Return the texts of the files in another tool's format that hold these cases, by path.

    Args:
        cases: The cases.
        format_name: One of `format_names`.
        path: Of the file, or of the first of several.
        sampling: How their answers are drawn, for formats that say so; None for the default.

    Raises:
        ConfigurationError: There is no such format, it is only read, or its first file is not called so.
        GoldenSetError: A case has what the format cannot carry.
    """
    form = find_format(format_name)
    if form.write_files is None:
        return {path: export_cases(cases, format_name)}
    if path.suffix not in form.suffixes:
        raise ConfigurationError(f"{path}: {form.name} files end in {' or '.join(form.suffixes)}")
    return form.write_files(cases, path, sampling or Sampling())
