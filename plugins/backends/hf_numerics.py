"""How a local model's answers are computed, said before it is loaded and without importing torch.

It is part of every key in the cache and of the run's record: answers that were computed in another way are
never taken for these.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from harness.checkpoints.spec import LocalModel
from harness.inference.architectures import default_attention, expects_layouts

__all__ = [
    "BATCHING",
    "DTYPES",
    "FOLDED",
    "OWN_BASE",
    "SHARED_BASE",
    "TEMPLATES",
    "WEIGHTS",
    "hf_numerics",
    "reconciled",
]

BATCHING = ("auto", "cascade", "left-padded")
DTYPES = ("auto", "float32", "bfloat16", "float16")
WEIGHTS = ("auto", "plain")
TEMPLATES = ("alike", "own")
FOLDED = "folded"
"""An adapter that is summed into the base's weights."""
SHARED_BASE, OWN_BASE = "shared-base", "own-base"
"""Adapters with PEFT's layers around a base: one that others take turns with, or one loaded for it alone.
Earlier versions said `switched` of both, when one adapter could spoil the base for the next: those answers
are not reused."""


def hf_numerics(
    arguments: Mapping[str, str],
    batch_size: int | None,
    base: LocalModel,
    tokenizer: Path,
    *,
    adapter: str | None,
) -> dict[str, str]:
    """Describe the computation of a checkpoint.

    Args:
        arguments: What the user asked for: `device`, `dtype`, `attention`, `batching`, `weights`,
            `template`.
        batch_size: Rows side by side; None where the engine chooses.
        base: The base model.
        tokenizer: Directory of the tokenizer.
        adapter: How an adapter comes to answer, where there is one.

    Returns:
        Among others `batching` (`cascade`: prompts share prefixes; `left-padded`: rows stand side by side
        where `company` was `tried` and changes nothing, and are alone elsewhere), `weights` (`packed` in the
        order of oneDNN where that changes nothing, or `plain`), `adapter` (`folded`, on a
        `shared-base` or on its `own-base`) and
        `template` (a digest of the chat template, so that two that differ are not compared unless told;
        `own` where told).
    """
    device = arguments.get("device", "auto")
    if device == "auto":
        device = "cuda" if _cuda_at_hand() else "cpu"
    dtype = arguments.get("dtype", "auto")
    if dtype == "auto":
        own = str(base.config.get("dtype") or base.config.get("torch_dtype") or "bfloat16")
        dtype = "float32" if device == "cpu" else own if own in DTYPES else "bfloat16"
    attention = arguments.get("attention", "auto")
    if attention == "auto":
        attention = default_attention(base.config)
    batching = arguments.get("batching", "auto")
    if batching == "auto":
        batching = "cascade" if attention == "sdpa" and expects_layouts(base.config) else "left-padded"
    packs = (
        device == "cpu"
        and dtype == "float32"
        and platform.machine().lower() in ("x86_64", "amd64")
        and arguments.get("weights", "auto") == "auto"
        and adapter in (None, FOLDED)
    )
    numerics = {
        "device": device,
        "dtype": dtype,
        "attention": attention,
        "batching": batching,
        "weights": "packed" if packs else "plain",
        **{package: _version(package) for package in ("torch", "transformers", "peft", "tokenizers")},
    }
    if batching == "left-padded":  # rows that company changed were once kept under the same numerics
        numerics["company"] = "tried"
    if adapter is not None:
        numerics["adapter"] = adapter
    if dtype != "float32":  # in float32 no token was seen to depend on the batch; below it, some do
        numerics["batch_size"] = str(batch_size or "auto")
    template = _template(tokenizer)
    if template is not None:
        digest = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        numerics["template"] = "own" if arguments.get("template") == "own" else digest
    if _template_reads_clock(tokenizer):
        numerics["template_date"] = datetime.now(tz=timezone.utc).date().isoformat()
    return numerics


def reconciled(numerics: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the arguments under which checkpoints with these numerics are computed alike.

    What one of them cannot do, none does: sharing prefixes, packing weights beside a switched adapter, or
    attention by torch's own function. Of two types the one that holds both is taken, float32.
    """

    def mixed(key: str) -> bool:
        return len({one[key] for one in numerics}) > 1

    chosen = {"attention": "eager", "batching": "left-padded", "weights": "plain", "dtype": "float32"}
    return {key: value for key, value in chosen.items() if mixed(key)}


def _cuda_at_hand() -> bool:
    return os.path.exists("/dev/nvidiactl") and "+cpu" not in _version("torch")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _template(tokenizer: Path) -> str | None:
    """Return the chat template, or None without one; a file of its own goes before the configuration's."""
    own = tokenizer / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8", errors="replace")
    for name in ("chat_template.json", "tokenizer_config.json"):
        try:
            found = json.loads((tokenizer / name).read_text(encoding="utf-8")).get("chat_template")
        except (OSError, ValueError, AttributeError):
            continue  # not there, or damaged: loading the tokenizer says so
        if found:
            return found if isinstance(found, str) else json.dumps(found, sort_keys=True)
    return None


def _template_reads_clock(tokenizer: Path) -> bool:
    """Whether the chat template asks for today's date: then an answer belongs to its day."""
    return any(
        "strftime_now" in (tokenizer / name).read_text(encoding="utf-8", errors="replace")
        for name in ("chat_template.jinja", "tokenizer_config.json", "chat_template.json")
        if (tokenizer / name).is_file()
    )
