"""Local Hugging Face checkpoints: model directories, PEFT adapters, and hub ids."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cases import Request, Response, content_digest
from harness.checkpoints.adapter_fit import check_adapter_fits
from harness.checkpoints.fingerprint import DigestMemo, fingerprint_directory
from harness.checkpoints.manifest import read_manifest, verify_files
from harness.checkpoints.spec import LocalModel, inspect_directory, locate
from harness.errors import CheckpointError, ConfigurationError, TrustError
from harness.inference.adapters import leaves_base_alone, needs_its_call
from harness.inference.folding import can_fold
from harness.protocols import BackendOptions, Checkpoint
from harness.registry import BACKENDS, names

from .arguments import choice, own
from .hf_numerics import (
    BATCHING,
    DTYPES,
    FOLDED,
    OWN_BASE,
    SHARED_BASE,
    TEMPLATES,
    WEIGHTS,
    hf_numerics,
    reconciled,
)
from .hub import hub_snapshot

if TYPE_CHECKING:
    from harness.inference.folding import Folding
    from harness.inference.memory import Limits

__all__ = ["HFBackend"]

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")


@dataclasses.dataclass(frozen=True)
class _Files:
    """Where a checkpoint's pieces lie: the base model, its adapter if any, and its tokenizer."""

    base: LocalModel
    adapter: LocalModel | None
    tokenizer: Path
    way: str | None

    @property
    def wrapped(self) -> bool:
        """Whether it needs PEFT's layers around the base's: an adapter that cannot be folded."""
        return self.way in (SHARED_BASE, OWN_BASE)


@dataclasses.dataclass
class _Loaded:
    """The one base model in memory, and what it serves: `wrapped` adapters or none, or `only` one of them."""

    path: Path
    wrapped: bool
    only: str | None
    model: Any
    folding: Folding
    adapters: set[str] = dataclasses.field(default_factory=set)


