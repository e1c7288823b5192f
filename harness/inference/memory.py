"""How much fits: free memory, what a token of context costs, and when memory has run out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "MOST_SLOTS",
    "Limits",
    "config_number",
    "free_bytes",
    "is_out_of_memory",
    "key_value_bytes",
    "plan_limits",
    "release",
]

MOST_SLOTS = 128
"""Rows side by side under `auto`; `benchmarks/vs_lm_eval_generate.py --variants` says what fewer cost."""

_PACK_TOKENS = 1024
_SHARE = 0.5  # of free memory, for keys and values; the rest is for activations, logits and everybody else


@dataclass(frozen=True)
class Limits:
    """How much is done at a time.

    Attributes:
        slots: Most rows decoded side by side.
        tokens: Most tokens whose keys and values are kept, or None when nobody could say.
        pack: About how many prompt tokens are read in one pass.
    """

    slots: int
    tokens: int | None = None
    pack: int = _PACK_TOKENS


def plan_limits(model: Any, batch_size: int | None) -> Limits:
    """Plan for a loaded model with the memory that is free now.

    Args:
        model: A causal language model.
        batch_size: Rows side by side; None chooses.
    """
    free = free_bytes(model.device)
    per_token = key_value_bytes(model)
    tokens = None if free is None or per_token is None else int(free * _SHARE) // per_token
    return Limits(batch_size or MOST_SLOTS, tokens)


def key_value_bytes(model: Any) -> int | None:
    """Return the bytes that one token's keys and values take, or None when the configuration does not say."""
    config = model.config.get_text_config(decoder=True)
    layers, heads = config_number(config, "num_hidden_layers"), config_number(config, "num_attention_heads")
    if not layers or not heads:
        return None
    key_heads = config_number(config, "num_key_value_heads") or heads
    width = config_number(config, "head_dim") or (config_number(config, "hidden_size") or 0) // heads
    return int(2 * layers * key_heads * width * model.dtype.itemsize) or None


def config_number(config: Any, name: str) -> int | None:
    """Return a number of a configuration, the largest where there is one for each layer; None without.

    A configuration may refuse to tell what differs from layer to layer.
    """
    try:
        value = getattr(config, name, None)
    except Exception:  # transformers has an error of its own for this
        return None
    numbers = value if isinstance(value, (list, tuple)) else [value]
    return max((number for number in numbers if isinstance(number, int)), default=None)


def free_bytes(device: Any) -> int | None:
    """Return the bytes that can still be allocated on a torch device, or None when nobody can say."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch holds and does not use is free as well
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    known = [free for free in (_machine_free(), _group_free()) if free is not None]
    return min(known) if known else None


def _machine_free() -> int | None:
    """Return what Linux says is available without swapping."""
    for line in _lines(Path("/proc/meminfo")):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _group_free() -> int | None:
    """Return what the control group (a container's limit) leaves, where there is one."""
    root = Path("/sys/fs/cgroup")
    found: list[int] = []
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        values = [line for name in (limit, used) for line in _lines(root / name)[:1]]
        if len(values) == 2 and all(value.isdigit() for value in values):
            found.append(max(int(values[0]) - int(values[1]), 0))
    return min(found) if found else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out; on a CPU torch raises a plain RuntimeError for it."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def release(device: Any) -> None:
    """Hand back to the device what is kept for reuse, so that another shape can have it.

    On a CPU it is the C library that keeps freed memory, so that checkpoints which are asked one after the
    other would come to take more than each of them alone.
    """
    import ctypes

    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "cpu" and sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
        if trim is not None:
            trim(0)
