"""The shared prefixes of rows that are decoded: each read once, when it is first needed, and then let go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.inference.cascade_layouts import PrefixLayout
from harness.inference.key_values import PrefixCache
from harness.inference.rows import Row
from harness.inference.shared_prefixes import PrefixGroup, prefix_groups

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PrefixCaches"]


@dataclasses.dataclass
class _Prefix:
    """A group's prefix while its rows are decoded."""

    group: PrefixGroup
    cache: PrefixCache | None = None
    waiting: int = 0  # rows and child prefixes that still need it


class PrefixCaches:
    """Which prefix each row follows, and the keys and values of those that are in use.

    Args:
        model: Reads prefixes; layouts must be on.
        rows: Every row, by index.
        least_rows: Fewest rows for a prefix of their own, ≥ 2.
    """

    def __init__(self, model: Any, rows: Mapping[int, Row], *, least_rows: int) -> None:
        groups = prefix_groups({index: row.prompt for index, row in rows.items()}, least_rows=least_rows)
        self._model = model
        self._prefixes = [_Prefix(group, waiting=len(group.rows)) for group in groups]
        for group in groups:
            if group.parent is not None:
                self._prefixes[group.parent].waiting += 1
        self._group_of = {index: place for place, group in enumerate(groups) for index in group.rows}

    def group_of(self, index: int) -> int:
        """Return the group of a row: those of one group follow the same prefix."""
        return self._group_of[index]

    def length(self, index: int) -> int:
        """Return how many tokens the prefix of a row has."""
        return len(self._prefixes[self._group_of[index]].group.prefix)

    def held(self, group: int) -> int:
        """Return how many tokens all prefixes in use hold, that of this group among them."""
        held = sum(prefix.cache.length for prefix in self._prefixes if prefix.cache is not None)
        wanted = self._prefixes[group]
        return held + (len(wanted.group.prefix) if wanted.cache is None else 0)

    def read(self, group: int, stretch: int) -> PrefixCache:
        """Return a prefix's keys and values; reads it, after the one it continues, when first asked.

        Args:
            group: Whose prefix.
            stretch: Most tokens to read in one pass.
        """
        import torch

        prefix = self._prefixes[group]
        if prefix.cache is None:
            parent = prefix.group.parent
            cache = PrefixCache() if parent is None else self.read(parent, stretch)
            device = self._model.device
            while cache.length < len(prefix.group.prefix):
                tokens = prefix.group.prefix[cache.length : cache.length + stretch]
                layout = PrefixLayout(cache)
                self._model(
                    input_ids=torch.tensor([list(tokens)], device=device),
                    position_ids=torch.arange(len(tokens), device=device).unsqueeze(0) + cache.length,
                    use_cache=False,
                    logits_to_keep=1,
                    layout=layout,
                )
                cache = layout.extended(len(tokens))
            prefix.cache = cache
            if parent is not None:
                self._release(parent)
        return prefix.cache

    def in_use(self, rows: Sequence[int], stretch: int) -> list[tuple[PrefixCache, Tensor | None]]:
        """Return each prefix that rows follow, with their places among the rows (None: all of them)."""
        import torch

        places: dict[int, list[int]] = {}
        for place, index in enumerate(rows):
            places.setdefault(self._group_of[index], []).append(place)
        found: list[tuple[PrefixCache, Tensor | None]] = []
        for group, followers in places.items():
            cache = self.read(group, stretch)
            if cache.length:
                of_all = len(followers) == len(rows)
                found.append((cache, None if of_all else torch.tensor(followers, device=self._model.device)))
        return found

    def release(self, index: int) -> None:
        """Note that a row needs its prefix no more; one that nobody needs is freed."""
        self._release(self._group_of[index])

    def _release(self, group: int) -> None:
        prefix = self._prefixes[group]
        prefix.waiting -= 1
        if not prefix.waiting:
            prefix.cache = None
