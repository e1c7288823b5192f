"""How answers are drawn: from lm-eval's `generation_kwargs` to our sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cases import Sampling
from harness.errors import ConfigurationError

__all__ = ["sampling_of"]

_MAX_TOKENS = 256
"""lm-eval's own default of max_gen_toks."""
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_ONLY_WHEN_DRAWING = ("top_k", "min_p")


def sampling_of(generation_kwargs: Mapping[str, Any], where: str, seed: int = 0) -> Sampling:
    """Return the sampling that `generation_kwargs` ask for.

    Args:
        generation_kwargs: lm-eval's: `until`, `max_gen_toks`, `do_sample`, `temperature`, `top_p`.
        where: Whose they are, for messages.
        seed: Seed of the draw.

    Raises:
        ConfigurationError: They ask for a way of decoding that no request of ours can.
    """
    wanted = dict(generation_kwargs)
    until = wanted.pop("until", None) or []
    lengths = [wanted.pop(name, None) for name in _LENGTHS]
    temperature = float(wanted.pop("temperature", 0.0) or 0.0)
    draws = bool(wanted.pop("do_sample", temperature > 0)) and (
        "temperature" not in generation_kwargs or temperature > 0
    )
    top_p = float(wanted.pop("top_p", 1.0))
    unknown = sorted(name for name in wanted if draws or name not in _ONLY_WHEN_DRAWING)
    if unknown:
        raise ConfigurationError(
            f"{where}: generation_kwargs {', '.join(unknown)}: only until, {_LENGTHS[0]}, do_sample, "
            "temperature and top_p can be asked for"
        )
    return Sampling(
        max_tokens=int(next((length for length in lengths if length is not None), _MAX_TOKENS)),
        temperature=(temperature or 1.0) if draws else 0.0,
        top_p=top_p if draws else 1.0,
        stop=tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
        seed=seed,
    )
