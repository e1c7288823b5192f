"""Our engine as a model of lm-evaluation-harness, with the response cache of gates.

lm-eval finds no models of others by itself: `register` makes the name known, and the command
`harness-lm-eval` is lm-eval's own with that done.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cases import Request, Response
from harness.engine.cache import ResponseCache
from harness.engine.engine import Engine
from harness.engine.plan import Plan
from harness.errors import ConfigurationError, InferenceError, MissingDependencyError
from harness.interchange.lm_eval.decoding import sampling_of
from harness.likelihood import Continuation
from harness.protocols import BackendOptions

from .conversation import Conversation, messages_of

__all__ = ["HarnessModel", "register"]

_USUAL_DEVICE = "cuda:0"
"""What the command line of lm-eval asks for where nobody says otherwise, GPU or not."""


class HarnessModel:
    """Answers the requests of lm-eval's evaluator; mixed into its class `LM` by `register`.

    Args:
        pretrained: Spec of the checkpoint, as for `--model`: a directory, `hf/ORG/NAME`, `openai/NAME`, …
        batch_size: Rows per batch; `auto`, and lm-eval's own default of 1, leave it to the engine.
        max_batch_size: Taken and not needed.
        device: `cpu`, `cuda:1`, …; lm-eval's own default, `cuda:0`, leaves it to the backend.
        state: Folder of the response cache, shared with gates.
        workers: As `--workers`: `ray` or `ray:N` for replicas of a local model.
        concurrency: As `--concurrency`: most requests in flight at a served model.
        seed: Seed of every draw.
        arguments: What `-M` takes, such as `dtype` or `base_url`.
    """

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        state: str = ".harness",
        workers: str | None = None,
        concurrency: int | str = 8,
        seed: int = 0,
        **arguments: Any,
    ) -> None:
        super().__init__()
        rows = int(batch_size) if batch_size is not None and str(batch_size).isdigit() else None
        if device not in (None, "cuda", _USUAL_DEVICE):
            arguments["device"] = device
        folder = Path(state).resolve()
        options = BackendOptions(
            root=Path.cwd(),
            state=folder,
            batch_size=None if rows == 1 else rows,
            concurrency=int(concurrency),
            workers=workers,
            arguments={name: str(value) for name, value in arguments.items()},
        )
        self._seed = int(seed)
        self._engine = Engine(options)
        (self._checkpoint,) = self._engine.resolve([pretrained])
        self._engine.open_cache(ResponseCache(folder / "cache.sqlite", session=uuid.uuid4().hex))
        weakref.finalize(self, self._engine.close)  # lm-eval tells no model that it is done

    # --- what the evaluator asks -----------------------------------------------------------------------

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return the log-likelihood of each continuation after its context, and whether it is greedy."""
        asked = [_continuation(*instance.args[:2]) for instance in requests]
        found = [response.likelihoods[0] for response in self._ask(asked)]
        return [(likelihood.logprob, likelihood.greedy) for likelihood in found]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of each whole text."""
        asked = [_text(instance.args[0]) for instance in requests]
        return [response.likelihoods[0].logprob for response in self._ask(asked)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return the answer to each context; a request that is there several times gets several samples."""
        seen: dict[int, int] = {}
        asked = []
        for instance in requests:
            context, wanted = instance.args[:2]
            sample = seen.get(id(instance), 0)
            seen[id(instance)] = sample + 1
            messages, raw = messages_of(context)
            sampling = sampling_of(wanted, f"task {instance.task_name}", seed=self._seed)
            asked.append(Request(messages, sampling, sample, raw=raw))
        return [response.text for response in self._ask(asked)]

    def _ask(self, requests: Sequence[Request]) -> list[Response]:
        plan = Plan()
        for request in requests:
            plan.add(self._checkpoint, request)
        self._engine.fill(plan)
        answers = [self._engine.ask_one(self._checkpoint, request) for request in requests]
        unanswered = [one for one in answers if one.failed or one.unusable is not None]
        if unanswered:
            why = unanswered[0].unusable or unanswered[0].detail
            raise InferenceError(
                f"{self._checkpoint.spec}: {len(unanswered)} of {len(answers)} requests got no answer, the "
                f"first because: {why}; what is answered is kept for the next run"
            )
        self._engine.require_one_model(self._checkpoint)
        return answers

    # --- what it wants to know -------------------------------------------------------------------------

    def apply_chat_template(self, chat_history: Sequence[Any], add_generation_prompt: bool = True) -> str:
        """Keep a conversation as it is: the checkpoint's own template renders it, where the model is."""
        if not add_generation_prompt:
            raise ConfigurationError("gen_prefix cannot stand beside --apply_chat_template here")
        return Conversation.of(chat_history)

    @property
    def tokenizer_name(self) -> str:
        """What prompts depend on, for lm-eval's own cache of them."""
        return self._checkpoint.fingerprint

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval records of the model."""
        known = self._checkpoint
        return {
            "model_fingerprint": known.fingerprint,
            "model_backend": known.backend,
            "model_numerics": dict(known.numerics),
        }


def _continuation(context: str, text: str) -> Request:
    messages, raw = messages_of(context)
    if raw:
        return Request((), continuations=(Continuation(text, str(context)),), raw=True)
    return Request(messages, continuations=(Continuation(text),))


def _text(text: str) -> Request:
    return Request((), continuations=(Continuation(text, ""),), raw=True)


def register() -> Any:
    """Make `harness` a model of lm-eval in this process, and return its class.

    Raises:
        MissingDependencyError: lm-eval is not installed.
    """
    try:
        import lm_eval.models  # noqa: F401  (lists its own models first; it does so only while none is known)
        from lm_eval.api.model import LM
        from lm_eval.api.registry import model_registry
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), extra="lm-eval") from error
    if "harness" not in model_registry:
        model_registry.register("harness")(type("HarnessLM", (HarnessModel, LM), {}))
    return model_registry.get("harness")
