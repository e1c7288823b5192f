"""Mutants that no test can notice, judged by hand: they are the same program, or differ in speed alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.rooms import Mutant

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Equivalents", "read_equivalents"]

PATH = Path(__file__).with_name("equivalents.toml")

Entry = tuple[str, str, str, str]
"""File, function, and what is replaced by what. It holds for every such place in the function."""


@dataclass(frozen=True)
class Equivalents:
    """The list.

    Attributes:
        reasons: Entry → why no test can notice it.
    """

    reasons: Mapping[Entry, str]

    def reason(self, mutant: Mutant) -> str | None:
        """Return why no test can notice a mutant, or None."""
        return self.reasons.get(_entry(mutant))

    def stale(self, mutants: Mapping[str, Iterable[Mutant]]) -> list[Entry]:
        """Return the entries of these rooms that match none of their mutants."""
        matched = {_entry(mutant) for found in mutants.values() for mutant in found}
        folders = tuple(f"harness/{room}/" for room in mutants)
        return [entry for entry in self.reasons if entry[0].startswith(folders) and entry not in matched]


def read_equivalents(path: Path = PATH) -> Equivalents:
    """Read the list."""
    tables: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    return Equivalents(
        {(row["file"], row["function"], row["before"], row["after"]): row["reason"] for row in tables}
    )


def _entry(mutant: Mutant) -> Entry:
    change = mutant.change
    return mutant.path, change.function, change.before, change.after
