"""What a command writes for its reader: to a file, whole or not at all, or to stdout."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import typer

from harness.errors import StoreError

__all__ = ["write_page"]


def write_page(path: str, text: str) -> None:
    """Write a page to a file and say so on stderr, or print it where the path is `-`.

    Raises:
        StoreError: It cannot be written; what was there is kept.
    """
    if path == "-":
        sys.stdout.write(text)
        return
    target = Path(path)
    staging = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(text, encoding="utf-8", newline="")
        staging.replace(target)
    except OSError as problem:
        with contextlib.suppress(OSError):
            staging.unlink()
        raise StoreError(f"{target}: cannot be written: {problem.strerror or problem}") from None
    typer.echo(f"wrote {target}", err=True)
