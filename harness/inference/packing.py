"""Pack and fuse the layers of a model as far as its answers stay what they were.

A layer's code may read a weight without calling the layer, and a class that is called with one argument here
may be called with two there. So the whole model is tried before and after; where that fails, linear layers
are packed by the kind of module that holds them, and each kind is tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.inference.alone import neutral_defaults
from harness.inference.fused_layers import fuse_layers, split_layers
from harness.inference.packed_weights import pack_linears, unpack_linears

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pack_model"]

_TOKENS = 8  # of the prompt that is tried
_STEPS = 2  # tokens of its answer: the second one is computed from what the model kept
_TOLERANCE = 1e-3  # of the logits, in units of their standard deviation; float32 rounds at 1e-6 or so


def pack_model(model: Any) -> None:
    """Pack linear layers for oneDNN and fuse layers, where the model's logits stay the same to rounding.

    Args:
        model: A float32 model on the CPU, in evaluation mode; see `packed_weights.pack_linears`.
    """
    expected = _logits(model)
    if expected is None:
        return
    packed, fused = pack_linears(model), fuse_layers(model)
    if _agrees(model, expected):
        return
    split_layers(fused)
    unpack_linears(packed)
    for kind in {type(module): None for module in model.modules()}:
        packed = pack_linears(model, within=kind)
        if packed and not _agrees(model, expected):
            unpack_linears(packed)
    fused = fuse_layers(model)
    if not _agrees(model, expected):
        split_layers(fused)


def _agrees(model: Any, expected: Tensor) -> bool:
    found = _logits(model)
    if found is None or found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.std())


def _logits(model: Any) -> Tensor | None:
    """Return the logits of the first tokens of an answer, or None where the model's code fails."""
    import torch

    vocabulary = model.get_input_embeddings().weight.shape[0]
    prompt = torch.randint(vocabulary, (1, _TOKENS), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), neutral_defaults(model) as settings:
        try:
            found = model.generate(
                input_ids=prompt.to(model.device),
                attention_mask=torch.ones_like(prompt),
                generation_config=settings(
                    max_new_tokens=_STEPS,
                    do_sample=False,
                    pad_token_id=0,
                    output_logits=True,
                    return_dict_in_generate=True,
                ),
            )
        except Exception:  # the model's code meets what it was not written for: it may raise anything
            return None
    return torch.cat(found.logits).float()
