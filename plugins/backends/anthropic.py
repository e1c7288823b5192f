"""Models behind the messages API: Anthropic's own, and servers that speak it.

Version 2026-10-21 of the API takes no temperature, no top_p and no seed: the model draws as it does. What is
not sent is part of the checkpoint's record and of its cache keys. `-M api_version=2023-06-01` reaches models
that still take temperature and top_p.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from harness.cases import Message, Request, Response, ToolCall
from harness.protocols import BackendOptions, Checkpoint

from . import served
from .arguments import choice, own
from .asking import Ask, RejectedError, UnavailableError, ask_all
from .finish_reason import normalise
from .served import Call, Provider, ServedModel
from .tool_calls import read_call
from .wire import one_line, token_count

__all__ = ["AnthropicBackend"]

_PROVIDER = Provider("anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
_VERSIONS = ("2026-10-21", "2023-06-01")
_NOT_SENT = {"2026-10-21": "seed,temperature,top_p", "2023-06-01": "seed"}
_PROMPT_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicBackend:
    """Asks through the anthropic SDK, many requests at a time, each with a deadline."""

    ARGUMENTS: ClassVar[Mapping[str, str]] = {
        **served.ARGUMENTS,
        "api_version": "2026-10-21, or 2023-06-01 for models that still take temperature and top_p",
    }

    def __init__(self, options: BackendOptions) -> None:
        self._options = options
        self._patience = served.patience_of(options, _PROVIDER)
        given = own(options.arguments, _PROVIDER.name)
        self._version = choice(given, "api_version", _VERSIONS, _VERSIONS[0])

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Check that endpoint and key are there; nothing is asked of the network.

        Raises:
            UsageError: The key or the SDK is missing, or the base URL is malformed.
        """
        model = served.find_model(name, _PROVIDER, self._options)
        numerics = {"api_version": self._version, "not_sent": _NOT_SENT[self._version]}
        return served.describe(model, spec, _PROVIDER, numerics)

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
        import anthropic

        async with served.open_client(anthropic.AsyncAnthropic, anthropic, model, self._patience) as client:
            create = client.messages.with_streaming_response.create

            async def ask(request: Request) -> Response:
                call = Call(create, self._payload(model, request), _response)
                return await served.attempt(call, anthropic.APIError, model)

            yield ask

    def _payload(self, model: ServedModel, request: Request) -> dict[str, Any]:
        if request.raw:
            raise RejectedError("this API takes messages only, no raw prompts")
        sampling = request.sampling
        system, turns = _split_system(request.messages)
        payload: dict[str, Any] = {
            "model": model.model,
            "max_tokens": sampling.max_tokens,
            "messages": _messages(turns),
            "extra_headers": {"anthropic-version": self._version},
        }
        if system:
            payload["system"] = system
        if sampling.stop:
            payload["stop_sequences"] = list(sampling.stop)
        if request.tools:
            payload["tools"] = [_tool(tool) for tool in request.tools]
        if self._version == "2023-06-01":
            drawn = {"temperature": sampling.temperature}
            if sampling.top_p < 1.0:  # some models refuse both at once
                drawn["top_p"] = sampling.top_p
            payload["extra_body"] = drawn  # the SDK's own parameters follow the newer version
        return payload


def _split_system(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """Return the text of the leading system messages, and the turns after them."""
    count = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    turns = messages[count:]
    if any(message.role == "system" for message in turns):
        raise RejectedError("this API takes system messages only before the first turn")
    return "\n\n".join(message.content for message in messages[:count]), turns


def _messages(turns: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the wire's shape: calls and their results are content blocks."""
    shaped: list[dict[str, Any]] = []
    for turn in turns:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.content}] if turn.content else []
        role = turn.role
        if role == "tool":
            role = "user"
            blocks = [
                {"type": "tool_result", "tool_use_id": turn.tool_call_id or "call_0", "content": turn.content}
            ]
        for number, call in enumerate(turn.tool_calls):
            identity = {"id": call.id or f"call_{number}", "name": call.name, "input": dict(call.arguments)}
            blocks.append({"type": "tool_use", **identity})
        if role == "user" and turn.role == "tool" and shaped and shaped[-1]["role"] == "user":
            shaped[-1]["content"] += blocks  # the results of one turn's calls belong together
        else:
            shaped.append({"role": role, "content": blocks})
    return shaped


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    shaped = {"name": function["name"], "input_schema": function.get("parameters", {"type": "object"})}
    return shaped | ({"description": function["description"]} if "description" in function else {})


def _response(reply: Mapping[str, Any], latency_ms: float) -> Response:
    """Read a message.

    Raises:
        UnavailableError: It has no content, or does not say why it ended.
    """
    content, ended = reply.get("content"), reply.get("stop_reason")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise UnavailableError("answered 200 without content blocks; is the base URL right?")
    reason = normalise(ended) if isinstance(ended, str) else None
    if reason is None or reason == "error":
        raise UnavailableError(f"answered 200 with the stop reason {one_line(repr(ended), 40)}")
    texts = [block.get("text") for block in content if block.get("type") == "text"]
    calls: list[ToolCall] = []
    detail = "the provider's safety system cut the answer" if reason == "content_filter" else None
    for block in content:
        if block.get("type") == "tool_use":
            call = read_call(block.get("name"), block.get("input"), block.get("id"))
            if isinstance(call, str):
                detail = one_line(call)
            else:
                calls.append(call)
    usage, model = reply.get("usage"), reply.get("model")
    return Response(
        text="".join(text for text in texts if isinstance(text, str)),
        finish_reason=reason,
        detail=detail,
        prompt_tokens=token_count(usage, *_PROMPT_COUNTS),
        completion_tokens=token_count(usage, "output_tokens"),
        latency_ms=latency_ms,
        tool_calls=tuple(calls),
        model=model if isinstance(model, str) else None,
    )
