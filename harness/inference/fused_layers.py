"""Layers computed in fewer passes over memory, where that gives what the model's own code gives.

A gated MLP lets the product apply the activation and the other factor while it writes its result; a norm is
one reduction and two products. On a few cores a pass that wakes all threads costs more than its arithmetic.

What a module computes is not told by its class or its attributes: the fused computation is tried beside the
module's own, and used where both agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from harness.inference.packed_weights import packed_linear
from harness.upstream.torch_internals import packed_product, packed_product_binary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fuse_layers", "split_layers"]

_TRIED_SCALES = (0.01, 1.0, 100.0)  # a limit on activations, or another epsilon, shows at some of them
_TOLERANCE = 1e-5  # relative to the largest number of a row; float32 rounds at 6e-8


def fuse_layers(model: Any) -> list[Any]:
    """Fuse the gated MLPs and RMS norms of a model whose linear layers are packed.

    Weights that change afterwards (`packed_weights.set_weight`) and adapters that are switched on count:
    a module that is no longer what was tried computes by its own code.

    Args:
        model: A float32 model on the CPU, in evaluation mode.

    Returns:
        The modules that were fused.
    """
    changed: list[Any] = []
    for module in list(model.modules()):
        for fused in (_gated_mlp(module), _rms_norm(module)):
            if fused is not None and _agrees(module, *fused):
                module.__dict__["forward"] = fused[0]
                changed.append(module)
    return changed


def split_layers(modules: Iterable[Any]) -> None:
    """Have fused modules compute by their own code again."""
    for module in modules:
        del module.__dict__["forward"]


_Fused = tuple[Callable[["Tensor"], "Tensor"], int]
"""The computation, and the width of its input."""


def _gated_mlp(module: Any) -> _Fused | None:
    """Return down(silu(gate(x)) · up(x)), if this module has the layers for it (Shazeer 2020, SwiGLU)."""
    names = ("gate_proj", "up_proj", "down_proj")
    if not all(packed_linear(getattr(module, name, None)) for name in names):
        return None
    product, product_binary = packed_product(), packed_product_binary()
    if product is None or product_binary is None:
        return None

    def forward(input: Tensor) -> Tensor:
        gate, up, down = (packed_linear(getattr(module, name)) for name in names)
        if gate is None or up is None or down is None:  # an adapter was put around one of them
            found: Tensor = type(module).forward(module, input)
            return found
        gated = product(input, gate.weight, gate.linear.bias, "swish", [], "")
        gated = product_binary(input, gated, up.weight, up.linear.bias, "mul")
        return down.forward(gated)

    return forward, module.gate_proj.in_features


def _rms_norm(module: Any) -> _Fused | None:
    """Return x · weight / sqrt(mean(x²) + epsilon), if this module has a weight and an epsilon alone."""
    import torch

    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = getattr(module, "weight", None)
    if not isinstance(epsilon, float) or len(list(module.parameters())) != 1 or weight is None:
        return None
    if weight.dim() != 1 or weight.dtype != torch.float32:
        return None

    def forward(input: Tensor, *others: Any, **named: Any) -> Tensor:
        if others or named:  # such as a gate, which the same class may or may not be given
            own: Tensor = type(module).forward(module, input, *others, **named)
            return own
        length = torch.linalg.vector_norm(input, dim=-1, keepdim=True)
        factor = length.square_().div_(input.shape[-1]).add_(epsilon).rsqrt_()
        found: Tensor = (input * factor).mul_(module.weight)
        return found

    return forward, weight.shape[0]


def _agrees(module: Any, fused: Callable[[Tensor], Tensor], width: int) -> bool:
    """Whether both computations give the same numbers, to rounding, for random input."""
    import torch

    scales = torch.tensor(_TRIED_SCALES).unsqueeze(1)
    drawn = torch.randn(1, len(scales), width, generator=torch.Generator().manual_seed(0)) * scales
    with torch.inference_mode():
        try:
            own, found = module(drawn), fused(drawn)
        except (RuntimeError, TypeError, ValueError):  # it wants other arguments, or another shape
            return False
        if not isinstance(own, torch.Tensor) or own.shape != found.shape or own.dtype != found.dtype:
            return False
        allowed = _TOLERANCE * own.abs().amax(-1, keepdim=True)
        return bool(((own - found).abs() <= allowed).all())
