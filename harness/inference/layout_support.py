"""Which models may run with a `Layout`: those where doing so is shown to change nothing.

What a configuration says decides first, because a window of 4,096 tokens cannot be seen on a dozen. Then the
model itself is asked: two sequences with a common beginning, once as the model's own code runs them and once
packed as a tree. A model of an architecture never heard of is used as it is when either test fails.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from harness.inference.attention import attend_with_lse, causal_lm, layout_attention
from harness.upstream.transformers_internals import (
    attention_of,
    can_exchange_attention,
    lets_attention_be_exchanged,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["supports_layouts"]

_SHARED, _OWN = 5, 4  # tokens of the probe: those of both sequences, and each one's own
_TOLERANCE = {"float32": 1e-3, "float64": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""Largest difference of logits, in units of their standard deviation."""

_known: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def supports_layouts(model: Any) -> bool:
    """Whether a model's attention may be replaced by a `Layout`; the model is asked once.

    Args:
        model: A causal language model in evaluation mode, a PEFT model included.
    """
    inner = causal_lm(model)
    if not can_exchange_attention():
        return False
    if inner not in _known:
        _known[inner] = _attends_to_everything(inner) and _probe(inner)
    return _known[inner]


def _attends_to_everything(model: Any) -> bool:
    """Whether, as far as its configuration says, each layer attends to all earlier tokens."""
    config = model.config.get_text_config(decoder=True)
    layers = getattr(config, "layer_types", None) or ()
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        attention_of(model) == "sdpa"  # what else was asked for is what the user gets
        and not getattr(model.config, "is_encoder_decoder", False)
        and all(kind == "full_attention" for kind in layers)
        and (bool(layers) or getattr(config, "sliding_window", None) is None)
        and getattr(config, "attention_chunk_size", None) is None
        # these scale rotations by the longest position of a call, so a prefix run alone would differ
        and not _rope_types(rope) & {"dynamic", "longrope"}
        and lets_attention_be_exchanged(model)
    )


def _rope_types(parameters: Any) -> set[str]:
    """Return the kinds of rotary embedding; the parameters may be given per layer type."""
    if not isinstance(parameters, dict):
        return set()
    nested = (_rope_types(value) for value in parameters.values())
    return {str(parameters.get("rope_type", "default"))}.union(*nested)


class _Pair:
    """Two sequences with a common beginning, packed into one row: shared, first's own, second's own."""

    def __init__(self, mask: Tensor) -> None:
        self._mask = mask
        self.layers: list[int] = []

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        self.layers.append(layer)
        mask = self._mask.to(query.dtype)
        return attend_with_lse(query, key, value, scaling=scaling, mask=mask)[0].transpose(1, 2)


def _probe(model: Any) -> bool:
    """Whether a packed pair of sequences gets the logits that the model gives them one by one."""
    import torch

    length = _SHARED + _OWN
    vocabulary = model.get_input_embeddings().weight.shape[0]
    drawn = torch.randint(vocabulary, (2, length), generator=torch.Generator().manual_seed(0))
    drawn[1, :_SHARED] = drawn[0, :_SHARED]
    packed = torch.cat([drawn[:1], drawn[1:, _SHARED:]], dim=1)
    positions = torch.cat([torch.arange(length), torch.arange(_SHARED, length)]).unsqueeze(0)
    seen = torch.ones(packed.shape[1], packed.shape[1], dtype=torch.bool).tril()
    seen[length:, _SHARED:length] = False
    mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf")).to(model.device)
    layout = _Pair(mask)
    with torch.inference_mode():
        own = model(input_ids=drawn.to(model.device), use_cache=False).logits.float()
        expected = torch.cat([own[0], own[1, _SHARED:]])
        keep = torch.arange(packed.shape[1], device=model.device)
        try:
            with layout_attention(model):
                found = model(
                    input_ids=packed.to(model.device),
                    position_ids=positions.to(model.device),
                    use_cache=False,
                    logits_to_keep=keep,
                    layout=layout,
                ).logits.float()[0]
        except Exception:  # the model's code meets what it was not written for: it may raise anything
            return False
    config = model.config.get_text_config(decoder=True)
    if layout.layers != list(range(config.num_hidden_layers)) or found.shape != expected.shape:
        return False
    tolerance = _TOLERANCE.get(str(model.dtype).removeprefix("torch."), 0.0)
    return bool((found - expected).abs().max() <= tolerance * expected.std())
