"""Models behind the chat completions API: OpenAI's own, and every server that speaks it.

Raw prompts and likelihoods go to the text completions API beside it, where a server has one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from harness.cases import Message, Request, Response, ToolCall, content_digest
from harness.errors import ConfigurationError
from harness.protocols import BackendOptions, Checkpoint
from harness.registry import did_you_mean

from . import served, text_completions
from .arguments import choice, own
from .asking import Ask, UnavailableError, ask_all
from .finish_reason import normalise
from .served import Call, Provider, ServedModel
from .tool_calls import read_call
from .wire import one_line, token_count

__all__ = ["OpenAIBackend"]

_PROVIDER = Provider("openai", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY")
_LENGTH_FIELDS = ("auto", "max_tokens", "max_completion_tokens")
_TEXT_API = "text completions"
_OMITTABLE = ("seed", "stop", "temperature", "top_p")


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

    def _call(self, client: Any, model: ServedModel, request: Request) -> Call:
        completions = client.completions.with_streaming_response.create
        if request.continuations:
            payload = {"model": model.model, **text_completions.echo_payload(request)}
            return Call(completions, payload, partial(text_completions.likelihoods, request), _TEXT_API)
        if request.raw:
            prompt = text_completions.prompt_of(request)
            payload = {"model": model.model, "prompt": prompt, "max_tokens": request.sampling.max_tokens}
            return Call(completions, payload | self._drawn(request), text_completions.answer, _TEXT_API)
        create = client.chat.completions.with_streaming_response.create
        return Call(create, self._payload(model, request), _response)

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


def _response(completion: Mapping[str, Any], latency_ms: float) -> Response:
    """Read a chat completion.

    Raises:
        UnavailableError: It has no choice, no message, or does not say why it ended.
    """
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise UnavailableError("answered 200 without a choice that holds a message; is the base URL right?")
    ended = first.get("finish_reason")
    reason = normalise(ended) if isinstance(ended, str) else None
    if reason is None or reason == "error":
        raise UnavailableError(f"answered 200 with the finish reason {one_line(repr(ended), 40)}")
    text = message.get("content")
    if text is None:
        text = message.get("refusal") or ""  # a refusal under structured output is the model's answer too
    if not isinstance(text, str):
        raise UnavailableError("answered 200 with content that is no text")
    calls, unread = _tool_calls(message.get("tool_calls"))
    usage, model = completion.get("usage"), completion.get("model")
    filtered = "the provider's content filter cut the answer" if reason == "content_filter" else None
    return Response(
        text=text,
        finish_reason=reason,
        detail=unread or filtered,
        prompt_tokens=token_count(usage, "prompt_tokens"),
        completion_tokens=token_count(usage, "completion_tokens"),
        latency_ms=latency_ms,
        tool_calls=calls,
        model=model if isinstance(model, str) else None,
    )


def _tool_calls(entries: Any) -> tuple[tuple[ToolCall, ...], str | None]:
    """Return the calls that can be read, and why others cannot."""
    calls: list[ToolCall] = []
    unread: str | None = None
    for entry in entries if isinstance(entries, list) else ():
        function = entry.get("function") if isinstance(entry, dict) else None
        if not isinstance(function, dict):
            unread = "a tool call without a function"
            continue
        call = read_call(function.get("name"), function.get("arguments"), entry.get("id"))
        if isinstance(call, str):
            unread = one_line(call)
        else:
            calls.append(call)
    return tuple(calls), unread
