"""From a spec string to a place on disk, and what can be known about a local model before loading it.

Everything here reads files only; nothing imports a model library. What is wrong with a checkpoint is said
before a single test runs.
"""

from __future__ import annotations

import glob
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import CheckpointError, TrustError
from harness.registry import did_you_mean

__all__ = [
    "LocalModel",
    "Spec",
    "inspect_directory",
    "locate",
    "parse_spec",
    "tensor_shapes",
]

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_HEADER_LIMIT = 100 * 2**20  # the format's own cap on the JSON header, in bytes
_OF_A_MODEL = ("config.json", "adapter_config.json")
_LISTED = 8
_SEARCHED = ("runs/{name}", "runs/*/{name}", "models/{name}")


@dataclass(frozen=True)
class Spec:
    """A spec string, split: which backend answers, and the rest of the string."""

    text: str
    backend: str | None
    name: str


@dataclass(frozen=True)
class LocalModel:
    """A model or adapter directory, as far as its files tell.

    Attributes:
        path: The directory.
        config: `config.json` of a model, `adapter_config.json` of an adapter.
        shards: Its safetensors files.
        is_adapter: Whether it is a PEFT adapter that needs a base.
        base: What the adapter says its base is (directory or hub id); None for a model.
        runs_code: Whether loading it would run code of its own (`auto_map`).
    """

    path: Path
    config: Mapping[str, Any]
    shards: tuple[Path, ...]
    is_adapter: bool
    base: str | None
    runs_code: bool


def parse_spec(text: str, backends: tuple[str, ...]) -> Spec:
    """Split `provider/name`; a string whose first part is no known backend is a local path or name.

    Raises:
        CheckpointError: The string is empty.
    """
    spec = text.strip()
    if not spec:
        raise CheckpointError("empty model name: give a directory, checkpoint-N, or provider/name")
    provider, slash, rest = spec.partition("/")
    if slash and provider in backends:
        if not rest:
            raise CheckpointError(f"{spec!r} names the backend {provider!r} but no model: {provider}/NAME")
        return Spec(spec, provider, rest)
    return Spec(spec, None, spec)


def locate(name: str, root: Path, backends: tuple[str, ...] = ()) -> Path:
    """Find a local checkpoint: as a path, then under `runs/`, `runs/*/` and `models/` of the root.

    Raises:
        CheckpointError: Nothing is there, or more than one run has a checkpoint of that name.
    """
    typed = Path(name).expanduser()
    for candidate in dict.fromkeys((typed, root / typed)):
        if candidate.is_dir():
            return candidate.resolve()
        if candidate.exists():
            raise CheckpointError(f"{name}: is a file, expected a checkpoint directory")
    found: list[Path] = []
    if not typed.is_absolute() and ".." not in typed.parts:
        for pattern in _SEARCHED:
            matches = sorted(root.glob(pattern.format(name=glob.escape(name))))
            found += [path.resolve() for path in matches if path.is_dir()]
    unique = list(dict.fromkeys(found))
    if len(unique) > 1:
        listed = ", ".join(_shown(path, root) for path in unique)
        raise CheckpointError(f"{name!r} is ambiguous: {listed}; say which run's it is")
    if unique:
        return unique[0]
    hint = ""
    if "/" in name and not typed.is_absolute():
        known = ", ".join(backends)
        hint = f"; for a model on the hub write hf/{name}" + (f"; backends: {known}" if known else "")
    there = _checkpoints_under(root)
    nearest = did_you_mean(name, _spellings(there))
    raise CheckpointError(
        f"no checkpoint {name!r}{nearest}: not a directory, and not under runs/ or models/ of {root}{hint}"
        f"{_listed(there)}"
    )


def _checkpoints_under(root: Path) -> list[str]:
    """Return the checkpoints that can be named here, as `run/checkpoint-N` and as names of models."""
    folders = [path for pattern in _SEARCHED for path in sorted(root.glob(pattern.format(name="*")))]
    models = [path for path in folders if any((path / file).is_file() for file in _OF_A_MODEL)]
    return list(dict.fromkeys("/".join(path.relative_to(root).parts[1:]) for path in models))


