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

_CPU_BLOCK = 16_384
"""Numbers in the keys of one token of each slot of a block. Slots are attended to in blocks, each only as far
as its longest row: what a block costs in operations must be little beside its products."""

_LEAST_BLOCK = 32  # slots, however wide their keys are


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
        block = len(lengths)
        if device.type == "cpu":
            block = max(_CPU_BLOCK // slots.key_width, _LEAST_BLOCK)
        self._blocks: list[tuple[slice, int, Tensor]] = []
        for first in range(0, len(lengths), block):
            own = lengths_on_device[first : first + block]
            longest = max(lengths[first : first + block]) + 1
            unwritten = torch.arange(longest, device=device) > own[:, None, None]
            mask = torch.zeros(unwritten.shape, device=device).masked_fill_(unwritten, float("-inf"))
            self._blocks.append((slice(first, first + len(own)), longest, mask))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend to each slot's own tokens, the new one among them, and to its prefix."""
        import torch

        keys, values = self._slots.write_tokens(
            layer, self._all, self._lengths, key[0].transpose(0, 1), value[0].transpose(0, 1)
        )
        rows = query[0].transpose(0, 1)
        grouped = rows.view(len(rows), keys.shape[1], -1, rows.shape[2])
        shared = self._shared(layer, query, values, scaling) if self._prefixes else None
        parts = []
        for block, longest, mask in self._blocks:
            other = None if shared is None else (shared[0][block], shared[1][block])
            own_keys, own_values = keys[block, :, :longest], values[block, :, :longest]
            parts.append(_attend_own(grouped[block], own_keys, own_values, mask, scaling, other))
        return (torch.cat(parts) if len(parts) > 1 else parts[0]).unsqueeze(0)

    def _shared(self, layer: int, query: Tensor, values: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """Attend to the prefixes: output (rows, heads, value width) and log-sum-exp (rows, heads)."""
        import torch

        found = None
        for prefix, slots in self._prefixes:
            asked = query if slots is None else query[:, :, slots]
            output, lse = attend_with_lse(asked, *prefix.layers[layer], scaling=scaling)
            output, lse = output[0].transpose(0, 1), lse[0].transpose(0, 1)
            if slots is None:
                return output, lse
            if found is None:
                rows, heads = query.shape[2], query.shape[1]
                without = torch.full((rows, heads), float("-inf"), device=query.device)
                found = values.new_zeros((rows, heads, values.shape[-1])), without
            found[0][slots], found[1][slots] = output, lse
        assert found is not None  # only asked for where there are prefixes
        return found


def _attend_own(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    scaling: float,
    shared: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Attend to each row's own keys by two batched products, and to what it shares as to one more key.

    A fused kernel takes each row and head by itself; for one query at a time, products are twice as fast.
    Attention to a set of keys is attention to one key whose score is the set's log-sum-exp and whose value is
    the set's output, so that one softmax merges both.

    Args:
        query: Shape (rows, key heads, heads / key heads, width).
        keys: Shape (rows, key heads, tokens, width).
        values: Shape (rows, key heads, tokens, value width).
        mask: 0 or -inf, shape (rows, 1, tokens), float32.
        scaling: Factor on the dot products.
        shared: Output, shape (rows, heads, value width), and log-sum-exp, shape (rows, heads), over the
            prefix of each row; -inf where it has none.

    Returns:
        The output, shape (rows, heads, value width).
    """
    import torch

    rows, key_heads, per_key, _ = query.shape
    tokens = keys.shape[2]
    scores = torch.baddbmm(
        mask.to(keys.dtype).expand(rows, key_heads, tokens).reshape(-1, 1, tokens),
        query.flatten(0, 1),
        keys.flatten(0, 1).transpose(1, 2),
        alpha=scaling,
    ).float()
    if shared is not None:
        scores = torch.cat([scores, shared[1].reshape(-1, per_key, 1)], -1)
    weights = torch.softmax(scores, -1).to(values.dtype)
    output = torch.bmm(weights[..., :tokens], values.flatten(0, 1))
    if shared is not None:
        output = torch.addcmul(output, weights[..., tokens:], shared[0].reshape(output.shape))
    return output.view(rows, key_heads * per_key, -1)
