"""How an architecture is computed, from `config.json` alone: its attention, and whether prefixes are shared.

How answers are computed is part of their key in the cache, so it must be known before a model is loaded. Only
architectures that were tried are named here; `layout_support` and `company` ask the loaded model again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["default_attention", "expects_layouts"]

_TRIED = frozenset(
    {
        "apertus", "arcee", "cohere", "ernie4_5", "gemma", "glm", "glm4", "gpt2", "gpt_bigcode",
        "gpt_neox", "granite", "granitemoe", "helium", "hunyuan_v1_dense", "llama", "ministral3",
        "mistral", "mixtral", "olmo", "olmo2", "olmoe", "opt", "persimmon", "phi", "phi3", "qwen2",
        "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3", "starcoder2",
    }
)  # fmt: skip
_WINDOW_IS_OFF = frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3"})
"""Architectures that ignore `sliding_window` unless `use_sliding_window` is set."""
_WITHOUT_SDPA = frozenset(
    {
        "big_bird", "bigbird_pegasus", "bloom", "codegen", "cpmant", "deepseek_v4", "falcon_mamba",
        "flint", "gemma2", "git", "got_ocr2", "gpt_neo", "gpt_neox_japanese", "gpt_oss", "gptj",
        "granite_swa", "granitemoe_swa", "hy_v4", "inkling2_text", "mamba", "mamba2", "megatron-bert",
        "mimo_v2_flash", "mpt", "mvp", "openai-gpt", "prophetnet", "reformer", "rembert", "roformer", "rwkv",
        "trocr", "vaultgemma", "xglm", "xlm", "xlnet", "xlstm",
    }
)  # fmt: skip
"""Architectures of transformers that refuse `attn_implementation="sdpa"`: they have no such code path, or no
attention at all. A slow test compares this with what the installed transformers says."""


def default_attention(config: Mapping[str, Any]) -> str:
    """Return transformers' attention implementation that a model of this architecture can be loaded with.

    Args:
        config: The model's `config.json`.
    """
    return "eager" if config.get("model_type") in _WITHOUT_SDPA else "sdpa"


def expects_layouts(config: Mapping[str, Any]) -> bool:
    """Whether each layer of this model attends to all earlier tokens, in a way that can be laid out anew.

    Args:
        config: The model's `config.json`.
    """
    kind = str(config.get("model_type"))
    window = config.get("sliding_window", 4096 if kind == "mistral" else None)  # mistral's own default
    if kind in _WINDOW_IS_OFF and not config.get("use_sliding_window"):
        window = None
    layers = config.get("layer_types") or ()
    return (
        kind in _TRIED
        and "auto_map" not in config
        and (window is None or bool(layers))
        and all(layer == "full_attention" for layer in layers)
        # these scale rotations by the longest position of a call, so a prefix run alone would differ
        and not _rope_types(config) & {"dynamic", "longrope", "su"}
    )


def _rope_types(config: Mapping[str, Any]) -> set[str]:
    found = (config.get(name) or {} for name in ("rope_parameters", "rope_scaling"))
    return {str(rope.get(key)) for rope in found for key in ("rope_type", "type") if isinstance(rope, dict)}
