"""Going on from a checkpoint: only as if training had never stopped, else not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.checkpoints.manifest import Manifest, read_manifest, verify_files
from harness.errors import CheckpointError, ConfigurationError
from harness.train.prepare import Prepared
from harness.train.saving import check_state

__all__ = ["check_resumable", "load_weights"]

_FREE = ("why", "output", "checkpoints.keep")
"""Settings that may change on the way: they decide nothing about the weights."""


def check_resumable(prepared: Prepared, checkpoint: Path) -> Manifest:
    """Check that a checkpoint is whole and was made by this very recipe from this very data and base.

    Raises:
        ConfigurationError: Recipe, data or base have changed; names each field with both values.
        CheckpointError: A file or a part of the trainer's state is missing or damaged.
    """
    manifest = read_manifest(checkpoint)
    if manifest is None:
        raise CheckpointError(f"{checkpoint}: has no manifest, so it is incomplete")
    changes = list(_changes(prepared, manifest))
    if changes:
        raise ConfigurationError(
            f"cannot resume from {prepared.plan.run}/{checkpoint.name}, because this changed since: "
            f"{'; '.join(changes)}. Change it back, give the run a new name, or start over with --restart"
        )
    verify_files(checkpoint, manifest)
    check_state(checkpoint)
    return manifest


def _changes(prepared: Prepared, manifest: Manifest) -> Iterator[str]:
    before, now = dict(_flat(manifest.recipe)), dict(_flat(prepared.recipe.resolved()))
    for key in sorted(before.keys() | now.keys()):
        if key not in _FREE and before.get(key) != now.get(key):
            yield f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
    digests = {record.path: record.sha256 for record in manifest.data}
    for record in prepared.data:
        if digests.get(record.path) != record.sha256:
            yield f"the data in {record.path}"
    base = None if prepared.base is None else prepared.base.fingerprint
    if base != (None if manifest.base is None else manifest.base.fingerprint):
        yield "the files of the base model"
    if manifest.progress.max_steps != prepared.plan.steps.max_steps:
        yield f"the steps were {manifest.progress.max_steps}, are {prepared.plan.steps.max_steps}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def load_weights(model: Any, checkpoint: Path) -> None:
    """Put a checkpoint's weights into the model or adapter that training goes on with.

    Raises:
        CheckpointError: The tensors are not exactly those of the model.
    """
    from safetensors.torch import load_file

    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        tensors = load_file(checkpoint / "adapter_model.safetensors")
        expected = set(get_peft_model_state_dict(model, save_embedding_layers=False))
        if set(tensors) == expected:
            set_peft_model_state_dict(model, tensors)
            return
    else:
        tensors = {}
        for shard in sorted(checkpoint.glob("*.safetensors")):
            tensors.update(load_file(shard))
        missing, unexpected = model.load_state_dict(tensors, strict=False)
        model.tie_weights()
        parameters = dict(model.named_parameters(remove_duplicate=False))
        loaded = {id(parameters[name]) for name in tensors.keys() & parameters.keys()}
        if not unexpected and all(id(parameters.get(name)) in loaded for name in missing):
            return  # what is missing is tied to what was loaded
    raise CheckpointError(f"{checkpoint}: its tensors are not those of this model; start over with --restart")
