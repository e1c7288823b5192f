"""Golden sets in the formats of other tools: read into rows of `cases.jsonl`, and written from cases.

Each format is a module with a `Format`: what it is called, how one of its files is read, and how cases are
written. What a format cannot carry is named in an error and never dropped in silence.
"""

from harness.interchange.formats import FORMATS, Format, export_cases, export_files, import_rows

__all__ = ["FORMATS", "Format", "export_cases", "export_files", "import_rows"]
