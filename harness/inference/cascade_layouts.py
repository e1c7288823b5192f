"""Layouts of generation: a prefix read once, prompts read packed after it, and one token of many rows.

A row attends to its prefix, which it shares, and to its own tokens, which lie in its slot; the two are merged
by their log-sum-exps (see `harness.inference.attention`). Nothing of a prefix is ever copied for a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.inference.attention import attend_with_lse, merge
from harness.inference.key_values import PrefixCache, SlotCache

if TYPE_CHECKING:
    from torch import Tensor
    from torch import device as torch_device

__all__ = ["PrefixLayout", "PromptLayout", "TokenLayout"]

_CPU_BLOCK = 32
"""Slots that are attended to in one product: each block only as far as its longest row. Blocks cost
operations, which are dear on a GPU and cheap beside the product on a CPU."""


class PrefixLayout:
    """The next stretch of a prefix, in one row of the input.

    Args:
        before: What the prefix holds already.
    """

    def __init__(self, before: PrefixCache) -> None:
        self._before = before
        self._layers: list[tuple[Tensor, Tensor]] = []

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend to the stretch so far and to everything before it."""
        import torch

        found = attend_with_lse(query, key, value, scaling=scaling, causal=True)
        if self._before.length:
            earlier = self._before.layers[layer]
            found = merge(found, attend_with_lse(query, *earlier, scaling=scaling), in_place=True)
            self._layers.append((torch.cat([earlier[0], key], 2), torch.cat([earlier[1], value], 2)))
        else:
            self._layers.append((key.contiguous(), value.contiguous()))
        return found[0].transpose(1, 2)

    def extended(self, tokens: int) -> PrefixCache:
        """Return the prefix with this stretch of so many tokens."""
        return PrefixCache(self._before.length + tokens, self._layers)


class PromptLayout:
    """Prompts that follow one prefix, laid end to end in one row of the input.

    Args:
        lengths: Tokens of each prompt.
        prefix: What stands before each of them.
        slots: Where their keys and values are kept.
        first: Slot of the first row.
        owners: For each slot from `first` on, which of the prompts it holds: rows with the same prompt (the
            samples of a case) read it once.
        device: Device of the model.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        prefix: PrefixCache,
        slots: SlotCache,
        first: int,
        owners: Sequence[int],
        device: torch_device,
    ) -> None:
        import torch

        self._prefix, self._slots, self._first = prefix, slots, first
        self._count, self._longest = len(lengths), max(lengths)
        own = torch.tensor(lengths)
        starts = own.cumsum(0) - own
        places = torch.arange(self._longest)
        inside = places < own.unsqueeze(1)
        padded = (starts.unsqueeze(1) + places).where(inside, starts.unsqueeze(1))
        self._padded = padded.flatten().to(device)
        self._packed = inside.flatten().nonzero().squeeze(1).to(device)
        self._owners = (
            None if list(owners) == list(range(self._count)) else torch.tensor(owners, device=device)
        )

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend causally within each prompt, and to all of the prefix."""
        keys, values = self._unpacked(key), self._unpacked(value)
        output, lse = attend_with_lse(self._unpacked(query), keys, values, scaling=scaling, causal=True)
        if self._owners is None:
            self._slots.write_prompts(layer, self._first, keys, values)
        else:
            self._slots.write_prompts(layer, self._first, keys[self._owners], values[self._owners])
        own = output.transpose(1, 2).flatten(0, 1)[self._packed].unsqueeze(0)  # (1, tokens, heads, width)
        if not self._prefix.length:
            return own
        own_lse = lse.transpose(1, 2).flatten(0, 1)[self._packed].unsqueeze(0)
        shared, shared_lse = attend_with_lse(query, *self._prefix.layers[layer], scaling=scaling)
        merged, _ = merge((own, own_lse), (shared.transpose(1, 2), shared_lse.transpose(1, 2)), in_place=True)
        return merged

    def _unpacked(self, packed: Tensor) -> Tensor:
        """Return (prompts, heads, longest, width) of (1, heads, tokens, width)."""
        rows = packed[0].transpose(0, 1)[self._padded]
        return rows.view(self._count, self._longest, *rows.shape[1:]).transpose(1, 2)


