"""Local Hugging Face checkpoints: model directories, PEFT adapters, and hub ids."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cases import Request, Response, content_digest
from harness.checkpoint import LocalModel, check_adapter_fits, inspect_directory, locate
from harness.errors import CheckpointError, ConfigurationError, MissingDependencyError, TrustError
from harness.fingerprint import DigestMemo, fingerprint_directory
from harness.manifest import read_manifest, verify_files
from harness.protocols import BackendOptions, Checkpoint
from harness.registry import BACKENDS, names

if TYPE_CHECKING:
    from harness.inference.memory import Limits

__all__ = ["HFBackend"]

_ROWS = 64
_DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class _Files:
    """Where a checkpoint's pieces lie: the base model, its adapter if any, and its tokenizer."""

    base: Path
    adapter: Path | None
    tokenizer: Path


class HFBackend:
    """Loads local checkpoints with transformers and PEFT; a base and its adapters share one load.

    Args:
        options: Session options.
    """

    LIKELIHOODS = True
    REPLICATES = True
    """Whether several processes that each hold the model answer sooner than one (see --workers)."""

    ARGUMENTS: Mapping[str, str] = {
        "device": "auto, cpu, cuda, cuda:N or mps",
        "dtype": "auto, float32, bfloat16 or float16",
        "attention": "attention implementation of transformers (sdpa)",
        "trust_remote_code": "true runs the checkpoint's own code",
    }

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._memo = DigestMemo(options.state / "digests.json")
        self._files: dict[str, _Files] = {}
        self._loaded: tuple[Path, Any] | None = None
        self._adapters: set[str] = set()
        self._tokenizers: dict[Path, Any] = {}
        self._limits: Limits | None = None
        self._budget: int | None = None
        dtype = options.arguments.get("dtype", "auto")
        if dtype not in _DTYPES:
            raise ConfigurationError(f"-M dtype={dtype}: expected one of {', '.join(_DTYPES)}")

    # --- resolving -------------------------------------------------------------------------------------

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Find a directory or hub snapshot, check its files, and fingerprint it; loads nothing."""
        path = self._find(name, spec)
        model = inspect_directory(path)
        self._verify(path)
        fingerprint, _ = fingerprint_directory(path, self._memo)
        base_fingerprint = None
        base = model
        if model.is_adapter:
            base_path = self._find_base(model)
            base = inspect_directory(base_path)
            if base.is_adapter:
                raise CheckpointError(
                    f"{path}: its base {base_path} is itself an adapter; merge that one first"
                )
            self._verify(base_path)
            base_fingerprint, _ = fingerprint_directory(base_path, self._memo)
            _check_recorded_base(path, base_path, base_fingerprint)
            check_adapter_fits(model, base)
            fingerprint = content_digest([base_fingerprint, fingerprint])
        trusted = self._trust(base)
        tokenizer = path if (path / "tokenizer_config.json").is_file() else base.path
        self._files[fingerprint] = _Files(base.path, path if model.is_adapter else None, tokenizer)
        return Checkpoint(
            spec=spec,
            name=_display_name(path, name),
            backend="hf",
            location=str(path),
            fingerprint=fingerprint,
            numerics=self._numerics(base, tokenizer),
            path=path,
            base=base_fingerprint if model.is_adapter else fingerprint,
            trusted=trusted,
        )

    def _find(self, name: str, spec: str) -> Path:
        explicit = spec.startswith("hf/")
        try:
            return locate(name, self._options.root, names(BACKENDS))
        except CheckpointError:
            if not explicit or name.count("/") != 1 or name.startswith((".", "/", "~")):
                raise
        return _hub_snapshot(name)

    def _find_base(self, adapter: LocalModel) -> Path:
        named = str(adapter.base)
        for folder in (self._options.root, *adapter.path.parents):
            if (folder / named).is_dir():
                return (folder / named).resolve()
        try:
            return locate(named, self._options.root)
        except CheckpointError:
            if named.count("/") != 1 or named.startswith((".", "/")):
                raise CheckpointError(
                    f"{adapter.path}: its base {named!r} is not there; "
                    "put it back, or correct base_model_name_or_path in adapter_config.json"
                ) from None
        return _hub_snapshot(named)

    def _verify(self, path: Path) -> None:
        manifest = read_manifest(path)
        if manifest is not None:
            verify_files(path, manifest, self._memo.sha256)

    def _trust(self, base: LocalModel) -> tuple[str, ...]:
        allowed = self._options.arguments.get("trust_remote_code", "false").lower() == "true"
        if base.runs_code and not allowed:
            raise TrustError(
                f"{base.path}: loading it would run its own code (auto_map); read that code, "
                "then allow it with -M trust_remote_code=true"
            )
        return ("trust_remote_code",) if allowed else ()

    def _numerics(self, base: LocalModel, tokenizer: Path) -> dict[str, str]:
        """Say how answers are computed, without importing torch to find out."""
        arguments = self._options.arguments
        device = arguments.get("device", "auto")
        if device == "auto":
            device = "cuda" if _cuda_at_hand() else "cpu"
        dtype = arguments.get("dtype", "auto")
        if dtype == "auto":
            own = str(base.config.get("dtype") or base.config.get("torch_dtype") or "bfloat16")
            dtype = "float32" if device == "cpu" else own if own in _DTYPES else "bfloat16"
        numerics = {
            "device": device,
            "dtype": dtype,
            "attention": arguments.get("attention", "sdpa"),
            "batching": "cascade",
            **{package: _version(package) for package in ("torch", "transformers", "peft", "tokenizers")},
        }
        if dtype != "float32":  # in float32 no token was seen to depend on the batch; below it, some do
            numerics["batch_size"] = str(self._options.batch_size or _ROWS)
        if _template_reads_clock(tokenizer):
            numerics["template_date"] = datetime.now(tz=timezone.utc).date().isoformat()
        return numerics

    # --- generating ------------------------------------------------------------------------------------

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer requests in continuous batches over shared prefixes, or as their model allows."""
        from harness.inference.generation import generate
        from harness.inference.layout_support import supports_layouts
        from harness.inference.likelihood import score
        from harness.inference.loading import active_adapter
        from harness.inference.memory import plan_limits
        from harness.inference.token_likelihood import token_budget

        model, adapter = self._model(checkpoint)
        if self._limits is None:  # once, so that candidate and baseline are batched alike
            self._limits = plan_limits(model, self._options.batch_size)
            self._budget = token_budget(model)
        tokenizer = self._tokenizer(checkpoint)
        scored = [index for index, request in enumerate(requests) if request.continuations]
        drawn = [index for index, request in enumerate(requests) if not request.continuations]
        with active_adapter(model, adapter) as active:
            asked = [requests[index] for index in scored]
            for place, response in score(active, tokenizer, asked, budget=self._budget):
                yield scored[place], response
            asked = [requests[index] for index in drawn]
            for place, response in generate(
                active, tokenizer, asked, limits=self._limits, cascade=supports_layouts(model)
            ):
                yield drawn[place], response

    def _model(self, checkpoint: Checkpoint) -> tuple[Any, str | None]:
        """Return the model that holds this checkpoint, and the name of its adapter."""
        from harness.inference.loading import attach_adapter, load_model

        files = self._files[checkpoint.fingerprint]
        if self._loaded is None or self._loaded[0] != files.base:
            self._loaded = None  # free the one before, so that memory is that of one model
            self._adapters.clear()
            numerics = checkpoint.numerics
            model = load_model(
                files.base,
                device=numerics["device"],
                dtype=numerics["dtype"],
                attention=numerics["attention"],
                trust_remote_code="trust_remote_code" in checkpoint.trusted,
            )
            self._loaded = (files.base, model)
        if files.adapter is None:
            return self._loaded[1], None
        name = f"adapter_{checkpoint.fingerprint[:16]}"
        if name not in self._adapters:
            self._loaded = (files.base, attach_adapter(self._loaded[1], files.adapter, name))
            self._adapters.add(name)
        return self._loaded[1], name

    def _tokenizer(self, checkpoint: Checkpoint) -> Any:
        from harness.inference.loading import load_tokenizer

        path = self._files[checkpoint.fingerprint].tokenizer
        if path not in self._tokenizers:
            trusted = "trust_remote_code" in checkpoint.trusted
            self._tokenizers[path] = load_tokenizer(path, trust_remote_code=trusted)
        return self._tokenizers[path]

    def close(self) -> None:
        """Free the model and keep the digests for the next session."""
        self._loaded = None
        self._tokenizers.clear()
        self._memo.save()


