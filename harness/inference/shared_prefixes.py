"""Which beginnings of prompts are shared by enough rows to be computed and kept once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PrefixGroup", "prefix_groups"]

_LEAST_TOKENS = 16  # a shorter beginning costs more in extra operations than it saves


@dataclass(frozen=True)
class PrefixGroup:
    """Rows whose prompts begin alike.

    Attributes:
        prefix: What their prompts begin with; every prompt is longer, and it may be empty.
        rows: Their indices.
        parent: Place in the list of an earlier group whose prefix this one continues, if any.
    """

    prefix: Sequence[int]
    rows: tuple[int, ...]
    parent: int | None = None


def prefix_groups(
    prompts: Mapping[int, Sequence[int]], *, least_rows: int, least_tokens: int = _LEAST_TOKENS
) -> list[PrefixGroup]:
    """Divide prompts into groups by what they begin with: a tree of prefixes, parents before children.

    Args:
        prompts: Token ids by index, each with at least one token.
        least_rows: Fewest rows for a prefix of their own, ≥ 2.
        least_tokens: Fewest tokens by which a prefix must be longer than the one it continues.

    Returns:
        Every index in exactly one group. A group may have no rows of its own, only children.
    """
    bodies = {index: list(prompt[:-1]) for index, prompt in prompts.items()}  # the last token is a row's own
    order = sorted(bodies, key=bodies.__getitem__)
    alike = [0] + [_common(bodies[a], bodies[b]) for a, b in itertools.pairwise(order)]
    groups: list[PrefixGroup] = []
    # (first, end) of a stretch of the order, and the group that its rows belong to unless they get their own
    stretches: list[tuple[int, int, int | None]] = [(0, len(order), None)]
    loose: dict[int | None, list[int]] = {}
    while stretches:
        first, end, owner = stretches.pop()
        if end - first < least_rows:
            loose.setdefault(owner, []).extend(order[first:end])
            continue
        depth = min(alike[first + 1 : end])
        covered = 0 if owner is None else len(groups[owner].prefix)
        if depth - covered >= least_tokens:
            groups.append(PrefixGroup(bodies[order[first]][:depth], (), owner))
            owner = len(groups) - 1
        cuts = [first, *(place for place in range(first + 1, end) if alike[place] == depth), end]
        stretches.extend((a, b, owner) for a, b in itertools.pairwise(cuts))
    found = [
        PrefixGroup(group.prefix, tuple(sorted(loose.get(place, ()))), group.parent)
        for place, group in enumerate(groups)
    ]
    if None in loose:
        found.append(PrefixGroup((), tuple(sorted(loose[None]))))
    return found


def _common(one: Sequence[int], two: Sequence[int]) -> int:
    """Return the length of the longest common beginning."""
    low, high = 0, min(len(one), len(two))
    while low < high:  # comparing slices is much faster than comparing tokens one by one
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
