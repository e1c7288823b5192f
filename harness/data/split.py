"""Duplicates out, groups kept whole, and no validation prompt among the training rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data.training_rows import TrainingExample, normalised_prompt
from harness.errors import TrainingDataError

__all__ = ["Division", "divide", "drop_duplicates"]


@dataclass(frozen=True)
class Division:
    """Rows on either side of the split.

    Attributes:
        train: Rows to train on, in file order.
        validation: Rows to validate on, in file order.
        groups: Groups that were kept whole.
        validation_groups: Those of them on the validation side.
    """

    train: tuple[TrainingExample, ...]
    validation: tuple[TrainingExample, ...]
    groups: int
    validation_groups: int


def drop_duplicates(examples: Sequence[TrainingExample]) -> tuple[tuple[TrainingExample, ...], int]:
    """Keep the first of equal rows; return the rows and how many were dropped."""
    first: dict[str, TrainingExample] = {}
    for example in examples:
        first.setdefault(example.digest, example)
    return tuple(first.values()), len(examples) - len(first)


def divide(examples: Sequence[TrainingExample], *, fraction: float, group: str | None, seed: int) -> Division:
    """Divide rows into training and validation without ever dividing a group.

    Groups are taken in the order of a seeded hash of their names while they fit, so that adding rows moves
    few of the others. Rows with one normalised prompt count as one group unless `group` names a key.

    Args:
        examples: The rows.
        fraction: Share of the rows to validate on, in [0, 1); 0 validates on none.
        group: Key whose value names a row's group; dots lead into objects (`metadata.customer`).
        seed: Seed of the order.

    Raises:
        TrainingDataError: A row has no such key, no group fits the fraction, or one prompt is on both
            sides because its rows are in different groups.
    """
    prompts = [normalised_prompt(example) for example in examples]
    names = prompts if group is None else [_group_of(example, group) for example in examples]
    sizes: dict[str, int] = {}
    for name in names:
        sizes[name] = sizes.get(name, 0) + 1
    chosen = _choose(sizes, fraction * len(examples), seed) if fraction > 0 else frozenset[str]()
    if fraction > 0 and (not chosen or len(chosen) == len(sizes)):
        what = "rows with one prompt" if group is None else f"rows with one {group!r}"
        raise TrainingDataError(
            f"cannot validate on {fraction:.0%} of {len(examples)} rows: {what} stay together, which makes "
            f"{len(sizes)} groups, the smallest of {min(sizes.values())} rows; "
            "change validation or group in data.split",
            path=examples[0].path,
        )
    division = Division(
        train=tuple(e for e, name in zip(examples, names, strict=True) if name not in chosen),
        validation=tuple(e for e, name in zip(examples, names, strict=True) if name in chosen),
        groups=len(sizes),
        validation_groups=len(chosen),
    )
    _check_leaks(division, dict(zip(map(id, examples), prompts, strict=True)))
    return division


def _choose(sizes: Mapping[str, int], target: float, seed: int) -> frozenset[str]:
    """Take groups in hashed order while they fit; when none does, the smallest, up to twice the target."""
    order = sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    chosen: set[str] = set()
    taken = 0
    for name in order:
        if taken + sizes[name] <= target + 0.5:
            chosen.add(name)
            taken += sizes[name]
    if not chosen:
        smallest = min(order, key=lambda name: sizes[name])
        if sizes[smallest] <= 2 * target:
            chosen.add(smallest)
    return frozenset(chosen)


def _group_of(example: TrainingExample, key: str) -> str:
    value: object = example.fields
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise TrainingDataError(
            f"has no group {key!r} (data.split.group); expected a string or integer under that key",
            path=example.path,
            line=example.line,
        )
    return str(value)


def _check_leaks(division: Division, prompts: Mapping[int, str]) -> None:
    trained = {prompts[id(example)]: example for example in division.train}
    leaks = [
        (example, trained[prompts[id(example)]])
        for example in division.validation
        if prompts[id(example)] in trained
    ]
    if leaks:
        held_out, twin = leaks[0]
        raise TrainingDataError(
            f"has the prompt of {twin.where}, which is trained on while this row validates "
            f"({len(leaks)} such rows): give both the same group, or drop one",
            path=held_out.path,
            line=held_out.line,
        )