class TokenLayout:
    """The next token of every slot in use, side by side in one row of the input.

    Args:
        slots: Holds the slots; those in use are the first ones.
        lengths: How many tokens each slot in use holds, without the new ones.
        lengths_on_device: The same, shape (rows,), on the model's device.
        prefixes: Each prefix with the slots that follow it, or None for all of them. Slots of no prefix here
            have only their own tokens.
    """

    def __init__(
        self,
        slots: SlotCache,
        lengths: Sequence[int],
        lengths_on_device: Tensor,
        prefixes: Sequence[tuple[PrefixCache, Tensor | None]],
    ) -> None:
        import torch

        self._slots, self._lengths, self._prefixes = slots, lengths_on_device, prefixes
        device = lengths_on_device.device
        self._all = torch.arange(len(lengths), device=device)
        block = _CPU_BLOCK if device.type == "cpu" else len(lengths)
        self._blocks: list[tuple[slice, int, Tensor | None]] = []
        for first in range(0, len(lengths), block):
            own = lengths[first : first + block]
            longest = max(own) + 1
            mask = None
            if min(own) + 1 < longest:
                unwritten = torch.arange(longest, device=device) > lengths_on_device[
                    first : first + block
                ].unsqueeze(1)
                mask = torch.zeros(unwritten.shape, dtype=torch.float32, device=device)
                mask = mask.masked_fill_(unwritten, float("-inf"))[:, None, None]
            self._blocks.append((slice(first, first + len(own)), longest, mask))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend to each slot's own tokens, the new one among them, and to its prefix."""
        import torch

        rows = query[0].transpose(0, 1)
        keys, values = self._slots.write_tokens(
            layer, self._all, self._lengths, key[0].transpose(0, 1), value[0].transpose(0, 1)
        )
        grouped = (rows * scaling).view(len(rows), keys.shape[1], -1, rows.shape[2])
        parts = [
            _attend_own(grouped[block], keys[block, :, :longest], values[block, :, :longest], mask)
            for block, longest, mask in self._blocks
        ]
        own = torch.cat([output for output, _ in parts]) if len(parts) > 1 else parts[0][0]
        if self._prefixes:
            lse = torch.cat([lse for _, lse in parts]) if len(parts) > 1 else parts[0][1]
            for prefix, slots in self._prefixes:
                asked = query if slots is None else query[:, :, slots]
                shared, shared_lse = attend_with_lse(asked, *prefix.layers[layer], scaling=scaling)
                other = shared[0].transpose(0, 1), shared_lse[0].transpose(0, 1)
                if slots is None:
                    own = merge((own, lse), other, in_place=True)[0]
                else:
                    own[slots] = merge((own[slots], lse[slots]), other, in_place=True)[0]
        return own.unsqueeze(0)


def _attend_own(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attend to each row's own keys by two batched products.

    A fused kernel takes each row and head by itself; for one query at a time, products are twice as fast.

    Args:
        query: Scaled, shape (rows, key heads, heads / key heads, width).
        keys: Shape (rows, key heads, tokens, width).
        values: Shape (rows, key heads, tokens, value width).
        mask: 0 or -inf, shape (rows, 1, 1, tokens), float32.

    Returns:
        The output, shape (rows, heads, value width), and the log-sum-exp, shape (rows, heads), float32.
    """
    import torch

    rows, key_heads, per_key, _ = query.shape
    scores = torch.bmm(query.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)).float()
    scores = scores.view(rows, key_heads, per_key, -1)
    if mask is not None:
        scores += mask
    highest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(highest).exp_()
    total = weights.sum(-1, keepdim=True)
    weights = weights.div_(total).to(values.dtype)
    output = torch.bmm(weights.flatten(0, 1), values.flatten(0, 1))
    lse = (highest + total.log()).flatten(1)
    return output.view(rows, key_heads * per_key, -1), lse
