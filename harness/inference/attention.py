"""Attention whose layout the caller decides: shared prefixes, token trees, packed rows.

transformers lets an attention function be plugged in by name, and hands it every keyword argument that the
model's own `forward` does not know. So a forward pass may carry a `Layout`, which computes each layer's
attention over whatever keys it keeps, and the model's code stays as it is:

    with layout_attention(model):
        logits = model(input_ids=…, position_ids=…, use_cache=False, layout=layout).logits

Attention over a set of keys is the average of the attention over its parts, weighted by their log-sum-exps
(Milakov & Gimelshein 2018, https://arxiv.org/abs/1805.02867), which is what `attend_with_lse` and `merge` are
for: a prefix that many tokens share is attended to without a mask and without copies, the rest beside it.

Which models may use it is decided by `harness.inference.layout_support`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from harness.upstream.torch_internals import Operator, cpu_attention, efficient_attention, flash_attention
from harness.upstream.transformers_internals import attention_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Layout", "LayoutUnsupportedError", "attend_with_lse", "causal_lm", "layout_attention", "merge"]

_NAME = "harness_layout"
_ALTERS = ("softcap", "s_aux", "sinks", "sliding_window", "position_bias", "alibi", "head_mask")
"""Arguments by which a model asks for something else than softmax(q·k)·v over all earlier tokens."""


class Layout(Protocol):
    """Where the tokens of one forward pass stand, and what each of them attends to."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Return the attention output of one layer.

        Args:
            layer: Index of the layer, from 0.
            query: Rotated queries, shape (rows, heads, tokens, width).
            key: Rotated keys of the same tokens, shape (rows, key heads, tokens, width); a key head serves
                heads / key heads query heads in a row.
            value: Values, shape (rows, key heads, tokens, value width).
            scaling: Factor on the dot products.

        Returns:
            Shape (rows, tokens, heads, value width).
        """
        ...


class LayoutUnsupportedError(Exception):
    """The model's attention is not plain causal attention over all earlier tokens."""


def causal_lm(model: Any) -> Any:
    """Return the transformers model inside a PEFT model (its adapters stay active), or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextlib.contextmanager
def layout_attention(model: Any) -> Iterator[None]:
    """Let forward passes inside the block carry a `layout`; every one of them must.

    Args:
        model: A model for which `layout_support.supports_layouts` holds.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _dispatch)
    inner = causal_lm(model)
    before = attention_of(inner)
    inner.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        inner.set_attn_implementation(before)


def _dispatch(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **arguments: Any,
) -> tuple[Tensor, None]:
    """Be the attention function of transformers' `AttentionInterface`."""
    if layout is None:
        raise LayoutUnsupportedError("the model does not hand its keyword arguments to its attention")
    altered = [name for name in _ALTERS if arguments.get(name) is not None]
    if altered or attention_mask is not None or dropout or arguments.get("is_causal") is False:
        found = ", ".join(altered) or "a mask of the model's own, dropout, or no causality"
        raise LayoutUnsupportedError(f"the attention of {type(module).__name__} uses {found}")
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    return layout.attend(module.layer_idx, query, key, value, factor), None


def attend_with_lse(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scaling: float,
    mask: Tensor | None = None,
    causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return softmax attention together with the logarithm of its normaliser.

    Args:
        query: Shape (rows, heads, queries, width).
        key: Shape (rows, key heads, keys, width); heads is a multiple of key heads.
        value: Shape (rows, key heads, keys, value width).
        scaling: Factor on the dot products.
        mask: Added to the scaled dot products: 0 or -inf, of the query's dtype, broadcastable to
            (rows, heads, queries, keys). Every query must see at least one key.
        causal: Query i sees keys 0 to i; excludes a mask.

    Returns:
        The output, shape (rows, heads, queries, value width), and the log-sum-exp of each query's scaled
        dot products in float32, shape (rows, heads, queries).
    """
    if key.shape[-1] == value.shape[-1]:
        if query.device.type == "cpu" and (fused := cpu_attention()) is not None:
            # the kernel behind `scaled_dot_product_attention`; it knows grouped heads and keeps the lse
            output, lse = fused(query, key, value, 0.0, causal, attn_mask=mask, scale=scaling)
            return output, lse
        if query.device.type == "cuda" and mask is None and not causal and query.shape[-1] % 8 == 0:
            flash, efficient = flash_attention(), efficient_attention()
            if flash is not None and efficient is not None:
                return _fused_on_cuda(query, key, value, scaling, flash, efficient)
    return _by_matmul(query, key, value, scaling, mask, causal)


def merge(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], *, in_place: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the attention over two disjoint sets of keys from the attention over each.

    Args:
        first: Output (…, width) and log-sum-exp (…) of one set.
        second: The same of the other.
        in_place: Whether `first`'s output may be overwritten.

    Returns:
        Output and log-sum-exp of both together.
    """
    import torch

    (one, lse_one), (two, lse_two) = first, second
    weight = torch.sigmoid(lse_two - lse_one).unsqueeze(-1).to(one.dtype)
    output = one.lerp_(two, weight) if in_place else one.lerp(two, weight)
    return output, torch.logaddexp(lse_one, lse_two)


def _fused_on_cuda(
    query: Tensor, key: Tensor, value: Tensor, scaling: float, flash: Operator, efficient: Operator
) -> tuple[Tensor, Tensor]:
    """Attend without mask; query heads of one key head are laid end to end, so that no key is copied."""
    import torch

    rows, heads, queries, width = query.shape
    folded = query.reshape(rows, key.shape[1], -1, width)
    if query.dtype in (torch.float16, torch.bfloat16) and width <= 256:
        output, lse = flash(folded, key, value, 0.0, False, False, scale=scaling)[:2]
    else:
        output, lse = efficient(folded, key, value, None, True, 0.0, False, scale=scaling)[:2]
    lse = lse[..., : folded.shape[2]]  # the efficient kernel pads it
    return output.reshape(rows, heads, queries, width), lse.reshape(rows, heads, queries)


def _by_matmul(
    query: Tensor, key: Tensor, value: Tensor, scaling: float, mask: Tensor | None, causal: bool
) -> tuple[Tensor, Tensor]:
    """Compute it from its definition, in float32."""
    import torch

    rows, heads, queries, width = query.shape
    grouped = query.float().reshape(rows, key.shape[1], -1, queries, width)
    weights = (grouped * scaling) @ key.float().unsqueeze(2).transpose(-1, -2)
    weights = weights.view(rows, heads, queries, key.shape[2])
    if mask is not None:
        weights = weights + mask
    if causal:
        seen = torch.ones(queries, key.shape[2], dtype=torch.bool, device=query.device).tril()
        weights = weights.masked_fill(~seen, float("-inf"))
    lse = weights.logsumexp(-1)
    weights = (weights - lse.unsqueeze(-1)).exp_().view(rows, key.shape[1], -1, queries, key.shape[2])
    output = weights @ value.float().unsqueeze(2)
    return output.reshape(rows, heads, queries, value.shape[-1]).to(query.dtype), lse
