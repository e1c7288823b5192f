"""Weights of linear layers, packed once for oneDNN instead of by the product at every call.

Packing only moves numbers, so that a weight can be unpacked bit by bit. The unpacked one is not kept, unless
it is an embedding too. What packing gives, `benchmarks/vs_lm_eval_generate.py --variants` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.upstream.torch_internals import Operator, packed_product, reorder_weight

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PackedLinear",
    "can_pack",
    "pack_linears",
    "packed_linear",
    "set_weight",
    "unpack_linears",
    "weight_of",
]

_ROWS = 64  # a hint; the order that oneDNN chooses was the same for 16 and 1,024


def can_pack() -> bool:
    """Whether this torch was built with oneDNN, for which weights are packed."""
    import torch

    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built


def pack_linears(model: Any, *, within: type[Any] | None = None) -> list[Any]:
    """Pack the weight of every plain linear layer, unless another linear layer has the same one.

    Where this torch has no operator for it, weights stay as they are.

    Afterwards `module.weight` is empty: `weight_of` gives the weight, `set_weight` changes it. A weight that
    embeddings share stays where it is, and the packed one is a copy: the head reads all of it at every step,
    and its products are among the largest.

    Args:
        model: A model on the CPU.
        within: Only layers that are attributes of modules of this class; None for all.

    Returns:
        The layers that were packed.
    """
    import torch

    product = packed_product()
    if product is None or reorder_weight() is None:
        return []
    owners: dict[int, list[type]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(type(module))
    modules: list[Any] = []
    for module in model.modules():
        modules += [module] if within is None else module.children() if type(module) is within else []
    changed: list[Any] = []
    for module in modules:
        if type(module) is not torch.nn.Linear or packed_linear(module) is not None:
            continue
        weight: Any = module.weight
        others = list(owners[id(weight)])
        others.remove(torch.nn.Linear)
        if weight.dtype != torch.float32 or not all(
            issubclass(other, torch.nn.Embedding) for other in others
        ):
            continue
        packed = PackedLinear(module, weight.data, product)
        if not others:
            weight.data = weight.data.new_empty(0)
        module.__dict__["forward"] = packed.forward
        changed.append(module)
    return changed


def unpack_linears(layers: Iterable[Any]) -> None:
    """Have packed layers compute with their own weight again, bit by bit the one that was packed."""
    for layer in layers:
        weight = weight_of(layer)
        if not layer.weight.numel():
            layer.weight.data = weight
        del layer.__dict__["forward"]


def weight_of(linear: Any) -> Tensor:
    """Return the weight of a linear layer; of a packed one, a copy."""
    packed = packed_linear(linear)
    return linear.weight.data if packed is None else packed.weight.to_dense()


def set_weight(linear: Any, weight: Tensor) -> None:
    """Change the weight of a linear layer, packed or not, and with it that of what it is tied to."""
    packed = packed_linear(linear)
    if packed is not None:
        packed.weight = _reordered(weight)
    if linear.weight.numel():
        linear.weight.data.copy_(weight)


class PackedLinear:
    """A packed weight, and the layer's computation with it.

    Args:
        linear: The layer; its bias stays where it is.
        weight: Its weight, shape (outputs, inputs).
        product: torch's product with a packed weight.
    """

    def __init__(self, linear: Any, weight: Tensor, product: Operator) -> None:
        self.linear, self.weight = linear, _reordered(weight)
        self._product = product

    def forward(self, input: Tensor) -> Tensor:
        """Return input · weightᵀ + bias."""
        found: Tensor = self._product(input, self.weight, self.linear.bias, "none", [], "")
        return found


def packed_linear(module: Any) -> PackedLinear | None:
    """Return what computes a linear layer that is packed; None of anything else."""
    owner = getattr(getattr(module, "__dict__", {}).get("forward"), "__self__", None)
    return owner if isinstance(owner, PackedLinear) else None


def _reordered(weight: Tensor) -> Tensor:
    reorder = reorder_weight()
    assert reorder is not None  # weights are packed
    packed: Tensor = reorder(weight, _ROWS)
    return packed
