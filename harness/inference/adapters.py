"""PEFT adapters around a base in memory, which answer as PEFT alone would let them.

Many kinds of adapter do more than add to the layers: PiSSA and OLoRA take their own start out of the base's
weights, trained biases and saved embeddings replace the base's, LoRA on tied embeddings unties them. After
such an adapter the base in memory is no longer the base, and nothing takes that back. So adapters share one
base only where they are known to leave it alone (`leaves_base_alone`); each of the others gets a base of its
own, loaded for it and given up after it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.checkpoints.spec import LocalModel, tensor_shapes
from harness.errors import CheckpointError, IncompatibleLibraryError, MissingDependencyError
from harness.inference.loading import require_finite, whole_message
from harness.upstream.transformers_internals import refuse_incomplete_report

__all__ = ["LAYER_SETTINGS", "active_adapter", "attach_adapter", "leaves_base_alone", "needs_its_call"]

_PLAIN_SETTINGS = frozenset(
    # what says where and how large a LoRA adapter is, or matters in training only
    {
        "auto_mapping", "base_model_name_or_path", "bias", "eva_config", "exclude_modules",
        "inference_mode", "init_lora_weights", "loftq_config", "lora_alpha", "lora_dropout",
        "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "revision",
        "runtime_config", "target_modules", "task_type", "use_rslora",
    }
)  # fmt: skip
LAYER_SETTINGS = frozenset(
    {"alpha_pattern", "fan_in_fan_out", "layers_pattern", "layers_to_transform", "rank_pattern", "use_dora"}
)
"""Settings that change what is added to a layer, or to which layers."""
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal")
"""Values of `init_lora_weights` that draw an adapter's beginning and leave the base's weights as they are."""
_ADDED = (".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector", ".lora_magnitude_vector.weight")

_INJECTED = frozenset(
    {
        "ADALORA", "BOFT", "BONE", "C3A", "DELORA", "FOURIERFT", "GRALORA", "HRA", "IA3", "LN_TUNING", "LOHA",
        "LOKR", "LORA", "MISS", "OFT", "RANDLORA", "SHIRA", "TRAINABLE_TOKENS", "VBLORA", "VERA", "WAVEFT",
    }
)  # fmt: skip
"""PEFT types that change layers in place. The others need virtual tokens, or to be told about each call."""
_OF_A_CALL = ("alora_invocation_tokens", "arrow_config")
"""Settings of LoRA adapters that PEFT's own `generate` must be called for."""


def needs_its_call(config: Mapping[str, Any]) -> str | None:
    """Return why an adapter answers only when PEFT's own functions are called, or None where it does not."""
    kind = str(config.get("peft_type")).rpartition(".")[2]
    if kind not in _INJECTED:
        return f"adapters of type {kind} are not supported"
    return next((f"adapters with {key} are not supported" for key in _OF_A_CALL if config.get(key)), None)


def leaves_base_alone(adapter: LocalModel, base: LocalModel) -> bool:
    """Whether an adapter only adds to the base's layers, so that others can take its place and it theirs.

    Everything that its configuration sets and that is not known to be harmless says no.

    Args:
        adapter: The adapter's directory.
        base: The base's directory.
    """
    config = adapter.config
    names = tensor_shapes(adapter.shards[0])
    tied = base.config.get("tie_word_embeddings", True)
    return (
        str(config.get("peft_type")) == "LORA"
        and all(key in _PLAIN_SETTINGS | LAYER_SETTINGS for key, value in config.items() if value)
        and config.get("bias", "none") == "none"
        and config.get("init_lora_weights", True) in _PLAIN_STARTS
        and bool(names)
        and all(name.endswith(_ADDED) for name in names)
        and not (tied and any(".lm_head." in name for name in names))
    )


def attach_adapter(model: Any, path: Path, name: str) -> Any:
    """Load a PEFT adapter beside the weights of a model that is in memory.

    Where the adapter brings embeddings for more tokens than the model has, the model gets room for them.

    Args:
        model: A base that was just loaded, or what this function returned for adapters that
            `leaves_base_alone` holds for.
        path: The adapter directory.
        name: Name to switch to it by; see `active_adapter`.

    Returns:
        The model with the adapter attached; the base's weights are shared, not copied.

    Raises:
        CheckpointError: Tensors are missing, unexpected or not finite, or the adapter is of a kind that
            cannot be used.
    """
    try:
        import peft
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), extra="hf") from error
    try:
        config = peft.PeftConfig.from_pretrained(str(path))
        why = needs_its_call(
            {**vars(config), "peft_type": getattr(config.peft_type, "value", config.peft_type)}
        )
        if why is not None:
            raise CheckpointError(f"{path}: {why}; merge it into its base first")
        config.inference_mode = True
        device = str(next(model.parameters()).device)
        # some kinds draw numbers where the base is taken apart: the same ones each time
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            if isinstance(model, peft.PeftModel):
                model.add_adapter(name, config)
            else:
                _make_room(model, path, config)
                model = peft.PeftModel(model, config, adapter_name=name)
            result = model.load_adapter(str(path), adapter_name=name, torch_device=device)
        refuse_incomplete_report(result)
    except (CheckpointError, IncompatibleLibraryError):
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
        raise CheckpointError(f"{path}: adapter cannot be loaded: {whole_message(error)}") from error
    for kind in ("missing_keys", "unexpected_keys"):
        keys = getattr(result, kind)
        if keys:
            raise CheckpointError(
                f"{path}: {len(keys)} {kind.replace('_', ' ')} ({', '.join(sorted(keys)[:3])}): "
                "the adapter does not fit this base"
            )
    require_finite(model, path)
    model.eval()
    return model


def _make_room(model: Any, path: Path, config: Any) -> None:
    """Give a base as many embeddings as an adapter for added tokens has.

    Raises:
        CheckpointError: The adapter trains tokens whose other weights nobody saved.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    shapes = tensor_shapes(path / "adapter_model.safetensors")
    names = {id(module): module_name for module_name, module in model.named_modules()}
    owners = [model.get_input_embeddings(), model.get_output_embeddings()]
    embeddings = [names[id(owner)] for owner in owners if owner is not None]
    saved = [
        shape[0]
        for name, shape in shapes.items()
        for module_name in embeddings
        if name.removeprefix("base_model.model.")
        in {
            f"{module_name}.weight",
            f"{module_name}.base_layer.weight",
            f"{module_name}.modules_to_save.weight",
        }
    ]
    wanted = max(saved, default=rows)
    trained = getattr(config, "trainable_token_indices", None) or []
    listed = [
        index for part in (trained.values() if isinstance(trained, dict) else [trained]) for index in part
    ]
    needed = max(listed, default=-1) + 1
    if needed > max(wanted, rows):
        if not model.config.get_text_config().tie_word_embeddings:
            raise CheckpointError(
                f"{path}: trains token {needed - 1}, its base has {rows} and the adapter brings no output "
                "embedding of it; save it with save_embedding_layers=True, or merge it into its base"
            )
        wanted = needed
    if wanted != rows:
        model.resize_token_embeddings(wanted, mean_resizing=False)


@contextlib.contextmanager
def active_adapter(model: Any, name: str | None) -> Iterator[Any]:
    """Use one adapter of a model, or none of them: then the answers are the base's own."""
    if not hasattr(model, "peft_config"):
        yield model
    elif name is None:
        with model.disable_adapter():
            yield model
    else:
        model.set_adapter(name)
        yield model
