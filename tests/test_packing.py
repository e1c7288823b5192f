"""Packing a whole model: what reads its weights by itself keeps them, and the rest is packed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from harness.inference import packing
from harness.inference.packed_weights import can_pack, pack_linears, packed_linear, unpack_linears
from harness.inference.packing import pack_model

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch cannot pack weights")


class Reader(torch.nn.Module):
    """Projects like the layer that it holds, without ever calling it."""

    def __init__(self, inner: torch.nn.Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input @ self.inner.weight.T


def llama() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    return transformers.LlamaForCausalLM(config).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.arange(3, 40).unsqueeze(0)).logits
    return found


def packed(model: Any) -> list[str]:
    return [name for name, module in model.named_modules() if packed_linear(module) is not None]


def test_a_usual_model_is_packed_and_fused_whole() -> None:
    model = llama()
    expected = logits(model)
    pack_model(model)
    assert len(packed(model)) == 15
    assert "forward" in model.model.norm.__dict__
    assert torch.allclose(logits(model), expected, atol=1e-4)


def test_what_reads_a_weight_by_itself_keeps_it() -> None:
    model = llama()
    for layer in model.model.layers:
        layer.self_attn.o_proj = Reader(layer.self_attn.o_proj)
    expected = logits(model)
    pack_model(model)
    assert torch.allclose(logits(model), expected, atol=1e-4)
    assert len(packed(model)) == 13
    assert not [name for name in packed(model) if "o_proj" in name]
    assert "forward" in model.model.norm.__dict__


def test_a_fusion_that_changes_answers_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    expected = logits(model)
    fuse = packing.fuse_layers

    def wrong(model: Any) -> list[Any]:
        fused = fuse(model)
        model.model.norm.__dict__["forward"] = lambda input: 2 * input
        return fused

    monkeypatch.setattr(packing, "fuse_layers", wrong)
    pack_model(model)
    assert "forward" not in model.model.norm.__dict__
    assert len(packed(model)) == 15
    assert torch.allclose(logits(model), expected, atol=1e-4)


def test_unpacking_is_exact() -> None:
    model = llama()
    weights = {name: layer.weight.clone() for name, layer in model.named_modules() if "proj" in name}
    unpack_linears(pack_linears(model))
    assert not packed(model)
    layers = dict(model.named_modules())
    assert all(torch.equal(layers[name].weight, weight) for name, weight in weights.items())
