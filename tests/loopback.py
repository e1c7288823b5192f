"""A model server on this machine that speaks the chat and text completion APIs, and fails on demand.

It checks what a real one checks (key, path, required and unknown fields) and answers in its shapes:

    with LoopbackLLM(answers=lambda question: question.text.upper()) as server:
        …  # openai/MODEL@{server.openai_url}   anthropic/MODEL@{server.anthropic_url}

Faults are scripted: those in `script` meet the first requests, one each, and `answers` may return one.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import pytest

__all__ = [
    "KEY",
    "Body",
    "Drip",
    "Hang",
    "LoopbackLLM",
    "Question",
    "Raw",
    "Redirect",
    "Reply",
    "Status",
    "give_key",
]

KEY = "sk-canary-0123456789wxyz"  # its end is no hexadecimal number, as addresses in logs are
"""The key that the server takes: grep for it wherever it must not appear."""


def give_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give both client libraries the server's key, and no other server or proxy than they are told of."""
    for provider in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{provider}_API_KEY", KEY)
        monkeypatch.delenv(f"{provider}_BASE_URL", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


_OPENAI_FIELDS = {
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"),
    *("tools", "tool_choice", "n", "response_format", "stream", "logprobs"),
}
_COMPLETION_FIELDS = {
    *("model", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "echo"),
}
_ANTHROPIC_FIELDS = {
    *(
        "model",
        "messages",
        "max_tokens",
        "system",
        "stop_sequences",
        "tools",
        "tool_choice",
        "stream",
        "metadata",
    ),
}
_ANTHROPIC_SAMPLING = {"temperature", "top_p", "top_k"}  # accepted before version 2026-10-21 only
_ANTHROPIC_VERSIONS = ("2023-06-01", "2026-10-21")


@dataclass(frozen=True)
class Question:
    """A request that passed the server's checks.

    Attributes:
        provider: Whose wire format it came in.
        number: How many came before it.
        body: The JSON body.
        headers: Names in lower case.
    """

    provider: str
    number: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """The last user message, or the prompt of a text completion."""
        if "prompt" in self.body:
            return str(self.body["prompt"])
        for message in reversed(self.body["messages"]):
            if message["role"] == "user":
                content = message["content"]
                return (
                    content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
                )
        return ""


@dataclass(frozen=True)
class Reply:
    """An answer; the finish reason is OpenAI's word, tool calls are (name, arguments) pairs."""

    text: str | None
    finish_reason: str | None = "stop"
    tool_calls: tuple[tuple[str, Any], ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class Status:
    """An error status; the body is the provider's error shape unless given."""

    code: int
    message: str = "scripted"
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Any body, status 200."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Body:
    """Any JSON body, with any status."""

    value: Any
    code: int = 200


@dataclass(frozen=True)
class Redirect:
    """A redirect that keeps the method."""

    location: str


@dataclass(frozen=True)
class Hang:
    """No answer until the server closes."""


@dataclass(frozen=True)
class Drip:
    """A good answer, one byte at a time: no pause is long, the whole never ends."""

    pause_s: float = 0.02


Fault = Status | Raw | Body | Redirect | Hang | Drip
Answers = Callable[[Question], str | Reply | Fault]


class LoopbackLLM:
    """The server; a context manager.

    Args:
        answers: What to answer; echoes the last user message by default.
        script: Faults for the first requests, in order; None lets one through.
        delay_s: Seconds to think before each answer, so that requests overlap.
        key: The key it takes.
    """

    def __init__(
        self,
        answers: Answers = lambda question: question.text,
        *,
        script: Iterable[Fault | None] = (),
        delay_s: float = 0.0,
        key: str = KEY,
    ) -> None:
        self.questions: list[Question] = []
        self.most_at_once = 0
        self.attempts = 0
        self.closing = threading.Event()
        self._answers = answers
        self._script = list(script)
        self._delay_s = delay_s
        self.key = key
        self._lock = threading.Lock()
        self._at_once = 0
        handler = type("_Handler", (_Handler,), {"llm": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        return f"{self.origin}/v1"

    base_url = openai_url

    @property
    def anthropic_url(self) -> str:
        return self.origin

    def __enter__(self) -> LoopbackLLM:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextlib.contextmanager
    def counted(self) -> Any:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def next_fault(self) -> Fault | None:
        with self._lock:
            self.attempts += 1
            return self._script.pop(0) if self._script else None

    def answer(self, provider: str, body: dict[str, Any], headers: dict[str, str]) -> Reply | Fault:
        with self._lock:
            question = Question(provider, len(self.questions), body, headers)
            self.questions.append(question)
        if self._delay_s:
            self.closing.wait(self._delay_s)
        answer = self._answers(question)
        return Reply(answer) if isinstance(answer, str) else answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that gave up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    llm: LoopbackLLM

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._error("openai", Status(404, "no such path"))

    def do_POST(self) -> None:
        with contextlib.suppress(ConnectionError), self.llm.counted():
            self._post()

    def _post(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        provider = _PATHS.get(self.path)
        fault = self.llm.next_fault()
        if provider is None:
            self._error("openai", Status(404, f"no such path {self.path}"))
        elif fault is not None:
            self._fail(provider, fault)
        else:
            problem = self._authorisation(provider) or _problem(provider, data, self.headers)
            if problem is not None:
                self._error(provider, problem)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = self.llm.answer(provider, json.loads(data), headers)
            if isinstance(answer, Reply):
                self._send(200, _SHAPES[provider](answer, json.loads(data)))
            else:
                self._fail(provider, answer)

    def _authorisation(self, provider: str) -> Status | None:
        given = self.headers.get("x-api-key") if provider == "anthropic" else None
        given = given or self.headers.get("authorization", "").removeprefix("Bearer ")
        if given == self.llm.key:
            return None
        kind = "authentication_error" if provider == "anthropic" else "invalid_request_error"
        return Status(
            401, f"Incorrect API key provided: {given}.", error={"type": kind, "code": "invalid_api_key"}
        )

    def _fail(self, provider: str, fault: Fault) -> None:
        if isinstance(fault, Status):
            self._error(provider, fault)
        elif isinstance(fault, Raw):
            self._send(200, fault.body, content_type=fault.content_type)
        elif isinstance(fault, Body):
            self._send(fault.code, json.dumps(fault.value).encode())
        elif isinstance(fault, Redirect):
            self._send(307, b"", headers={"location": fault.location})
        elif isinstance(fault, Hang):
            self.close_connection = True
            self.llm.closing.wait()
        else:
            body = json.dumps(_SHAPES[provider](Reply("slow " * 2000), {"model": "slow"})).encode()
            self._head(200, len(body), "application/json", {})
            for position in range(len(body)):
                self.wfile.write(body[position : position + 1])
                self.wfile.flush()
                if self.llm.closing.wait(fault.pause_s):
                    return

    def _error(self, provider: str, status: Status) -> None:
        error = {"type": "scripted_error", "message": status.message} | status.error
        shape = {"type": "error", "error": error} if provider == "anthropic" else {"error": error}
        self._send(status.code, shape, headers=status.headers)

    def _send(
        self,
        code: int,
        body: bytes | dict[str, Any],
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._head(code, len(data), content_type, headers or {})
        self.wfile.write(data)

    def _head(self, code: int, length: int, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"content-type": content_type, "content-length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _problem(provider: str, data: bytes, headers: Any) -> Status | None:
    """Return what a real server would find wrong with a request."""

    def bad(message: str) -> Status:
        return Status(400, message, error={"type": "invalid_request_error"})

    try:
        body = json.loads(data)
    except ValueError:
        return bad("the body is not JSON")
    known = _OPENAI_FIELDS
    if provider == "completions":
        unknown = sorted(set(body) - _COMPLETION_FIELDS)
        return bad(f"{unknown[0]}: Extra inputs are not permitted") if unknown else None
    if provider == "anthropic":
        version = headers.get("anthropic-version")
        if version not in _ANTHROPIC_VERSIONS:
            return bad(f"anthropic-version: {version!r} is not a version")
        known = _ANTHROPIC_FIELDS | (_ANTHROPIC_SAMPLING if version == "2023-06-01" else set())
        if not isinstance(body.get("max_tokens"), int):
            return bad("max_tokens: Field required")
    unknown = sorted(set(body) - known)
    if unknown:
        return bad(f"{unknown[0]}: Extra inputs are not permitted")
    if not isinstance(body.get("model"), str) or not isinstance(body.get("messages"), list):
        return bad("model and messages are required")
    return _problem_with_messages(provider, body["messages"])


def _problem_with_messages(provider: str, messages: list[dict[str, Any]]) -> Status | None:
    roles = {"openai": {"system", "user", "assistant", "tool"}, "anthropic": {"user", "assistant"}}[provider]
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        if message.get("role") not in roles:
            return Status(
                400, f"{where}: role {message.get('role')!r}", error={"type": "invalid_request_error"}
            )
        if provider == "openai" and not isinstance(message.get("content"), (str, list)):
            return Status(400, f"{where}: content", error={"type": "invalid_request_error"})
        for call in message.get("tool_calls", ()):
            if not isinstance(call.get("id"), str) or not isinstance(call["function"]["arguments"], str):
                return Status(400, f"{where}: tool_calls", error={"type": "invalid_request_error"})
    return None


def _openai_shape(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
            for number, (name, arguments) in enumerate(reply.tool_calls)
        ]
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": reply.model or body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def _completion_shape(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "cmpl-0",
        "object": "text_completion",
        "created": 0,
        "model": reply.model or body["model"],
        "choices": [{"index": 0, "text": reply.text, "finish_reason": reply.finish_reason, "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def _anthropic_shape(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [] if reply.text is None else [{"type": "text", "text": reply.text}]
    content += [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
        for number, (name, arguments) in enumerate(reply.tool_calls)
    ]
    return {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": reply.model or body["model"],
        "content": content,
        "stop_reason": _STOP_REASONS.get(reply.finish_reason or "", reply.finish_reason),
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "output_tokens": 3,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": None,
        },
    }


_PATHS = {
    "/v1/chat/completions": "openai",
    "/v1/completions": "completions",
    "/v1/messages": "anthropic",
}
_SHAPES: dict[str, Callable[[Reply, dict[str, Any]], dict[str, Any]]] = {
    "openai": _openai_shape,
    "completions": _completion_shape,
    "anthropic": _anthropic_shape,
}
