"""The operators of torch that its documentation does not promise: attention with its normaliser, oneDNN.

Each is looked for once. A missing one is None here, and its caller has a plain path: attention by two
products, weights as they are, layers by their own code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from harness.upstream.private_name import PrivateName, missing_names

__all__ = [
    "NAMES",
    "Operator",
    "cpu_attention",
    "efficient_attention",
    "flash_attention",
    "missing",
    "packed_product",
    "packed_product_binary",
    "reorder_weight",
]

Operator = Callable[..., Any]

_BY_PRODUCTS = "attention is computed by two products in float32, which takes longer"
_PLAIN = "weights are not packed for oneDNN, which takes longer"
_CPU_ATTENTION = PrivateName("torch", "ops.aten._scaled_dot_product_flash_attention_for_cpu", _BY_PRODUCTS)
_FLASH_ATTENTION = PrivateName("torch", "ops.aten._scaled_dot_product_flash_attention", _BY_PRODUCTS)
_EFFICIENT_ATTENTION = PrivateName("torch", "ops.aten._scaled_dot_product_efficient_attention", _BY_PRODUCTS)
_PACKED_PRODUCT = PrivateName("torch", "ops.mkldnn._linear_pointwise", _PLAIN)
_PACKED_PRODUCT_BINARY = PrivateName(
    "torch", "ops.mkldnn._linear_pointwise.binary", "gated MLPs are not fused, which takes longer"
)
_REORDER_WEIGHT = PrivateName("torch", "ops.mkldnn._reorder_linear_weight", _PLAIN)
_OF_ONEDNN = (_PACKED_PRODUCT, _PACKED_PRODUCT_BINARY, _REORDER_WEIGHT)
NAMES = (_CPU_ATTENTION, _FLASH_ATTENTION, _EFFICIENT_ATTENTION, *_OF_ONEDNN)


def missing() -> tuple[PrivateName, ...]:
    """Return the operators that this torch does not have; one without oneDNN is not asked for those of it."""
    import torch

    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch leaves it without types
    lost = missing_names(name for name in NAMES if built or name not in _OF_ONEDNN)
    return lost if cpu_attention() is not None else tuple(dict.fromkeys((_CPU_ATTENTION, *lost)))


@functools.cache
def cpu_attention() -> Operator | None:
    """Return the kernel of a CPU, called with query, key, value, dropout, causality, `attn_mask`, `scale`."""
    operator: Operator | None = _CPU_ATTENTION.load()
    return operator if operator is not None and _groups_heads(operator) else None


def _groups_heads(attention: Operator) -> bool:
    """Whether several query heads may share a key head: the kernel of torch 2.6 knows no such heads."""
    import torch

    query, key = torch.eye(4).view(1, 2, 2, 4), torch.eye(3, 4).view(1, 1, 3, 4)
    try:
        output, lse = attention(query, key, key, 0.0, False, attn_mask=None, scale=1.0)
    except (RuntimeError, TypeError):
        return False
    weights = query @ key.transpose(-1, -2)
    return bool(
        output.shape == query.shape
        and torch.allclose(output, weights.softmax(-1) @ key, atol=1e-5)
        and torch.allclose(lse, weights.logsumexp(-1), atol=1e-5)
    )


@functools.cache
def flash_attention() -> Operator | None:
    """Return the flash kernel of CUDA."""
    operator: Operator | None = _FLASH_ATTENTION.load()
    return operator


@functools.cache
def efficient_attention() -> Operator | None:
    """Return the memory-efficient kernel of CUDA."""
    operator: Operator | None = _EFFICIENT_ATTENTION.load()
    return operator


@functools.cache
def packed_product() -> Operator | None:
    """Return the product with a weight that is packed, and what may be applied to it on the way."""
    operator: Operator | None = _PACKED_PRODUCT.load()
    return operator


@functools.cache
def packed_product_binary() -> Operator | None:
    """Return the product with a weight that is packed, combined with another tensor on the way."""
    operator: Operator | None = _PACKED_PRODUCT_BINARY.load()
    return operator


@functools.cache
def reorder_weight() -> Operator | None:
    """Return what packs a weight."""
    operator: Operator | None = _REORDER_WEIGHT.load()
    return operator
