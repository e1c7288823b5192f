"""Attention by layouts: its arithmetic, and which models it may be used with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import save_adapter, save_model
from torch import Tensor

from harness.inference import attention
from harness.inference.adapters import active_adapter, attach_adapter
from harness.inference.attention import attend_with_lse, layout_attention, merge
from harness.inference.layout_support import supports_layouts
from harness.inference.loading import load_model

SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def by_definition(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Attend one head and one query at a time, in float64."""
    group = query.shape[1] // key.shape[1]
    output = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=torch.float64)
    lse = torch.zeros(query.shape[:-1], dtype=torch.float64)
    for row in range(query.shape[0]):
        for head in range(query.shape[1]):
            for index in range(query.shape[2]):
                keys = key[row, head // group][seen[index]].double()
                dots = keys @ query[row, head, index].double() * 0.3
                lse[row, head, index] = dots.logsumexp(0)
                output[row, head, index] = dots.softmax(0) @ value[row, head // group][seen[index]].double()
    return output, lse


@pytest.mark.parametrize("way", ["fused", "matmul"])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("seeing", ["all", "causal", "mask"])
def test_attention_and_its_normaliser(
    way: str, heads: int, key_heads: int, seeing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, heads, 5, 16, generator=generator)
    key, value = (torch.randn(2, key_heads, 9, 16, generator=generator) for _ in range(2))
    seen = {
        "all": torch.ones(5, 9, dtype=torch.bool),
        "causal": torch.ones(5, 9, dtype=torch.bool).tril(),
        "mask": torch.rand(5, 9, generator=generator) < 0.5,
    }[seeing]
    seen[:, 0] = True
    mask = torch.zeros(5, 9).masked_fill(~seen, float("-inf")) if seeing == "mask" else None
    if way == "matmul":
        monkeypatch.setattr(attention, "cpu_attention", lambda: None)
    output, lse = attend_with_lse(query, key, value, scaling=0.3, mask=mask, causal=seeing == "causal")
    expected, expected_lse = by_definition(query, key, value, seen)
    assert torch.allclose(output.double(), expected, atol=1e-5)
    assert torch.allclose(lse.double(), expected_lse, atol=1e-5)


@pytest.mark.parametrize("in_place", [False, True])
def test_merging_the_attention_over_two_sets_of_keys_is_that_over_both(in_place: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    query, key, value = (torch.randn(1, 4, 20, 16, generator=generator) * 3 for _ in range(3))
    whole = attend_with_lse(query, key, value, scaling=0.5)
    parts = [
        attend_with_lse(query, key[:, :, part], value[:, :, part], scaling=0.5)
        for part in (slice(0, 3), slice(3, 20))
    ]
    output, lse = merge(parts[0], parts[1], in_place=in_place)
    assert torch.allclose(output, whole[0], atol=1e-5)
    assert torch.allclose(lse, whole[1], atol=1e-5)


def model(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SHAPE, **changes})
    kind = {"GPT2": "GPT2LMHeadModel", "Gemma3Text": "Gemma3ForCausalLM"}.get(name, f"{name}ForCausalLM")
    return getattr(transformers, kind)(config).eval()


@pytest.mark.parametrize(
    "name", ["Llama", "Qwen2", "Qwen3", "Phi3", "Olmo2", "Cohere", "Granite", "GPT2", "Gemma"]
)
def test_plain_causal_attention_is_supported(name: str) -> None:
    made = model(name)
    assert supports_layouts(made)
    assert made.config._attn_implementation == "sdpa"  # as it was
    assert supports_layouts(model(name).bfloat16())


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Gemma2", {}),  # soft-capped logits, and windows
        ("Gemma3Text", {}),  # windows
        ("GptOss", {"num_local_experts": 4}),  # attention sinks
        ("Mistral", {"sliding_window": 64}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1}),
        ("Bloom", {}),  # ALiBi
        ("Mamba", {}),  # no attention
        ("Llama", {"attn_implementation": "eager"}),  # the user's choice
        ("Llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
    ],
)
def test_other_attention_is_left_to_the_model(name: str, changes: dict[str, Any]) -> None:
    assert not supports_layouts(model(name, **changes))


def test_an_unknown_architecture_is_found_out_by_asking_it() -> None:
    made = model("Llama")
    for layer in made.model.layers:  # a position bias that no configuration tells of
        original = layer.self_attn.forward

        def biased(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            output, weights = original(*args, **kwargs)
            return output * (1.0 if "layout" in kwargs else 1.1), weights

        layer.self_attn.forward = biased
    assert not supports_layouts(made)


def test_a_layout_reaches_the_attention_through_adapters(tmp_path: Path) -> None:
    save_model(tmp_path / "base")
    save_adapter(tmp_path / "one", tmp_path / "base")
    base = load_model(tmp_path / "base", device="cpu", dtype="float32", attention="sdpa")
    adapted = attach_adapter(base, tmp_path / "one", "one")
    tokens = torch.arange(8, 20).unsqueeze(0)

    class Causal:
        def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
            return attend_with_lse(query, key, value, scaling=scaling, causal=True)[0].transpose(1, 2)

    found = []
    for name in ("one", None):
        with active_adapter(adapted, name) as active, torch.inference_mode():
            assert supports_layouts(active)
            expected = active(input_ids=tokens).logits
            with layout_attention(active):
                found.append(active(input_ids=tokens, use_cache=False, layout=Causal()).logits)
            assert torch.allclose(found[-1], expected, atol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-2)
