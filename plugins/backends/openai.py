"""Models behind the chat completions API: OpenAI's own, and every server that speaks it.

Raw prompts and likelihoods go to the text completions API beside it, where a server has one.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from harness.cases import Message, Request, Response, content_digest
from harness.errors import ConfigurationError
from harness.protocols import BackendOptions, Checkpoint
from harness.registry import did_you_mean

from . import served, text_completions
from .api_call import ApiCall
from .arguments import choice, own
from .asking import Ask, ask_all
from .chat_completion import read_chat_completion
from .endpoint import ServedModel
from .served import Provider

__all__ = ["OpenAIBackend"]

_PROVIDER = Provider("openai", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY")
_LENGTH_FIELDS = ("auto", "max_tokens", "max_completion_tokens")
_TEXT_API = "text completions"
_OMITTABLE = ("seed", "stop", "temperature", "top_p")
_OTHER_LENGTH_FIELD = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|not support|not permitted|unknown|unrecogni[sz]ed|unexpected|extra|instead",
    re.IGNORECASE,
)
_ONE_OF_BOTH = re.compile(r"\b(?:both|only one|either)\b", re.IGNORECASE)


class OpenAIBackend:
    """Asks through the openai SDK, many requests at a time, each with a deadline."""

    LIKELIHOODS = True
    ARGUMENTS: ClassVar[Mapping[str, str]] = {
        **served.ARGUMENTS,
        "max_tokens_field": "max_tokens or max_completion_tokens (auto: the latter at OpenAI itself)",
        "omit": "parameters that the model refuses and that are left out: seed,stop,temperature,top_p",
    }

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._patience = served.patience_of(options, _PROVIDER)
        given = own(options.arguments, _PROVIDER.name)
        self._length_field = choice(given, "max_tokens_field", _LENGTH_FIELDS, "auto")
        self._omitted = _omitted(given.get("omit", ""))

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Check that endpoint and key are there; nothing is asked of the network.

        Raises:
            UsageError: The key or the SDK is missing, or the base URL is malformed.
        """
        model = served.find_model(name, _PROVIDER, self._options)
        left_out = {"not_sent": ",".join(self._omitted)} if self._omitted else {}
        return served.describe(model, spec, _PROVIDER, left_out)

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Ask them all, `concurrency` at a time.

        Raises:
            UsageError: The key is refused, the model does not exist, or the endpoint has moved.
        """
        model = served.find_model(checkpoint.location, _PROVIDER, self._options)
        connect = partial(self._connect, model)
        return ask_all(connect, requests, concurrency=self._options.concurrency, patience=self._patience)

    def close(self) -> None:
        """Do nothing: connections live as long as one call of `generate`."""

    @asynccontextmanager
    async def _connect(self, model: ServedModel) -> AsyncIterator[Ask]:
        import openai

        async with served.open_client(openai.AsyncOpenAI, openai, model, self._patience) as client:

            async def ask(request: Request) -> Response:
                return await served.attempt(self._call(client, model, request), openai.APIError, model)

            yield ask

    def _call(self, client: Any, model: ServedModel, request: Request) -> ApiCall:
        completions = client.completions.with_streaming_response.create
        max_tokens = request.sampling.max_tokens
        if request.continuations:
            payload = {"model": model.model, **text_completions.echo_payload(request)}
            read = partial(text_completions.likelihoods, request)
            return ApiCall(completions, payload, read, payload["max_tokens"], _TEXT_API)
        if request.raw:
            prompt = text_completions.prompt_of(request)
            payload = {"model": model.model, "prompt": prompt, "max_tokens": max_tokens}
            answer = partial(text_completions.answer, max_tokens=max_tokens)
            payload |= self._drawn(request)
            return ApiCall(completions, payload, answer, max_tokens, _TEXT_API, self._remedy)
        create = client.chat.completions.with_streaming_response.create
        read = partial(read_chat_completion, max_tokens=max_tokens, stop=request.sampling.stop)
        return ApiCall(create, self._payload(model, request), read, max_tokens, remedy=self._remedy)

    def _remedy(self, parameters: Sequence[str], message: str) -> str | None:
        """Return the `-M` arguments under which parameters are not sent that a server does not take."""
        for field, other in _OTHER_LENGTH_FIELD.items():
            if field in parameters and (other in message or _NOT_TAKEN.search(message)):
                return f"where the model takes no {field}, send it as {other}: -M max_tokens_field={other}"
            if field in parameters:
                return "where that is too many for the model, lower --max-tokens"
        refused = [name for name in _OMITTABLE if name in parameters]
        if refused == ["temperature", "top_p"] and _ONE_OF_BOTH.search(message):
            refused = ["top_p"]
        if not refused:
            return None
        listed = ",".join(sorted({*self._omitted, *refused}))
        return f"where the model does not take {' and '.join(refused)}, leave it out: -M omit={listed}"

    def _payload(self, model: ServedModel, request: Request) -> dict[str, Any]:
        field = self._length_field
        if field == "auto":
            field = "max_completion_tokens" if model.endpoint.url == _PROVIDER.url else "max_tokens"
        payload: dict[str, Any] = {
            "model": model.model,
            "messages": [_message(message) for message in request.messages],
            field: request.sampling.max_tokens,
            **self._drawn(request),
        }
        if request.tools:
            payload["tools"] = [_tool(tool) for tool in request.tools]
        return payload

    def _drawn(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        drawn: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": _seed(request),
        }
        if sampling.stop:
            drawn["stop"] = list(sampling.stop)
        return {name: value for name, value in drawn.items() if name not in self._omitted}


def _omitted(text: str) -> tuple[str, ...]:
    names = tuple(sorted({name.strip() for name in text.split(",")} - {""}))
    for name in names:
        if name not in _OMITTABLE:
            hint = did_you_mean(name, _OMITTABLE)
            raise ConfigurationError(f"-M omit={text}: expected some of {', '.join(_OMITTABLE)}{hint}")
    return names


def _seed(request: Request) -> int:
    """Return the seed of this sample: the session's for the first, and one derived from it for the others."""
    if request.sample == 0:
        return request.sampling.seed
    return int(content_digest([request.sampling.seed, request.sample])[:8], 16) >> 1


def _message(message: Message) -> dict[str, Any]:
    """Return the wire's shape: like ours, but with the arguments of a call as text."""
    shaped = message.as_dict()
    for number, call in enumerate(shaped.get("tool_calls", ())):
        call.setdefault("id", f"call_{number}")
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    return shaped


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)}