class HFBackend:
    """Loads local checkpoints with transformers and PEFT; a base and its adapters share one load.

    Args:
        options: Session options.
    """

    REPLICATES = True
    """Whether several processes that each hold the model answer sooner than one (see --workers)."""

    LIKELIHOODS = True
    ARGUMENTS: Mapping[str, str] = {
        "device": "auto, cpu, cuda, cuda:N or mps",
        "dtype": "auto, float32, bfloat16 or float16",
        "attention": "attention implementation of transformers, or auto (sdpa where the architecture has it)",
        "batching": "auto, cascade (prompts share prefixes) or left-padded (the model's own attention)",
        "weights": "auto (packed for oneDNN where that is faster) or plain",
        "template": "alike (checkpoints with other chat templates are not compared) or own",
        "trust_remote_code": "true runs the checkpoint's own code",
    }

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._arguments = own(options.arguments, "hf")
        self._memo = DigestMemo(options.state / "digests.json")
        self._places: dict[tuple[str, Path | None], Path] = {}
        self._files: dict[str, _Files] = {}
        self._loaded: _Loaded | None = None
        self._tokenizers: dict[Path, Any] = {}
        self._plans: dict[int | None, tuple[Limits, int]] = {}
        for key, allowed in (("dtype", DTYPES), ("batching", BATCHING), ("weights", WEIGHTS)):
            choice(self._arguments, key, allowed, "auto")
        choice(self._arguments, "template", TEMPLATES, "alike")
        device = self._arguments.get("device", "auto")
        if not _DEVICE.fullmatch(device):
            raise ConfigurationError(f"-M device={device}: expected auto, cpu, cuda, cuda:N or mps")

    # --- resolving -------------------------------------------------------------------------------------

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Find a directory or hub snapshot, check its files, and fingerprint it; loads nothing.

        What a name once stood for it stands for while this backend lives: asked again, it is those files that
        are looked at, wherever a branch or a link of that name has moved to.
        """
        path = self._place(spec, None, lambda: self._find(name, spec))
        model = inspect_directory(path)
        self._verify(path)
        fingerprint, _ = fingerprint_directory(path, self._memo)
        base_fingerprint = None
        base = model
        if model.is_adapter:
            base_path = self._place(str(model.base), path, lambda: self._find_base(model))
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
        way = _way(model, base) if model.is_adapter else None
        files = _Files(base, model if model.is_adapter else None, tokenizer, way)
        self._files[fingerprint] = files
        return Checkpoint(
            spec=spec,
            name=_display_name(path, name),
            backend="hf",
            location=str(path),
            fingerprint=fingerprint,
            numerics=hf_numerics(self._arguments, self._options.batch_size, base, tokenizer, adapter=way),
            path=path,
            base=base_fingerprint if model.is_adapter else fingerprint,
            trusted=trusted,
        )

    def reconcile(self, checkpoints: Sequence[Checkpoint]) -> dict[str, str]:
        """Return the arguments under which all of these are computed alike; none where they are."""
        return reconciled([checkpoint.numerics for checkpoint in checkpoints])

    def _place(self, named: str, adapter: Path | None, find: Callable[[], Path]) -> Path:
        """Return where a checkpoint lies, or the base that an adapter names: found once."""
        if (named, adapter) not in self._places:
            self._places[named, adapter] = find()
        return self._places[named, adapter]

    def _find(self, name: str, spec: str) -> Path:
        explicit = spec.startswith("hf/")
        try:
            return locate(name, self._options.root, names(BACKENDS))
        except CheckpointError:
            if not explicit or name.count("/") != 1 or name.startswith((".", "/", "~")):
                raise
        return hub_snapshot(name)

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
        return hub_snapshot(named)

    def _verify(self, path: Path) -> None:
        manifest = read_manifest(path)
        if manifest is not None:
            verify_files(path, manifest, self._memo.sha256)

    def _trust(self, base: LocalModel) -> tuple[str, ...]:
        allowed = self._arguments.get("trust_remote_code", "false").lower() == "true"
        if base.runs_code and not allowed:
            raise TrustError(
                f"{base.path}: loading it would run its own code (auto_map); read that code, "
                "then allow it with -M trust_remote_code=true"
            )
        return ("trust_remote_code",) if allowed else ()

    # --- generating ------------------------------------------------------------------------------------

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer requests in continuous batches over shared prefixes, or as their model allows."""
        from harness.inference.generation import generate
        from harness.inference.likelihood import score
        from harness.inference.memory import release
        from harness.upstream.transformers_internals import can_exchange_attention

        loaded = self._model(checkpoint)
        limits, budget = self._plan(loaded.model)
        tokenizer = self._tokenizer(checkpoint)
        scored = [index for index, request in enumerate(requests) if request.continuations]
        drawn = [index for index, request in enumerate(requests) if not request.continuations]
        cascade = checkpoint.numerics["batching"] == "cascade" and can_exchange_attention()
        with self._active(checkpoint, loaded) as model:
            asked = [requests[index] for index in scored]
            for place, response in score(model, tokenizer, asked, budget=budget, packed=cascade):
                yield scored[place], response
            asked = [requests[index] for index in drawn]
            for place, response in generate(model, tokenizer, asked, limits=limits, cascade=cascade):
                yield drawn[place], response
        release(loaded.model.device)  # before the next checkpoint is asked

    def _plan(self, model: Any) -> tuple[Limits, int]:
        """Return how much is done at a time, decided once: candidate and baseline are batched alike."""
        from harness.inference.memory import key_value_bytes, plan_limits
        from harness.inference.token_likelihood import token_budget

        size = key_value_bytes(model)  # a model of another size is another plan
        if size not in self._plans:
            self._plans[size] = plan_limits(model, self._options.batch_size), token_budget(model)
        return self._plans[size]

    @contextlib.contextmanager
    def _active(self, checkpoint: Checkpoint, loaded: _Loaded) -> Iterator[Any]:
        """Make the model in memory be this checkpoint inside the block."""
        from harness.inference.adapters import active_adapter

        files = self._files[checkpoint.fingerprint]
        if files.wrapped:
            with active_adapter(loaded.model, _adapter_name(checkpoint)) as model:
                yield model
            return
        try:
            loaded.folding.hold(files.adapter, checkpoint.fingerprint)
        except BaseException:
            self._loaded = None  # it may be neither the base nor any of its adapters
            raise
        yield loaded.model

    def _model(self, checkpoint: Checkpoint) -> _Loaded:
        """Return the base model of this checkpoint; one that is loaded already is kept if it is the same."""
        from harness.inference.adapters import attach_adapter
        from harness.inference.folding import Folding
        from harness.inference.layout_support import supports_layouts
        from harness.inference.loading import load_model
        from harness.inference.packed_weights import can_pack
        from harness.inference.packing import pack_model
        from harness.upstream.transformers_internals import can_exchange_attention

        files, numerics = self._files[checkpoint.fingerprint], checkpoint.numerics
        loaded = self._loaded
        only = checkpoint.fingerprint if files.way == OWN_BASE else None
        wanted = (files.base.path, files.wrapped, only)
        if loaded is None or (loaded.path, loaded.wrapped, loaded.only) != wanted:
            loaded = self._loaded = None  # free the one before, so that memory is that of one model
            model = load_model(
                files.base.path,
                device=numerics["device"],
                dtype=numerics["dtype"],
                attention=numerics["attention"],
                trust_remote_code="trust_remote_code" in checkpoint.trusted,
            )
            if numerics["weights"] == "packed":
                if not can_pack():
                    raise CheckpointError("this torch was built without oneDNN: pass -M weights=plain")
                pack_model(model)
            layouts = numerics["batching"] == "cascade" and can_exchange_attention()
            if layouts and not supports_layouts(model):
                raise CheckpointError(
                    f"{files.base.path}: prompts of this model cannot share prefixes, its attention is of "
                    "another kind; pass -M batching=left-padded, for its baseline too"
                )
            loaded = _Loaded(*wanted, model, Folding(model, files.base))
            self._loaded = loaded
        if files.wrapped and _adapter_name(checkpoint) not in loaded.adapters:
            assert files.adapter is not None  # a checkpoint without adapter is not wrapped
            self._loaded = None  # where attaching fails, it may be the base no more
            loaded.model = attach_adapter(loaded.model, files.adapter.path, _adapter_name(checkpoint))
            self._loaded = loaded
            loaded.adapters.add(_adapter_name(checkpoint))
        return loaded

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


def _way(adapter: LocalModel, base: LocalModel) -> str:
    """Say how an adapter comes to answer.

    Raises:
        CheckpointError: It would not, unless PEFT's own functions were called.
    """
    why = needs_its_call(adapter.config)
    if why is not None:
        raise CheckpointError(f"{adapter.path}: {why}; merge it into its base first")
    if can_fold(adapter, base):
        return FOLDED
    return SHARED_BASE if leaves_base_alone(adapter, base) else OWN_BASE


def _adapter_name(checkpoint: Checkpoint) -> str:
    return f"adapter_{checkpoint.fingerprint[:16]}"


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
