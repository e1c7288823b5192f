"""Local checkpoints in vLLM's engine: `vllm/NAME`, and `vllm/BASE:ADAPTER` for a LoRA adapter.

Written against the signatures of vLLM 0.33 (`LLM`, `SamplingParams`, `LoRARequest`, `RequestOutput`) and
tested with a stand-in for them; it has not run in a real engine yet.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Request, Response
from harness.checkpoints.spec import inspect_directory
from harness.errors import CheckpointError, ConfigurationError, MissingDependencyError
from harness.numerics import OF_THE_PROMPT
from harness.protocols import BackendOptions, Checkpoint

from .arguments import own
from .hf import HFBackend
from .vllm_prompts import Prompt, answered, prompts_of

__all__ = ["VLLMBackend"]

_AT_ONCE = 1_000
"""Requests in one call of the engine, which batches them itself; what is lost at most when it is killed."""
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The largest ranks that vLLM can be told of."""
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_OF_THE_FILES = ("template", "trust_remote_code")
"""Arguments that say how a checkpoint's files are read, which the `hf` backend does."""


class VLLMBackend:
    """Resolves checkpoints as the `hf` backend does, and asks vLLM's offline engine.

    A base and its adapters share one engine, which holds the weights once.

    Args:
        options: Session options.
    """

    LIKELIHOODS = True
    ARGUMENTS: Mapping[str, str] = {
        "dtype": "auto, float32, bfloat16 or float16",
        "tensor_parallel_size": "GPUs that share one model (1)",
        "gpu_memory_utilization": "part of the GPU's memory that vLLM takes (0.92)",
        "max_model_len": "context window, where it shall be shorter than the model's own",
        "quantization": "quantization method of vLLM",
        "enforce_eager": "true leaves CUDA graphs out",
        "template": "alike (checkpoints with other chat templates are not compared) or own",
        "trust_remote_code": "true runs the checkpoint's own code",
    }

    def __init__(self, options: BackendOptions) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise MissingDependencyError("vllm", extra="vllm")
        given = own(options.arguments, "vllm")
        asked = {key: given[key] for key in self.ARGUMENTS if key in given}
        ours = {key: asked[key] for key in _OF_THE_FILES if key in asked}
        self._files = HFBackend(dataclasses.replace(options, arguments=ours))
        asked.pop("template", None)
        self._settings = _settings(asked)
        self._adapters: dict[str, Path] = {}
        self._engine: tuple[str, Any] | None = None

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Find the base's directory, and the adapter's after a colon; loads nothing."""
        base_name, colon, adapter_name = name.partition(":")
        base = self._files.resolve(base_name, f"hf/{base_name}")
        if base.base != base.fingerprint:
            raise CheckpointError(f"{spec}: is an adapter; write vllm/BASE:ADAPTER")
        if not colon:
            return dataclasses.replace(base, spec=spec, backend="vllm", numerics=self._numerics(base, base))
        adapter = self._files.resolve(adapter_name, f"hf/{adapter_name}")
        if adapter.base != base.fingerprint or adapter.fingerprint == base.fingerprint:
            raise CheckpointError(
                f"{spec}: {adapter_name} is no adapter of {base_name}: it names another base"
            )
        self._adapters[adapter.fingerprint] = Path(adapter.location)
        return dataclasses.replace(
            adapter,
            spec=spec,
            backend="vllm",
            numerics=self._numerics(base, adapter),
            location=base.location,
            trusted=base.trusted,
        )

    def _numerics(self, base: Checkpoint, checkpoint: Checkpoint) -> dict[str, str]:
        """Say how a checkpoint on this base is computed; an adapter may have a chat template of its own."""
        settings = {
            key: str(value) for key, value in self._settings.items() if key != "gpu_memory_utilization"
        }
        dtype = settings.pop("dtype", "auto")
        if dtype == "auto":
            config = inspect_directory(Path(base.location)).config
            dtype = str(config.get("dtype") or config.get("torch_dtype") or "auto")
        engine = {package: _version(package) for package in ("vllm", "torch", "transformers")}
        shown = {key: checkpoint.numerics[key] for key in OF_THE_PROMPT if key in checkpoint.numerics}
        return {"engine": "vllm", "dtype": dtype, **settings, **engine, **shown}

    # --- asking ----------------------------------------------------------------------------------------

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer in calls of up to a thousand requests; what does not fit is told with both lengths."""
        from harness.inference.loading import load_tokenizer

        engine = self._started(checkpoint)
        adapter = self._adapters.get(checkpoint.fingerprint)
        tokenizer_of = adapter if adapter and (adapter / "tokenizer_config.json").is_file() else None
        tokenizer = load_tokenizer(
            tokenizer_of or Path(checkpoint.location), trust_remote_code=bool(checkpoint.trusted)
        )
        window = int(engine.model_config.max_model_len)
        for start in range(0, len(requests), _AT_ONCE):
            asked = requests[start : start + _AT_ONCE]
            prompts, refused = prompts_of(tokenizer, asked, window)
            for index, response in refused.items():
                yield start + index, response
            for index, response in self._ask(engine, checkpoint, asked, prompts):
                yield start + index, response

    def _ask(
        self, engine: Any, checkpoint: Checkpoint, asked: Sequence[Request], prompts: Sequence[Prompt]
    ) -> Iterator[tuple[int, Response]]:
        from vllm import SamplingParams

        if not prompts:
            return
        started = time.perf_counter()
        try:
            outputs = engine.generate(
                [{"prompt_token_ids": list(prompt.tokens)} for prompt in prompts],
                [SamplingParams(**prompt.sampling) for prompt in prompts],
                use_tqdm=False,
                lora_request=self._lora(checkpoint),
            )
        except Exception as error:  # whatever stops the engine says nothing about the model
            said = f"vllm: {type(error).__name__}: {error}".splitlines()[0]
            for index in dict.fromkeys(prompt.request for prompt in prompts):
                yield index, Response("", "error", detail=said)
            return
        yield from answered(asked, prompts, outputs, (time.perf_counter() - started) * 1000)

    def _lora(self, checkpoint: Checkpoint) -> Any | None:
        if checkpoint.fingerprint not in self._adapters:
            return None
        from vllm.lora.request import LoRARequest

        number = list(self._adapters).index(checkpoint.fingerprint) + 1
        return LoRARequest(checkpoint.fingerprint[:16], number, str(self._adapters[checkpoint.fingerprint]))

    def _started(self, checkpoint: Checkpoint) -> Any:
        """Return the engine that holds this checkpoint's base; one at a time is in memory."""
        if self._engine is not None and self._engine[0] == checkpoint.location:
            return self._engine[1]
        from vllm import LLM

        self._engine = None
        lora: dict[str, Any] = {}
        if self._adapters:
            lora = {"enable_lora": True, "max_lora_rank": _rank(self._adapters.values())}
        try:
            engine = LLM(model=checkpoint.location, seed=0, **self._settings, **lora)
        except Exception as error:  # memory, GPUs, an architecture that it does not know
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CheckpointError(f"{checkpoint.spec}: vLLM cannot load it: {first}") from error
        self._engine = (checkpoint.location, engine)
        return engine

    def close(self) -> None:
        """Free the engine."""
        self._engine = None
        self._files.close()


def _settings(given: Mapping[str, str]) -> dict[str, Any]:
    """Turn `-M` arguments into those of `vllm.LLM`."""
    kinds = {"tensor_parallel_size": int, "gpu_memory_utilization": float, "max_model_len": int}
    if given.get("dtype", "auto") not in _DTYPES:
        raise ConfigurationError(f"-M dtype={given['dtype']}: expected one of {', '.join(_DTYPES)}")
    found: dict[str, Any] = {}
    for key, text in given.items():
        if key in ("enforce_eager", "trust_remote_code"):
            found[key] = text.lower() == "true"
            continue
        try:
            found[key] = kinds.get(key, str)(text)
        except ValueError:
            raise ConfigurationError(f"-M {key}={text}: expected a number") from None
    return found


def _rank(adapters: Iterable[Path]) -> int:
    """Return the smallest rank that vLLM can be told and that no adapter exceeds."""
    largest = max(int(inspect_directory(path).config.get("r", 8)) for path in adapters)
    for rank in _RANKS:
        if rank >= largest:
            return rank
    raise CheckpointError(
        f"an adapter has rank {largest}; vLLM takes {_RANKS[-1]} at most: merge it into its base"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
