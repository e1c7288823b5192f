"""What lengths mean to a model: how much it reads, and from where on the longest row changes the others.

Most models rotate a token by its own position, whatever stands beside it. LongRoPE (Ding et al. 2024,
https://arxiv.org/abs/2402.13753) takes one of two sets of rotations, and dynamic NTK scaling computes a new
one, by the longest position *of the call*; Llama 4 scales queries by the place in the padded row. Up to a
length that the configuration names, none of this shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.inference.attention import causal_lm

__all__ = ["context_window", "forget_longest", "steady_length"]


def context_window(model: Any) -> int | None:
    """Return the most tokens of prompt and answer together, or None where the configuration names no limit.

    Under dynamic scaling `max_position_embeddings` is the length before scaling, as transformers reads it.
    """
    config = _text_config(model)
    window: int | None = getattr(config, "max_position_embeddings", None)
    factors = [float(rope.get("factor") or 1.0) for rope in _ropes(config) if rope["rope_type"] == "dynamic"]
    return window if window is None or not factors else int(window * min(factors))


def steady_length(model: Any) -> int | None:
    """Return the longest row that leaves other rows of its batch alone, in tokens; None where all do."""
    config = _text_config(model)
    limits = []
    for rope in _ropes(config):
        if rope["rope_type"] == "dynamic":
            limits.append(config.max_position_embeddings)
        elif rope["rope_type"] == "longrope":
            own = rope.get("original_max_position_embeddings")
            limits.append(own or getattr(config, "original_max_position_embeddings", None) or 0)
    if getattr(config, "attn_temperature_tuning", False):
        limits.append(int(getattr(config, "floor_scale", 0)) - 1)  # the first place that is scaled
    return min(limits, default=None)


def forget_longest(model: Any) -> None:
    """Have a model compute the next row as if it were its first.

    Rotations that were scaled for a long row stay scaled for a shorter one, until a row within the original
    length is read (`dynamic_rope_update` in transformers): so one token is.
    """
    import torch

    if any(rope["rope_type"] == "dynamic" for rope in _ropes(_text_config(model))):
        with torch.inference_mode():
            causal_lm(model)(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device))


def _text_config(model: Any) -> Any:
    return causal_lm(model).config.get_text_config(decoder=True)


def _ropes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the parameters of every rotation; there may be one for each type of layer."""
    parameters = getattr(config, "rope_parameters", None)
    if isinstance(parameters, Mapping):
        nested = [
            value for value in parameters.values() if isinstance(value, Mapping) and "rope_type" in value
        ]
        yield from nested or ([parameters] if "rope_type" in parameters else [])