def _spellings(there: list[str]) -> list[str]:
    """Return every way to name a checkpoint that is there: its last part alone does where no other has it."""
    return [*there, *dict.fromkeys(name.rpartition("/")[2] for name in there if "/" in name)]


def _listed(there: list[str]) -> str:
    if not there:
        return "; there are none yet: harness train makes some"
    more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    return f"; there are: {', '.join(there[:_LISTED])}{more}"


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def inspect_directory(path: Path) -> LocalModel:
    """Read and check the files of a local model or adapter: what it is, and that it is all there.

    Raises:
        TrustError: Its weights are pickles.
        CheckpointError: A file is missing, truncated, not a model at all, or a link that leads outside.
    """
    if (path / "adapter_config.json").is_file():
        config = _read_json(path / "adapter_config.json")
        _require_safetensors(path, _ADAPTER_WEIGHTS)
        base = config.get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise CheckpointError(f"{path}/adapter_config.json: names no base_model_name_or_path")
        shards: tuple[Path, ...] = (path / _ADAPTER_WEIGHTS,)
        model = LocalModel(path, config, shards, True, base, False)
    elif (path / "config.json").is_file():
        config = _read_json(path / "config.json")
        shards = _model_shards(path)
        tokenizer_config = path / "tokenizer_config.json"
        runs_code = "auto_map" in config or (
            tokenizer_config.is_file() and "auto_map" in _read_json(tokenizer_config)
        )
        model = LocalModel(path, config, shards, False, None, runs_code)
    else:
        raise CheckpointError(f"{path}: no config.json and no adapter_config.json, so it is no checkpoint")
    for entry in path.iterdir():
        if entry.is_symlink() and not _link_is_safe(entry, path):
            raise CheckpointError(f"{entry}: a link that leads outside the checkpoint; copy the file instead")
    for shard in model.shards:
        tensor_shapes(shard)
    return model


def _link_is_safe(entry: Path, directory: Path) -> bool:
    """Accept links within the checkpoint, and those of the hub's cache (snapshots link to ../../blobs)."""
    target = entry.resolve()
    if target.is_relative_to(directory.resolve()):
        return True
    cache = directory.resolve().parent
    return cache.name == "snapshots" and target.is_relative_to(cache.parent / "blobs")


def _model_shards(path: Path) -> tuple[Path, ...]:
    index = path / _INDEX
    if not index.is_file():
        _require_safetensors(path, _WEIGHTS)
        return (path / _WEIGHTS,)
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no weight_map")
    shards: list[Path] = []
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index}: shard name {name!r} is not a plain file name")
    for name in sorted(set(weight_map.values())):
        if not (path / name).is_file():
            raise CheckpointError(f"{path / name}: shard is missing, but {index.name} needs it")
        shards.append(path / name)
    return tuple(shards)


def _require_safetensors(path: Path, name: str) -> None:
    if (path / name).is_file():
        return
    pickled = sorted(found.name for pattern in _PICKLED for found in path.glob(pattern))
    if pickled:
        raise TrustError(
            f"{path}: weights are pickled ({', '.join(pickled[:3])}) and unpickling runs code; "
            "convert them to safetensors first"
        )
    raise CheckpointError(f"{path}: {name} is missing")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return value


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name → shape of every tensor of a safetensors file, from its header alone.

    The header is checked against the file's size, so that a file cut short or padded is found here. The
    format: https://huggingface.co/docs/safetensors (8-byte little-endian length, JSON header, data).

    Raises:
        CheckpointError: The file is truncated or not safetensors.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            prefix = stream.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
            if length > min(_HEADER_LIMIT, size - 8):
                raise CheckpointError(
                    f"{path}: truncated: {size} bytes are there, its header alone needs {length + 8}; "
                    "copy it again"
                )
            header = json.loads(stream.read(length))
        shapes: dict[str, tuple[int, ...]] = {}
        end = 0
        for name, entry in header.items():
            if name != "__metadata__":
                shapes[name] = tuple(int(extent) for extent in entry["shape"])
                end = max(end, int(entry["data_offsets"][1]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    if 8 + length + end != size:
        raise CheckpointError(
            f"{path}: truncated or damaged: {size} bytes are there, {8 + length + end} expected; "
            "copy it again"
        )
    return shapes
