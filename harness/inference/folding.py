"""Fold a LoRA adapter into the weights of its base for a while, and put the base back bit by bit.

A folded adapter costs nothing per token, and a model with it runs through exactly the code of a model without
one. Unfolding by subtraction drifts, and a second copy of the weights would double the memory, so the base's
weights are read again from its files, after they were found to hold what is in memory.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoints.adapter_fit import base_shape, stored_shapes
from harness.checkpoints.spec import LocalModel, tensor_shapes
from harness.errors import CheckpointError
from harness.inference.adapters import LAYER_SETTINGS, leaves_base_alone
from harness.inference.packed_weights import set_weight, weight_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Folding", "PristineWeights", "can_fold"]

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_TRANSPOSED = frozenset({"gpt2", "openai-gpt"})
"""Architectures whose layers keep their weights the other way round, which a square one does not show."""


def can_fold(adapter: LocalModel, base: LocalModel) -> bool:
    """Whether an adapter is a plain LoRA: a product of two matrices on top of linear layers and nothing else.

    Args:
        adapter: The adapter's directory.
        base: The base's directory.
    """
    if base.config.get("model_type") in _TRANSPOSED or not leaves_base_alone(adapter, base):
        return False
    shapes, stored = tensor_shapes(adapter.shards[0]), stored_shapes(base)
    modules = {name.rsplit(".", 2)[0] for name in shapes}
    return (
        not any(adapter.config.get(key) for key in LAYER_SETTINGS)
        and all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in shapes)
        and all(
            base_shape(module, stored)
            == (shapes[f"{module}.lora_B.weight"][0], shapes[f"{module}.lora_A.weight"][-1])
            for module in modules
        )
    )


class PristineWeights:
    """The base's weights as its files hold them, read tensor by tensor.

    Args:
        base: The base's directory.
    """

    def __init__(self, base: LocalModel) -> None:
        self._places: dict[str, tuple[Path, int, int, str, list[int]]] = {}
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._kept: dict[str, Tensor] = {}
        self._confirmed: set[str] = set()
        for shard in base.shards:
            self._stamps[shard] = _stamp(shard)
            with shard.open("rb") as file:
                (size,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(size))
            for name, entry in header.items():
                if name != "__metadata__":
                    first, end = entry["data_offsets"]
                    self._places[name] = (
                        shard,
                        8 + size + first,
                        end - first,
                        entry["dtype"],
                        entry["shape"],
                    )

    def confirm(self, name: str, weight: Tensor) -> None:
        """Make sure that `read` will give this weight; keeps a copy where the files do not hold it."""
        import torch

        if name in self._confirmed or name in self._kept:
            return
        if name in self._places and torch.equal(self._from_file(name, weight), weight):
            self._confirmed.add(name)
        else:
            self._kept[name] = weight.clone()

    def read(self, name: str, like: Tensor) -> Tensor:
        """Return a weight of the base.

        Args:
            name: Its name, confirmed before.
            like: A tensor of the type and on the device that is wanted.

        Raises:
            CheckpointError: The file was changed since.
        """
        return self._kept[name] if name in self._kept else self._from_file(name, like)

    def _from_file(self, name: str, like: Tensor) -> Tensor:
        import torch

        path, first, size, kind, shape = self._places[name]
        dtypes = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
        if kind not in dtypes:
            return like.new_empty(0)
        if _stamp(path) != self._stamps[path]:
            raise CheckpointError(f"{path}: was changed while it was in use; run again")
        with path.open("rb") as file:  # not mapped: mapped pages would count as this process's memory
            file.seek(first)
            data = bytearray(file.read(size))
        return torch.frombuffer(data, dtype=dtypes[kind]).view(shape).to(like.device, like.dtype)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class _Factor:
    """What an adapter adds to one layer: `scaling` × `after` @ `before`."""

    before: Tensor
    after: Tensor
    scaling: float

    def added_to(self, weight: Tensor) -> Tensor:
        """Return weight + adapter, summed in float32 and rounded once."""
        import torch

        after, before = (tensor.to(weight.device).float() for tensor in (self.after, self.before))
        return torch.addmm(weight.float(), after, before, alpha=self.scaling).to(weight.dtype)


class Folding:
    """A base model in memory whose weights can be those of one adapter after another.

    From one adapter to the next every weight is written once, so that a switch costs about as much as reading
    the base's files; what is there already is left alone.

    Args:
        model: The base model.
        base: Its directory.
    """

    def __init__(self, model: Any, base: LocalModel) -> None:
        self._model, self._pristine = model, PristineWeights(base)
        self._held: str | None = None
        self._changed: set[str] = set()

    def hold(self, adapter: LocalModel | None, fingerprint: str = "") -> None:
        """Have the model's weights be the base's with this adapter in them, or the base's own.

        Args:
            adapter: An adapter for which `can_fold` holds, or None.
            fingerprint: Tells it from others.

        Raises:
            CheckpointError: Tensors are missing, do not fit the base or are not finite, or the base's file
                was changed. The model may then be neither, and must not be used.
        """
        import torch

        wanted = None if adapter is None else fingerprint
        if wanted == self._held:
            return
        layers = dict(self._model.named_modules()) if adapter is not None or self._changed else {}
        factors = {} if adapter is None else _factors(adapter, layers)
        with torch.inference_mode():
            for name in sorted(self._changed | factors.keys()):
                layer = layers[name]
                if name not in self._changed:
                    self._pristine.confirm(f"{name}.weight", weight_of(layer))
                    self._changed.add(name)
                # of a packed layer `weight` is empty, and says type and device all the same
                weight = self._pristine.read(f"{name}.weight", layer.weight)
                set_weight(layer, factors[name].added_to(weight) if name in factors else weight)
        self._changed = set(factors)
        self._held = wanted


def _factors(adapter: LocalModel, layers: Mapping[str, Any]) -> dict[str, _Factor]:
    """Read an adapter's tensors and match them with the layers that they are for."""
    import torch
    from safetensors.torch import load_file

    config, path = adapter.config, adapter.path
    tensors = load_file(path / _WEIGHTS)
    found: dict[str, _Factor] = {}
    names = {name.removeprefix(_PREFIX).rsplit(".", 2)[0] for name in tensors}
    rank = int(config["r"])
    scaling = float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)
    for name in sorted(names):
        before = tensors.get(f"{_PREFIX}{name}.lora_A.weight")
        after = tensors.get(f"{_PREFIX}{name}.lora_B.weight")
        layer = layers.get(name)
        if before is None or after is None or not isinstance(layer, torch.nn.Linear):
            raise CheckpointError(
                f"{path}: missing or unexpected tensors of {name}: the adapter does not fit this base"
            )
        expected = (rank, layer.in_features), (layer.out_features, rank)
        if (tuple(before.shape), tuple(after.shape)) != expected:
            raise CheckpointError(
                f"{path}: {name} has shapes {tuple(before.shape)} and {tuple(after.shape)}, expected "
                f"{expected[0]} and {expected[1]}: the adapter does not fit this base"
            )
        if not bool(torch.isfinite(before).all() and torch.isfinite(after).all()):
            raise CheckpointError(
                f"{path}: tensors of {name} hold NaN or infinite values; the training run diverged"
            )
        found[name] = _Factor(before, after, scaling)
    targets = config.get("target_modules")
    if isinstance(targets, list):
        wanted = {
            name
            for name, layer in layers.items()
            if isinstance(layer, torch.nn.Linear)
            and any(f".{name}".endswith(f".{target}") for target in targets)
        }
        missing = sorted(wanted - names) if not config.get("exclude_modules") else []
        if missing:
            raise CheckpointError(
                f"{path}: {len(missing)} missing keys ({', '.join(missing[:3])}): "
                "the adapter does not fit this base"
            )
    return found
