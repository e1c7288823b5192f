"""Packed weights: the same numbers in another order, also where the head is tied to the embedding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from harness.inference.packed_weights import can_pack, pack_linears, set_weight, weight_of

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch cannot pack weights")


def qwen2(*, tied: bool) -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=tied,
    )
    return transformers.Qwen2ForCausalLM(config).eval()


def is_packed(linear: Any) -> bool:
    return "forward" in linear.__dict__


@pytest.mark.parametrize("tied", [True, False])
def test_every_linear_layer_is_packed_and_logits_stay(tied: bool) -> None:
    model = qwen2(tied=tied)
    tokens = torch.randint(96, (3, 7), generator=torch.Generator().manual_seed(1))
    weights = {
        name: layer.weight.detach().clone()
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    with torch.inference_mode():
        expected = model(tokens).logits
        pack_linears(model)
        found = model(tokens).logits
    layers = dict(model.named_modules())
    assert len(weights) == 15
    for name, weight in weights.items():
        assert is_packed(layers[name]), name
        assert torch.equal(weight_of(layers[name]), weight), name
    assert float((found - expected).abs().max()) < 1e-4
    # only what embeddings look up is held twice
    assert model.lm_head.weight.numel() == (96 * 32 if tied else 0)
    assert model.model.layers[0].self_attn.q_proj.weight.numel() == 0
    assert model.get_input_embeddings().weight.shape == (96, 32)


def test_a_tied_head_and_its_embedding_change_together() -> None:
    model = qwen2(tied=True)
    pack_linears(model)
    weight = torch.randn(96, 32, generator=torch.Generator().manual_seed(2))
    hidden = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        set_weight(model.lm_head, weight)
        assert torch.equal(weight_of(model.lm_head), weight)
        assert torch.equal(model.get_input_embeddings().weight, weight)
        assert torch.allclose(model.lm_head(hidden), hidden @ weight.T, atol=1e-4)


def test_linear_layers_that_share_a_weight_stay_as_they_are() -> None:
    model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(3)))
    model[1].weight = model[0].weight
    pack_linears(model)
    assert [is_packed(layer) for layer in model] == [False, False, True]
    with torch.no_grad():
        set_weight(model[0], torch.eye(8))
    assert torch.equal(weight_of(model[1]), torch.eye(8))
