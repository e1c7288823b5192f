"""Local snapshots of models from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from harness.errors import CheckpointError, MissingDependencyError

__all__ = ["hub_snapshot"]


def hub_snapshot(name: str) -> Path:
    """Return the local snapshot of a hub model; fetches safetensors and text files that are missing.

    Raises:
        CheckpointError: It is not in the local cache and cannot be fetched.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), extra="hf") from error
    repository, _, revision = name.partition("@")
    patterns = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=patterns))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"hf/{name}: not in the local hub cache and cannot be fetched: {first}"
        ) from error
