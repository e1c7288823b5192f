"""The `-M` arguments of our backends as a table of Markdown, from the backends themselves.

`python -m harness.engine.argument_table docs/served-models.md` renews it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.files.marked_text import replace_marked
from harness.protocols import TakesArguments
from harness.registry import BACKENDS, load_adapter, registered

__all__ = ["argument_table", "refresh_arguments"]


def argument_table() -> str:
    """Return Markdown: each argument with the backends that take it and what it means, by name."""
    takers: dict[tuple[str, str], list[str]] = {}
    ours = (entry.name for entry in registered(BACKENDS) if entry.value.startswith("harness.plugins."))
    for name in sorted(ours):
        backend = load_adapter(BACKENDS, name)
        for key, meaning in backend.ARGUMENTS.items() if isinstance(backend, TakesArguments) else ():
            takers.setdefault((key, meaning), []).append(name)
    rows = [
        f"| `{key}` | {', '.join(names)} | {meaning} |" for (key, meaning), names in sorted(takers.items())
    ]
    return "\n".join(["| key | backends | meaning |", "| --- | --- | --- |", *rows])


def refresh_arguments(page: str) -> str:
    """Return a page with the table between its two markers renewed.

    Raises:
        ValueError: The page lacks a marker.
    """
    return replace_marked(page, "arguments", argument_table())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(refresh_arguments(path.read_text(encoding="utf-8")), encoding="utf-8")