def _display_name(path: Path, name: str) -> str:
    """Return the directory's name; a checkpoint also says its run, as in `refund-lora/checkpoint-300`."""
    if "/" in name and not Path(name).is_absolute() and path.parent.parent.name == "runs":
        return f"{path.parent.name}/{path.name}"
    return path.name


def _check_recorded_base(adapter: Path, base: Path, fingerprint: str) -> None:
    manifest = read_manifest(adapter)
    if manifest is not None and manifest.base is not None and manifest.base.fingerprint != fingerprint:
        raise CheckpointError(
            f"{adapter}: was trained on a base with fingerprint {manifest.base.fingerprint[:12]}…, "
            f"{base} has {fingerprint[:12]}…; it is another base, or was changed since"
        )


def _hub_snapshot(name: str) -> Path:
    """Return the local snapshot of a hub model; fetches safetensors and text files that are missing."""
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


def _cuda_at_hand() -> bool:
    return os.path.exists("/dev/nvidiactl") and "+cpu" not in _version("torch")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _template_reads_clock(tokenizer: Path) -> bool:
    """Whether the chat template asks for today's date: then an answer belongs to its day."""
    return any(
        "strftime_now" in (tokenizer / name).read_text(encoding="utf-8", errors="replace")
        for name in ("chat_template.jinja", "tokenizer_config.json", "chat_template.json")
        if (tokenizer / name).is_file()
    )
