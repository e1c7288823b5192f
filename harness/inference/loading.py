"""Load models so that what is in memory is what is on disk, or say why not.

The usual libraries load a checkpoint with missing, extra or NaN tensors and log a line at most. Here each of
these is an error.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from harness.errors import CheckpointError, MissingDependencyError, TrustError
from harness.upstream.transformers_internals import refuse_incomplete_report, refuse_unguarded_loading

__all__ = ["load_model", "load_tokenizer", "require_finite", "whole_message"]

_LONGEST_MESSAGE = 600  # characters; some list every tensor of a model


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), extra="hf") from error
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return torch, transformers


def load_model(
    path: Path, *, device: str, dtype: str, attention: str, trust_remote_code: bool = False
) -> Any:
    """Load a causal language model from a local directory of safetensors, ready for inference.

    Args:
        path: Directory with `config.json` and safetensors weights.
        device: `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: Name of a torch floating type, such as `float32` or `bfloat16`.
        attention: transformers' attention implementation, such as `sdpa`.
        trust_remote_code: Run the checkpoint's own Python code.

    Raises:
        TrustError: Loading needs the checkpoint's own code and nobody allowed that.
        CheckpointError: A tensor is missing, extra, of another shape, or not finite; or `config.json`
            describes no model of its architecture.
        IncompatibleLibraryError: This transformers does not know an argument that keeps loading safe.
    """
    torch, transformers = _libraries()
    refuse_unguarded_loading()
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CheckpointError(
            f"{path}: device {device} was chosen, but torch sees no GPU; pass -M device=cpu"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                path,
                dtype=getattr(torch, dtype),
                attn_implementation=attention,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        why = whole_message(error)
        if "trust_remote_code" in str(error):
            raise TrustError(
                f"{path}: needs its own code to load; allow it with -M trust_remote_code=true"
            ) from error
        if "ignore_mismatched_sizes" in why:  # with that flag it would make room for whatever size is asked
            why = "tensors are of other shapes than its config.json says, so the two do not belong together"
        if "does not support" in why and "attention" in why:
            why = f"its architecture has no {attention} attention in transformers; pass -M attention=eager"
        raise CheckpointError(f"{path}: cannot be loaded: {why}") from error
    except Exception as error:  # validators have errors of their own, and no heads at all divide by zero
        why = whole_message(error.__cause__ or error)
        raise CheckpointError(
            f"{path}/config.json: does not fit its architecture: {why.removesuffix('.')}; "
            "correct it, or copy the checkpoint again"
        ) from error
    refuse_incomplete_report(report)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(kind):
            listed = ", ".join(sorted(str(key) for key in report[kind])[:3])
            raise CheckpointError(
                f"{path}: {len(report[kind])} {kind.replace('_', ' ')} ({listed}): "
                "weights and config.json do not belong together"
            )
    require_finite(model, path)
    model.to(device).eval()
    return model


def whole_message(error: BaseException) -> str:
    """Return what a library's error says, in one line: its first lines often only announce the rest."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 1]}…"


def require_finite(model: Any, path: Path, only: str = "") -> None:
    """Refuse NaN and infinity in the parameters of a model, or in those whose name has `only` in it.

    Raises:
        CheckpointError: Names the first such tensor.
    """
    import torch

    for name, tensor in model.named_parameters():
        if only in name and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{path}: tensor {name} holds NaN or infinite values; the training run diverged"
            )


def load_tokenizer(path: Path, *, trust_remote_code: bool = False) -> Any:
    """Load the tokenizer of a checkpoint directory.

    Raises:
        CheckpointError: It has none, or it cannot be read.
    """
    _, transformers = _libraries()
    refuse_unguarded_loading()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                path, trust_remote_code=trust_remote_code, local_files_only=True
            )
    except Exception as error:  # tokenizers raise a bare Exception on a damaged tokenizer.json
        raise CheckpointError(f"{path}: tokenizer cannot be loaded: {whole_message(error)}") from error
    return tokenizer
