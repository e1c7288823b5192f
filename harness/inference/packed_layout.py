"""The attention of one pack: chains, bushes, and the chains that they look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.inference.attention import attend_with_lse, merge
from harness.inference.token_packs import Bush, Pack

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["KeptChains", "PackedLayout"]

KeptChains = dict[int, dict[int, "tuple[Tensor, Tensor]"]]
"""Keys and values of chains that later packs look at, by chain and layer."""


class PackedLayout:
    """A `Layout` for one pack, which stands in one row.

    Args:
        pack: What the row holds.
        kept: Chains of earlier packs; those of this pack that later ones look at are added.
        dtype: That of the queries.
        device: That of the model.
    """

    def __init__(self, pack: Pack, kept: KeptChains, *, dtype: torch.dtype, device: torch.device) -> None:
        self._pack = pack
        self._kept = kept
        self._thickets = [_Thicket(bushes, dtype, device) for bushes in _of_like_size(pack.bushes)]
        self._own = {chain.key: chain for chain in pack.chains}
        for key in pack.keep:
            kept[key] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend within chains and bushes, then merge in what each sees above it."""
        import torch

        length, heads = query.shape[2], query.shape[1]
        output = query.new_empty(length, heads, value.shape[-1])
        lse = torch.empty(length, heads, dtype=torch.float32, device=query.device)
        for chain in self._pack.chains:
            at = slice(chain.first, chain.end)
            own_key, own_value = key[:, :, at], value[:, :, at]
            found, found_lse = attend_with_lse(
                query[:, :, at], own_key, own_value, scaling=scaling, causal=True
            )
            output[at], lse[at] = found[0].transpose(0, 1), found_lse[0].transpose(0, 1)
            if chain.key in self._pack.keep:  # a copy: the pack itself is not kept
                self._kept[chain.key][layer] = own_key.contiguous(), own_value.contiguous()
        for thicket in self._thickets:
            thicket.attend(query, key, value, scaling, output, lse)
        for view in self._pack.views:
            at = slice(view.first, view.end)
            if view.chain in self._own:
                seen = self._own[view.chain]
                above_key, above_value = key[:, :, seen.first : seen.end], value[:, :, seen.first : seen.end]
            else:
                above_key, above_value = self._kept[view.chain][layer]
            found, found_lse = attend_with_lse(query[:, :, at], above_key, above_value, scaling=scaling)
            above = found[0].transpose(0, 1), found_lse[0].transpose(0, 1)
            _, lse[at] = merge((output[at], lse[at]), above, in_place=True)
        return output.unsqueeze(0)


class _Thicket:
    """Bushes of like size, attended to together: rows padded to the longest, masked by their trees."""

    def __init__(self, bushes: list[Bush], dtype: torch.dtype, device: torch.device) -> None:
        import torch

        self._rows, self._longest = len(bushes), max(bush.end - bush.first for bush in bushes)
        gather = np.zeros((self._rows, self._longest), dtype=np.int64)
        scatter: list[int] = []
        seen = np.zeros((self._rows, self._longest, self._longest), dtype=bool)
        for row, bush in enumerate(bushes):
            size = bush.end - bush.first
            gather[row, :size] = range(bush.first, bush.end)
            gather[row, size:] = bush.first
            scatter += range(row * self._longest, row * self._longest + size)
            seen[row, :size, :size] = _seen(bush)
            seen[row, size:, 0] = True  # padding must see something; nobody looks at it
        self._gather = torch.from_numpy(gather.reshape(-1)).to(device)
        self._scatter = torch.tensor(scatter, device=device)
        self._tokens = self._gather[self._scatter]
        hidden = torch.from_numpy(~seen).to(device)
        self._mask = torch.zeros(hidden.shape, dtype=dtype, device=device)
        self._mask = self._mask.masked_fill_(hidden, float("-inf")).unsqueeze(1)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, scaling: float, output: Tensor, lse: Tensor
    ) -> None:
        """Write output (tokens, heads, width) and log-sum-exp (tokens, heads) of the bushes' tokens."""
        found, found_lse = attend_with_lse(
            self._padded(query), self._padded(key), self._padded(value), scaling=scaling, mask=self._mask
        )
        output[self._tokens] = found.transpose(1, 2).flatten(0, 1)[self._scatter]
        lse[self._tokens] = found_lse.transpose(1, 2).flatten(0, 1)[self._scatter]

    def _padded(self, states: Tensor) -> Tensor:
        rows = states[0].transpose(0, 1).index_select(0, self._gather)
        return rows.view(self._rows, self._longest, *rows.shape[1:]).transpose(1, 2)


def _seen(bush: Bush) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return which tokens of a bush each of its tokens sees: those on its way to the root, and itself."""
    size = bush.end - bush.first
    seen = np.zeros((size, size), dtype=np.bool_)
    for run in bush.runs:
        own = slice(run.first, run.end)
        if run.parent is not None:
            seen[own] = seen[bush.runs[run.parent].end - 1]  # all that the token before the run sees
        seen[own, own] = np.tri(run.end - run.first, dtype=np.bool_)
    return seen


def _of_like_size(bushes: tuple[Bush, ...]) -> list[list[Bush]]:
    """Group bushes so that less than half of each row is padding."""
    groups: list[list[Bush]] = []
    for bush in sorted(bushes, key=lambda bush: bush.first - bush.end):
        if not groups or 2 * (bush.end - bush.first) <= groups[-1][0].end - groups[-1][0].first:
            groups.append([])
        groups[-1].append(bush)
    return groups
