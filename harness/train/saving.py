"""Checkpoints on disk: staged, forced to the disk, renamed; and what a run needs to go on from one.

A checkpoint is written to `.checkpoint-N.partial`, its manifest last, and renamed to `checkpoint-N` when
every byte is on the disk. So a directory named `checkpoint-N` with a manifest is complete whenever the
process was killed, and nothing else is. Optimizer, scheduler and random state lie in `trainer_state/` as
safetensors and JSON: nothing in a checkpoint is a pickle.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checkpoints.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from harness.errors import CheckpointError
from harness.files.digest import file_sha256
from harness.files.durable import sync_directory
from harness.files.read_json import read_json

__all__ = [
    "STATE_DIRECTORY",
    "check_state",
    "complete_checkpoints",
    "load_optimizer",
    "load_random_state",
    "publish",
    "remove_checkpoint",
    "save_state",
    "stage_for",
]

STATE_DIRECTORY = "trainer_state"
_TENSORS = "state.safetensors"
_VALUES = "state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def complete_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """Return (step, directory) of the complete checkpoints of a run, oldest first."""
    if not run.is_dir():
        return []
    found = []
    for path in run.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None and (path / MANIFEST_NAME).is_file():
            found.append((int(match[1]), path))
    return sorted(found)


def stage_for(run: Path, step: int) -> Path:
    """Return an empty directory to write a checkpoint into before it is published."""
    run.mkdir(parents=True, exist_ok=True)
    stage = run / f".checkpoint-{step}.partial"
    if stage.exists():
        shutil.rmtree(stage)
    stage.mkdir()
    return stage


def publish(stage: Path, manifest: Manifest) -> Path:
    """Write the manifest, force all to the disk and rename: the checkpoint is there, whole, or not at all."""
    run = stage.parent
    target = run / f"checkpoint-{manifest.progress.step}"
    for path in stage.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    write_manifest(stage, manifest)
    for directory in [path for path in stage.rglob("*") if path.is_dir()] + [stage]:
        sync_directory(directory)
    if target.exists():
        remove_checkpoint(target)
    stage.rename(target)
    sync_directory(run)
    return target


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint so that a kill in between leaves nothing that looks like one."""
    doomed = path.with_name(f".{path.name}.removed")
    if doomed.exists():
        shutil.rmtree(doomed)
    path.rename(doomed)
    shutil.rmtree(doomed)


def save_state(stage: Path, *, optimizer: Any, scheduler: Any) -> Path:
    """Write optimizer, scheduler and random states into a staged checkpoint; return their directory."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    directory = stage / STATE_DIRECTORY
    directory.mkdir()
    state = optimizer.state_dict()
    tensors: dict[str, Any] = {"random.cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        for index, device in enumerate(torch.cuda.random.get_rng_state_all()):
            tensors[f"random.cuda.{index}"] = device
    for parameter, values in state["state"].items():
        for name, value in values.items():
            tensors[f"optimizer.{parameter}.{name}"] = value.detach().cpu().contiguous()
    save_file(tensors, directory / _TENSORS)
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    values = {
        "parameter_groups": state["param_groups"],
        "parameters": sorted(state["state"]),
        "scheduler": scheduler.state_dict(),
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "tensors_sha256": file_sha256(directory / _TENSORS),
    }
    (directory / _VALUES).write_text(json.dumps(values), encoding="utf-8")
    return directory


def load_optimizer(checkpoint: Path, *, optimizer: Any, scheduler: Any) -> None:
    """Put the saved optimizer and scheduler states back.

    Raises:
        CheckpointError: State is missing, damaged, or of other parameters.
    """
    values, tensors = _read_state(checkpoint)
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        kind, parameter, *name = key.split(".", 2)
        if kind == "optimizer":
            state.setdefault(int(parameter), {})[name[0]] = tensor
    groups = [
        {key: _betas(key, value) for key, value in group.items()} for group in values["parameter_groups"]
    ]
    expected = set(values["parameters"])
    if set(state) != expected:
        raise CheckpointError(
            f"{checkpoint / STATE_DIRECTORY}: has optimizer state for {len(state)} of "
            f"{len(expected)} parameters; resume from another checkpoint"
        )
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        scheduler.load_state_dict(values["scheduler"])
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{checkpoint / STATE_DIRECTORY}: does not fit this model: {error}") from error


def load_random_state(checkpoint: Path) -> None:
    """Put the random states of Python, NumPy and PyTorch back.

    Raises:
        CheckpointError: State is missing or damaged.
    """
    import numpy as np
    import torch

    values, tensors = _read_state(checkpoint)
    version, keys, gauss = values["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, words, position, has_gauss, cached = values["numpy"]
    np.random.set_state((kind, np.asarray(words, dtype=np.uint32), position, has_gauss, cached))
    torch.random.set_rng_state(tensors["random.cpu"])
    if torch.cuda.is_available():
        devices = [tensors[key] for key in sorted(tensors) if key.startswith("random.cuda.")]
        if len(devices) == torch.cuda.device_count():
            torch.cuda.random.set_rng_state_all(devices)


def check_state(checkpoint: Path) -> None:
    """Check that everything a resume needs is there and unharmed.

    Raises:
        CheckpointError: Names what is missing or damaged.
    """
    manifest = read_manifest(checkpoint)
    if manifest is None:
        raise CheckpointError(f"{checkpoint}: has no {MANIFEST_NAME}, so it is incomplete")
    directory = checkpoint / STATE_DIRECTORY
    for name in (_TENSORS, _VALUES, "trainer_state.json", "log.jsonl"):
        if not (directory / name).is_file():
            raise CheckpointError(
                f"{directory / name}: is missing, so training cannot go on as if it had not stopped; "
                "resume from another checkpoint, or start over with --restart"
            )
    values = read_json(directory / _VALUES, error=CheckpointError)
    if file_sha256(directory / _TENSORS) != values.get("tensors_sha256"):
        raise CheckpointError(f"{directory / _TENSORS}: is damaged; resume from another checkpoint")


def _read_state(checkpoint: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    from safetensors.torch import load_file

    check_state(checkpoint)
    directory = checkpoint / STATE_DIRECTORY
    return read_json(directory / _VALUES, error=CheckpointError), load_file(directory / _TENSORS)


def _betas(key: str, value: Any) -> Any:
    return tuple(value) if key == "betas" else value
