"""How a local model's answers are computed, said before it is loaded and without importing torch.

It is part of every key in the cache and of the run's record: answers that were computed in another way are
never taken for these.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import datetime, timezone
from pathlib import Path

from harness.checkpoint import LocalModel
from harness.inference.architectures import expects_layouts
from harness.protocols import BackendOptions

__all__ = ["BATCHING", "DTYPES", "hf_numerics"]

BATCHING = ("auto", "cascade", "left-padded")
DTYPES = ("auto", "float32", "bfloat16", "float16")


def hf_numerics(
    options: BackendOptions, base: LocalModel, tokenizer: Path, *, adapter: LocalModel | None, folds: bool
) -> dict[str, str]:
    """Describe the computation of a checkpoint.

    Args:
        options: Session options; `device`, `dtype`, `attention` and `batching` among the arguments.
        base: The base model.
        tokenizer: Directory of the tokenizer.
        adapter: The adapter, if there is one.
        folds: Whether it is folded into the base's weights.

    Returns:
        Among others `batching` (`cascade`: prompts share prefixes; `left-padded`), `weights` (`packed` in
        the order of oneDNN, or `plain`) and `adapter` (`folded` or `switched`).
    """
    arguments = options.arguments
    device = arguments.get("device", "auto")
    if device == "auto":
        device = "cuda" if _cuda_at_hand() else "cpu"
    dtype = arguments.get("dtype", "auto")
    if dtype == "auto":
        own = str(base.config.get("dtype") or base.config.get("torch_dtype") or "bfloat16")
        dtype = "float32" if device == "cpu" else own if own in DTYPES else "bfloat16"
    attention = arguments.get("attention", "sdpa")
    batching = arguments.get("batching", "auto")
    if batching == "auto":
        batching = "cascade" if attention == "sdpa" and expects_layouts(base.config) else "left-padded"
    packs = device == "cpu" and dtype == "float32" and platform.machine().lower() in ("x86_64", "amd64")
    switched = adapter is not None and not folds
    numerics = {
        "device": device,
        "dtype": dtype,
        "attention": attention,
        "batching": batching,
        "weights": "packed" if packs and not switched else "plain",
        **{package: _version(package) for package in ("torch", "transformers", "peft", "tokenizers")},
    }
    if adapter is not None:
        numerics["adapter"] = "switched" if switched else "folded"
    if dtype != "float32":  # in float32 no token was seen to depend on the batch; below it, some do
        numerics["batch_size"] = str(options.batch_size or "auto")
    if _template_reads_clock(tokenizer):
        numerics["template_date"] = datetime.now(tz=timezone.utc).date().isoformat()
    return numerics


def _cuda_at_hand() -> bool:
    return os.path.exists("/dev/nvidiactl") and "+cpu" not in _version("torch")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _template_reads_clock(tokenizer: Path) -> bool:
    """Whether the chat template asks for today's date: then an answer belongs to its day."""
    return any(
        "strftime_now" in (tokenizer / name).read_text(encoding="utf-8", errors="replace")
        for name in ("chat_template.jinja", "tokenizer_config.json", "chat_template.json")
        if (tokenizer / name).is_file()
    )
