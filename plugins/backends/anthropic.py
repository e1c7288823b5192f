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

from harness.cases import Message, Request, Response
from harness.protocols import BackendOptions, Checkpoint

from . import served
from .anthropic_message import read_message
from .api_call import ApiCall
from .arguments import choice, own
from .asking import Ask, RejectedError, ask_all
from .endpoint import ServedModel
from .served import Provider

__all__ = ["AnthropicBackend"]

_PROVIDER = Provider("anthropic", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
_VERSIONS = ("2026-10-21", "2023-06-01")
_NOT_SENT = {"2026-10-21": "seed,temperature,top_p", "2023-06-01": "seed"}


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
                max_tokens = request.sampling.max_tokens
                read = partial(read_message, max_tokens=max_tokens)
                payload = self._payload(model, request)
                call = ApiCall(create, payload, read, max_tokens, remedy=_remedy)
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


def _remedy(parameters: Sequence[str], message: str) -> str | None:
    """Return the `-M` argument under which a sampling parameter is not sent that the model does not take."""
    refused = [name for name in ("temperature", "top_p") if name in parameters]
    if refused:
        return f"{_VERSIONS[0]} of the API sends no {' and no '.join(refused)}: -M api_version={_VERSIONS[0]}"
    if "max_tokens" in parameters:
        return "where that is too many for the model, lower --max-tokens"
    return None
