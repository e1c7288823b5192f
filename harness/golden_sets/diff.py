"""What changed between two versions of a golden set, case by case and field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Case
from harness.golden_sets.case_row import case_row

__all__ = ["CaseChange", "GoldenDiff", "diff_cases"]


@dataclass(frozen=True)
class CaseChange:
    """A case that both versions have, in different words.

    Attributes:
        id: The case.
        fields: Names of the row's fields that differ, with the value before and after (None: not there).
        comparable: Whether its scores may still be compared: what is asked and how it is scored is the same.
    """

    id: str
    fields: Mapping[str, tuple[Any, Any]]
    comparable: bool


@dataclass(frozen=True)
class GoldenDiff:
    """The difference between two versions: ids that are new or gone, and what changed in the others."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[CaseChange, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff_cases(before: Sequence[Case], after: Sequence[Case]) -> GoldenDiff:
    """Compare two versions of a golden set; order does not matter."""
    old = {case.id: case for case in before}
    new = {case.id: case for case in after}
    changed = []
    for name, case in new.items():
        if name not in old:
            continue
        first, second = case_row(old[name]), case_row(case)
        fields = {
            key: (first.get(key), second.get(key))
            for key in dict.fromkeys([*first, *second])
            if first.get(key) != second.get(key)
        }
        if fields:
            changed.append(CaseChange(name, fields, old[name].content_hash == case.content_hash))
    return GoldenDiff(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(changed),
    )
