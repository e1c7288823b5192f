"""`harness init DIR`: start a gate from the example that works, and replace it piece by piece."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ConfigurationError

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

__all__ = ["LAYOUT", "copy_example", "init"]

LAYOUT = (
    ".gitignore",
    "*.md",
    "*.py",
    "*.toml",
    "corpus/*.py",
    "data/refunds-*.jsonl",
    "golden/*/v*/*.json*",
    "models/base/*",
    "recipes/*.yaml",
    "suites/*.py",
)
"""What a new project is made of: patterns of files, relative to the example. The wheel holds the same."""

_BASE_MODEL = "models/base/model.safetensors"


def init(
    directory: Annotated[Path, typer.Argument(help="Where the project goes: a new or an empty directory.")],
) -> None:
    """Start a project: golden sets, suites, recipes and a small base model that train and gate at once."""
    copied = copy_example(shipped_example(), directory)
    typer.echo(f"{directory}: {len(copied)} files, a support desk in miniature. Next:")
    typer.echo(f"  cd {directory}")
    if _BASE_MODEL not in copied:
        typer.echo("  # no base model was shipped: make one as README.md says, or point the recipes at yours")
    typer.echo("  pytest --model=base --baseline=base       # what the base model can do")
    typer.echo("  harness train recipes/refund-lora.yaml    # a candidate, in under a minute")
    typer.echo("  pytest --model=refund-lora/checkpoint-300 --baseline=base")


def shipped_example() -> Traversable:
    """Return the example that this installation carries.

    Raises:
        ConfigurationError: It carries none.
    """
    try:
        example = files("harness.examples").joinpath("support-desk")
        found = example.is_dir()
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigurationError("this installation carries no example to copy: reinstall checkpoint-harness")
    return example


def copy_example(source: Traversable, directory: Path) -> list[str]:
    """Copy the files of `LAYOUT` to a directory, all of them or none.

    A directory that exists is filled and stays the one it is: it may be somebody's working directory.

    Args:
        source: The example.
        directory: Where to; must not exist, or be empty.

    Returns:
        The copied files relative to `directory`, sorted.

    Raises:
        ConfigurationError: The directory has content, is no directory, or cannot be written.
    """
    if directory.is_dir() and any(directory.iterdir()):
        raise ConfigurationError(f"{directory} is not empty: name a new directory, nothing is overwritten")
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"{directory} is a file: name a new directory")
    found = sorted(
        ((name, file) for name, file in _walk(source) if any(_matches(name, pattern) for pattern in LAYOUT)),
        key=lambda pair: pair[0],
    )
    target = directory.absolute()
    beside = target if target.exists() else target.parent  # a directory that is there may be a mount, or "."
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=beside) as staging:
            staged = Path(staging) / "project"
            for name, file in found:
                path = staged / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with file.open("rb") as original, path.open("wb") as copy:
                    shutil.copyfileobj(original, copy)
            if target.exists():
                for entry in sorted(staged.iterdir()):
                    entry.rename(target / entry.name)
            else:
                staged.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot write there ({error.strerror or error})") from None
    return [name for name, _ in found]


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{name}/")
        else:
            yield name, entry


def _matches(name: str, pattern: str) -> bool:
    """Compare part by part, so that `*` stops at a slash."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
