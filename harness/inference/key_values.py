"""Keys and values of what was read: a prefix's, shared by many rows, and each row's own in its slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PrefixCache", "SlotCache"]

_STEP = 32  # tokens by which slots grow


class PrefixCache:
    """Keys and values of one prefix, each layer's of shape (1, key heads, tokens, width).

    Args:
        length: Tokens that a shorter prefix holds already.
        layers: Their keys and values, one pair for each layer.
    """

    def __init__(self, length: int = 0, layers: Sequence[tuple[Tensor, Tensor]] = ()) -> None:
        self.length = length
        self.layers = list(layers)


class SlotCache:
    """Each slot's own keys and values: as many slots, and as long, as were needed so far and no more."""

    def __init__(self) -> None:
        self.slots = self.tokens = 0
        self._layers: list[tuple[Tensor, Tensor]] = []

    @property
    def key_width(self) -> int:
        """How many numbers the keys of one token take in a layer: key heads × width."""
        return self._layers[0][0].shape[1] * self._layers[0][0].shape[3]

    def reserve(self, slots: int, tokens: int) -> None:
        """Make room for so many slots of so many tokens."""
        if slots > self.slots or tokens > self.tokens:
            self._reshape(max(slots, self.slots), max(-(-tokens // _STEP) * _STEP, self.tokens))

    def shrink(self, slots: int) -> None:
        """Give up the slots from this one on."""
        if slots < self.slots:
            self._reshape(slots, self.tokens)

    def _reshape(self, slots: int, tokens: int) -> None:
        for place, (keys, values) in enumerate(self._layers):  # one layer at a time takes little on top
            if keys.shape[0] != slots or keys.shape[2] != tokens:  # some may be, if memory ran out
                self._layers[place] = _reshaped(keys, slots, tokens), _reshaped(values, slots, tokens)
        self.slots, self.tokens = slots, tokens

    def write_prompts(self, layer: int, first: int, keys: Tensor, values: Tensor) -> None:
        """Put prompts into the slots from `first` on.

        Args:
            layer: Index of the layer; layers come in order when they are new.
            first: The first prompt's slot.
            keys: Shape (prompts, key heads, tokens, width).
            values: Shape (prompts, key heads, tokens, value width).
        """
        if layer == len(self._layers):
            shape = (self.slots, keys.shape[1], self.tokens)
            self._layers.append(
                (keys.new_zeros((*shape, keys.shape[3])), values.new_zeros((*shape, values.shape[3])))
            )
        own_keys, own_values = self._layers[layer]
        count, tokens = keys.shape[0], keys.shape[2]
        own_keys[first : first + count, :, :tokens] = keys
        own_values[first : first + count, :, :tokens] = values

    def write_tokens(
        self, layer: int, slots: Tensor, lengths: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Append one token to each slot, and return the layer's keys and values of all slots.

        Args:
            layer: Index of the layer.
            slots: Which slots, shape (rows,).
            lengths: How many tokens each of them holds, shape (rows,).
            keys: Shape (rows, key heads, width).
            values: Shape (rows, key heads, value width).
        """
        own_keys, own_values = self._layers[layer]
        own_keys[slots, :, lengths] = keys
        own_values[slots, :, lengths] = values
        return own_keys, own_values

    def move(self, sources: Tensor, targets: Tensor, tokens: int) -> None:
        """Copy the first tokens of some slots into others."""
        for layer in self._layers:
            for held in layer:
                held[targets, :, :tokens] = held[sources, :, :tokens]


def _reshaped(held: Tensor, slots: int, tokens: int) -> Tensor:
    # zeros, since what is not written yet is multiplied by weight 0, and NaN × 0 is NaN
    reshaped = held.new_zeros((slots, held.shape[1], tokens, held.shape[3]))
    slots, tokens = min(slots, held.shape[0]), min(tokens, held.shape[2])
    reshaped[:slots, :, :tokens] = held[:slots, :, :tokens]
    return reshaped
