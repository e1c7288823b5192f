"""Fused layers: the same numbers as the model's own code, and its own code where they would differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from harness.inference.fused_layers import fuse_layers, split_layers
from harness.inference.packed_weights import can_pack, pack_linears, set_weight

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch cannot pack weights")

SHAPE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}


class CutOff(torch.nn.Module):
    """Like SiLU for what is not large."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.silu(input).clamp(max=7.0)


def made(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SHAPE, **changes)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():  # new norms are all ones, or all zeros where one is added
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def logits(model: Any) -> torch.Tensor:
    tokens = torch.randint(96, (3, 7), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found: torch.Tensor = model(tokens).logits
    return found


def fused(model: Any) -> set[str]:
    """The kinds of module that no longer compute by their own code."""
    return {
        type(module).__name__
        for module in model.modules()
        if "forward" in module.__dict__ and not isinstance(module, torch.nn.Linear)
    }


@pytest.mark.parametrize(
    ("name", "changes", "kinds"),
    [
        ("Llama", {}, {"LlamaMLP", "LlamaRMSNorm"}),
        ("Llama", {"mlp_bias": True}, {"LlamaMLP", "LlamaRMSNorm"}),
        ("Qwen2", {}, {"Qwen2MLP", "Qwen2RMSNorm"}),
        ("Qwen3", {"head_dim": 8}, {"Qwen3MLP", "Qwen3RMSNorm"}),
        ("Olmo2", {"pad_token_id": 0}, {"Olmo2MLP", "Olmo2RMSNorm"}),
        # another activation, or one added to the weight: their own code
        ("Llama", {"hidden_act": "gelu"}, {"LlamaRMSNorm"}),
        ("Gemma", {"head_dim": 8}, set()),
        ("Phi", {}, set()),
    ],
)
def test_logits_stay_whatever_was_fused(name: str, changes: dict[str, Any], kinds: set[str]) -> None:
    model = made(name, **changes)
    expected = logits(model)
    pack_linears(model)
    fuse_layers(model)
    assert fused(model) == kinds
    assert float((logits(model) - expected).abs().max()) < 1e-4


def test_an_activation_that_is_cut_off_is_not_fused() -> None:
    model = made("Llama")
    for layer in model.model.layers:
        layer.mlp.act_fn = CutOff()
    pack_linears(model)
    fuse_layers(model)
    assert "LlamaMLP" not in fused(model)


def test_weights_that_change_afterwards_count() -> None:
    plain, model = made("Llama"), made("Llama")
    pack_linears(model)
    fuse_layers(model)
    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(2))
    norm = torch.randn(32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for own in (plain, model):
            set_weight(own.model.layers[0].mlp.gate_proj, weight)
            own.model.layers[1].input_layernorm.weight.copy_(norm)
    assert float((logits(model) - logits(plain)).abs().max()) < 1e-4


def test_an_adapter_put_around_a_layer_counts() -> None:
    peft = pytest.importorskip("peft")
    targets = ["gate_proj", "up_proj", "down_proj", "q_proj"]
    config = peft.LoraConfig(r=2, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM")
    base, model = made("Llama"), made("Llama")
    pack_linears(model)
    fuse_layers(model)
    without = logits(model)
    adapted = []
    for own in (base, model):
        torch.manual_seed(4)
        adapted.append(logits(peft.get_peft_model(own, config).eval()))
    assert float((adapted[1] - without).abs().max()) > 0.1
    assert float((adapted[1] - adapted[0]).abs().max()) < 1e-3


class GatedNorm(torch.nn.Module):
    """An RMS norm that may be given a gate, as those of state-space models are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, 32))
        self.variance_epsilon = 1e-6

    def forward(self, input: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        gated = input if gate is None else input * torch.nn.functional.silu(gate)
        return (
            self.weight * gated * torch.rsqrt(gated.square().mean(-1, keepdim=True) + self.variance_epsilon)
        )


def test_a_norm_that_is_given_a_gate_computes_it_itself() -> None:
    norm = GatedNorm()
    input, gate = torch.randn(2, 3, 32), torch.randn(2, 3, 32)
    expected = norm(input, gate)
    assert fuse_layers(norm) == [norm]
    assert torch.equal(norm(input, gate), expected)
    assert torch.equal(norm(input, gate=gate), expected)
    split_layers([norm])
    assert not fused(norm)
