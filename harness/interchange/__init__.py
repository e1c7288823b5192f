"""Golden sets in the formats of other tools: read into rows of `cases.jsonl`, and written from cases.

Each format is a module with a `Format`: what it is called, how one of its files is read, and how cases are
written. It is listed nowhere else; others register theirs under the entry-point group `harness.formats`. What
a format cannot carry is named in an error and never dropped in silence.
"""

from harness.interchange.formats import (
    FORMATS,
    Format,
    export_cases,
    export_files,
    find_format,
    format_names,
    import_rows,
)

__all__ = ["FORMATS", "Format", "export_cases", "export_files", "find_format", "format_names", "import_rows"]
