"""Whether an adapter can belong to a base, as far as the names and shapes in their files tell.

A module in memory and its tensor in the base's file may have different names: GPT-2's files leave out
`transformer.`, models for text and images put something in front, and the experts of one layer are many
tensors in the file and one in memory. So only what no such renaming explains is refused here; whether every
tensor of the adapter finds its layer is seen when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.checkpoints.spec import LocalModel, tensor_shapes
from harness.errors import CheckpointError

__all__ = ["base_shape", "check_adapter_fits", "stored_shapes"]

_ROOT = "base_model.model."
_BLOCK = re.compile(r"(?:^|\.)(?P<list>[A-Za-z_]\w*)\.(?P<index>\d+)\.")
_EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "embed_in", "embed_out", "word_embeddings")


def stored_shapes(base: LocalModel) -> dict[str, tuple[int, ...]]:
    """Return name → shape of every tensor in a model's files."""
    return {name: shape for shard in base.shards for name, shape in tensor_shapes(shard).items()}


def base_shape(module: str, stored: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of the weight that a PEFT module path stands for, or None where no name fits.

    Args:
        module: Such as `base_model.model.transformer.h.0.attn.c_attn`.
        stored: What `stored_shapes` returned.
    """
    name = f"{module.removeprefix(_ROOT)}.weight"
    block = _BLOCK.search(name)
    # parts in front may be missing, but never the number of the layer and the list that it is in
    last = name[: block.start("list")].count(".") if block else name.count(".") - 1
    for count in range(last + 1):
        shorter = name.split(".", count)[-1]
        if shorter in stored:
            return stored[shorter]
    return next((shape for key, shape in stored.items() if key.endswith(f".{name}")), None)


def check_adapter_fits(adapter: LocalModel, base: LocalModel) -> None:
    """Refuse an adapter for layers that the base does not have, or has in another shape.

    An adapter on a shallower or other base loads without a word in the usual libraries and then does
    nothing, or the wrong thing.

    Raises:
        CheckpointError: Names the first layer that does not fit, or a pair of matrices of which one is gone.
    """
    stored = stored_shapes(base)
    blocks = _blocks(stored)
    tensors = tensor_shapes(adapter.shards[0])
    grows = any(name.endswith(_embedding_names()) for name in tensors)  # it brings embeddings of its own size
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in tensors.items():
        for side in ("lora_A", "lora_B"):
            marker = f".{side}."
            if marker in name and name.endswith(".weight"):
                pairs.setdefault(name.split(marker)[0], {})[side] = shape
    for module, pair in sorted(pairs.items()):
        if set(pair) != {"lora_A", "lora_B"}:
            raise CheckpointError(f"{adapter.path}: {module} has only {next(iter(pair))}; the adapter is cut")
        where = _BLOCK.search(module.removeprefix(_ROOT))
        if where and where["list"] in blocks and int(where["index"]) not in blocks[where["list"]]:
            raise CheckpointError(
                f"{adapter.path}: adapts {module}, which the base {base.path} does not have; "
                "it was trained on another base"
            )
        found = base_shape(module, stored)
        needed = (pair["lora_B"][0], pair["lora_A"][-1])
        if found is None or len(found) != 2 or len(pair["lora_A"]) != 2 or needed in (found, found[::-1]):
            continue
        if grows and module.endswith(_EMBEDDINGS):
            continue
        raise CheckpointError(
            f"{adapter.path}: {module} is for a layer of shape {list(needed)}, the base {base.path} has "
            f"{list(found)}; it was trained on another base"
        )


def _embedding_names() -> tuple[str, ...]:
    return tuple(f".{name}{middle}.weight" for name in _EMBEDDINGS for middle in ("", ".base_layer"))


def _blocks(stored: Mapping[str, tuple[int, ...]]) -> dict[str, set[int]]:
    """Return the numbers of the layers that there are, by the name of the list that they are in."""
    blocks: dict[str, set[int]] = {}
    for name in stored:
        block = _BLOCK.search(name)
        if block:
            blocks.setdefault(block["list"], set()).add(int(block["index"]))
    return blocks
