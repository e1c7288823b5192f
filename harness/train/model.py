"""The model to train: found, loaded and checked, or built from scratch; with or without an adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoints.fingerprint import fingerprint_directory
from harness.checkpoints.manifest import MODEL_FILES, BaseModelRecord, read_manifest, verify_files
from harness.checkpoints.spec import inspect_directory, locate
from harness.errors import CheckpointError, ConfigurationError, MissingDependencyError, TrustError
from harness.project import relative_to_root
from harness.train.recipe import Lora, NewModel, Recipe
from harness.upstream.transformers_internals import refuse_incomplete_report, refuse_unguarded_loading

__all__ = ["Base", "add_adapter", "build_model", "find_base", "load_base", "load_training_tokenizer"]

_HUB = re.compile(r"hf/(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class Base:
    """A model to start from.

    Attributes:
        path: Directory of its files.
        spec: How manifests name it: directory relative to the project root, or hub id.
        fingerprint: Digest of its files.
        revision: Commit on the hub; None for a local one.
    """

    path: Path
    spec: str
    fingerprint: str
    revision: str | None = None

    def record(self) -> BaseModelRecord:
        """Return what the manifest keeps."""
        spec = self.spec if self.revision is None else f"hf/{self.spec}@{self.revision}"
        return BaseModelRecord(spec, self.fingerprint)


def find_base(spec: str, root: Path) -> Base:
    """Find the model that a recipe's `base` names, and check its files.

    Raises:
        CheckpointError: It is not there, damaged, or an adapter.
        TrustError: Loading it would run code or unpickle.
    """
    hub = _HUB.fullmatch(spec)
    if hub is None:
        path = locate(spec, root)
        name, revision = relative_to_root(path, root), None
    else:
        path = _download(hub["name"], hub["revision"])
        name, revision = hub["name"], path.name
    model = inspect_directory(path)
    if model.is_adapter:
        raise CheckpointError(f"base {spec} is an adapter: merge it into its base first, and train from that")
    if model.runs_code:
        raise TrustError(
            f"base {spec} needs its own code to load (auto_map), and training never runs such code"
        )
    manifest = read_manifest(path)
    if manifest is not None:
        verify_files(path, manifest)
    return Base(path, name, fingerprint_directory(path)[0], revision)


def _download(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", "train") from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(MODEL_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"base hf/{name}: cannot be downloaded: {reason}") from error


def load_training_tokenizer(path: Path) -> Any:
    """Load a base's tokenizer from its files alone."""
    from transformers import AutoTokenizer

    refuse_unguarded_loading()
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: its tokenizer cannot be loaded: {_first_line(error)}") from error


def load_base(base: Base) -> Any:
    """Load a base in float32; every tensor must come from its files.

    Raises:
        CheckpointError: Tensors are missing, unexpected or of another shape, or the architecture is unknown.
    """
    import torch
    from transformers import AutoModelForCausalLM

    refuse_unguarded_loading()
    loader: Any = AutoModelForCausalLM  # annotated as returning a model, returns the report with it
    try:
        model, report = loader.from_pretrained(
            base.path,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"base {base.spec}: cannot be loaded: {_first_line(error)}") from error
    refuse_incomplete_report(report)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(kind):
            first = sorted(map(str, report[kind]))[0]
            raise CheckpointError(
                f"base {base.spec}: {len(report[kind])} {kind.replace('_', ' ')}, first {first}; "
                "its config does not fit its weights"
            )
    return model


def build_model(shape: NewModel, tokenizer: Any, *, seed: int) -> Any:
    """Build a Llama-architecture model with random weights, drawn with `seed`."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, set_seed

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size or -(-shape.hidden_size * 8 // 3 // 8) * 8,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads or shape.heads,
        max_position_embeddings=shape.context_length,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=shape.tie_embeddings,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    set_seed(seed)
    model = LlamaForCausalLM(config)
    generation: Any = GenerationConfig  # its constructor carries no annotations
    model.generation_config = generation(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
    )
    return model


def add_adapter(model: Any, recipe: Recipe, base: Base) -> Any:
    """Wrap a base in the recipe's LoRA adapter, drawn with the recipe's seed.

    Raises:
        ConfigurationError: A target module does not exist in the base.
    """
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import set_seed

    lora = recipe.lora or Lora()
    whole = lora.target_modules == ("all-linear",)
    if not whole:
        _check_targets(model, lora.target_modules)
    set_seed(recipe.training.seed)
    alpha: Any = int(lora.alpha) if lora.alpha.is_integer() else lora.alpha  # annotated int, any number works
    config = LoraConfig(
        r=lora.r,
        lora_alpha=alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if whole else list(lora.target_modules),
        task_type=TaskType.CAUSAL_LM,
        revision=base.revision,
    )
    model.config.name_or_path = base.spec  # PEFT writes it into adapter_config.json
    adapted = get_peft_model(model, config)
    settings: Any = adapted.peft_config["default"]
    settings.base_model_name_or_path = base.spec
    settings.target_modules = sorted(settings.target_modules)  # a set, saved in another order each time
    return adapted


def _check_targets(model: Any, targets: tuple[str, ...]) -> None:
    import torch

    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in linear):
            known = sorted({name.rsplit(".", 1)[-1] for name in linear})
            raise ConfigurationError(
                f"lora.target_modules: the base has no linear layer {target!r}; it has {', '.join(known)}"
            )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
