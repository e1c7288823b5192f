"""The nouns that flow from a golden file to a verdict, as frozen dataclasses.

A `Case` asks; a `Request` is what it asks of one checkpoint; a `Response` is the answer; a `Score` is
what a scorer makes of it. What is kept of a case when all its samples are scored is `harness.case_result`.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ScoringError
from harness.likelihood import Continuation, Likelihood

__all__ = [
    "Case",
    "Message",
    "Outcome",
    "Request",
    "Response",
    "Sampling",
    "Score",
    "ToolCall",
    "canonical_json",
    "content_digest",
]


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def canonical_json(value: Any) -> str:
    """Serialise to one spelling: sorted keys, no spaces, no NaN, non-ASCII kept as escapes."""
    return _CANONICAL.encode(value)


def content_digest(value: Any) -> str:
    """Return the sha256 (64 hex digits) of a JSON value's canonical spelling."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


class Outcome(str, enum.Enum):
    """How a case ended. The four are never mixed.

    *passed*: the answer is right. *missed*: it is wrong. *invalid*: there is nothing to score, because the
    output is empty, cut off or not parseable (the model's fault, scores 0). *error*: the infrastructure
    failed, nothing is known about the model (never a score).
    """

    PASSED = "passed"
    MISSED = "missed"
    INVALID = "invalid"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ToolCall:
    """A function call that an assistant made: name, and arguments as a JSON object."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the OpenAI chat shape of the call, arguments as an object."""
        call: dict[str, Any] = {
            "type": "function",
            "function": {"name": self.name, "arguments": dict(self.arguments)},
        }
        if self.id is not None:
            call["id"] = self.id
        return call


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, text only."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that chat templates and chat APIs take."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            message["tool_calls"] = [call.as_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        return message


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. Temperature 0 is greedy decoding.

    Attributes:
        max_tokens: Most tokens to generate, ≥ 1.
        temperature: ≥ 0; 0 takes the most likely token each time.
        top_p: Nucleus mass in (0, 1]; 1 keeps the whole distribution.
        stop: Strings that end the answer; the answer excludes them.
        seed: Seed of the draw; with the case and sample index it decides a row's randomness.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": list(self.stop),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Request:
    """One question to one checkpoint: for an answer, or for the likelihood of given texts.

    Attributes:
        messages: The conversation so far; the last turn is the user's.
        sampling: How to draw the answer.
        sample: Index of the sample under `--epochs`, from 0.
        tools: Functions the model may call, as OpenAI-style JSON Schema objects.
        case_id: The case that asks; identifies recorded outputs, and is no part of what a model sees.
        continuations: Texts whose likelihood is asked instead of an answer; nothing is drawn then.
        raw: Whether the messages' contents are the prompt as they are, without the chat template.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    sample: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()
    case_id: str | None = None
    continuations: tuple[Continuation, ...] = ()
    raw: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the answer, as plain JSON values (the case id does not)."""
        asked: dict[str, Any] = {
            "messages": [message.as_dict() for message in self.messages],
            "tools": [dict(tool) for tool in self.tools],
        }
        if self.raw:
            asked["raw"] = True
        if self.continuations:
            asked["continuations"] = [continuation.as_dict() for continuation in self.continuations]
        else:
            asked |= {"sampling": self.sampling.as_dict(), "sample": self.sample}
        return asked


@dataclass(frozen=True)
class Response:
    """What came back for a request.

    Attributes:
        text: The answer; special tokens removed.
        finish_reason: `stop`, `length` (cut at max_tokens), `tool_calls`, `content_filter`,
            `context_overflow` (the prompt does not fit the context window: `detail` has both lengths)
            or `error` (no answer: `detail` says why; never cached, never scored).
        detail: Explanation for the last two, and for an answer that ends where the context window does.
        prompt: The prompt as rendered for the model, where the backend knows it.
        prompt_tokens: Length of the prompt in tokens, where known.
        completion_tokens: Length of the answer in tokens, where known.
        latency_ms: Wall time of the request (of its batch, for a local model), in milliseconds.
        tool_calls: Calls the model made.
        model: The model name that the provider says has answered, where it says so.
        likelihoods: One for each of the request's continuations; `text` is the most likely of them.
        unread_calls: Why calls that the model made are not among `tool_calls`, one phrase each: their
            arguments cannot be read. That none was made must not be concluded from such an answer.
    """

    text: str
    finish_reason: str = "stop"
    detail: str | None = None
    prompt: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    likelihoods: tuple[Likelihood, ...] = ()
    unread_calls: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the infrastructure failed, so that nothing is known about the model."""
        return self.finish_reason == "error"

    @property
    def unusable(self) -> str | None:
        """Why there is nothing to score in it, whatever its text says; None where there is."""
        if self.finish_reason == "context_overflow":
            return self.detail or "the prompt does not fit the context window"
        return "; ".join(self.unread_calls) or None

    @property
    def truncated(self) -> bool:
        """Whether the answer was cut at max_tokens."""
        return self.finish_reason == "length"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        fields: dict[str, Any] = {
            "text": self.text,
            "finish_reason": self.finish_reason,
            "detail": self.detail,
            "prompt": self.prompt,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "latency_ms": self.latency_ms,
            "tool_calls": [
                {"name": call.name, "arguments": dict(call.arguments), "id": call.id}
                for call in self.tool_calls
            ],
            "model": self.model,
        }
        if self.likelihoods:
            fields["likelihoods"] = [likelihood.as_dict() for likelihood in self.likelihoods]
        if self.unread_calls:
            fields["unread_calls"] = list(self.unread_calls)
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Response:
        """Read what `as_dict` wrote."""
        fields = dict(data)
        fields["tool_calls"] = tuple([ToolCall(**call) for call in fields.get("tool_calls", ())])
        fields["likelihoods"] = tuple(map(Likelihood.from_dict, fields.get("likelihoods", ())))
        fields["unread_calls"] = tuple(fields.get("unread_calls", ()))
        return cls(**fields)


@dataclass(frozen=True)
class Score:
    """What a scorer makes of one response.

    Attributes:
        value: In [0, 1], finite.
        outcome: passed, missed or invalid; *error* is raised as `ScoringError`, never scored.
        answer: What was extracted from the response and compared.
        explanation: Why, in one line for a reader.
    """

    value: float
    outcome: Outcome
    answer: str | None = None
    explanation: str | None = None

    def __post_init__(self) -> None:
        value: object = self.value  # whatever a foreign scorer passed
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ScoringError(f"a score must be a finite number in [0, 1], not {value!r}")
        if not 0.0 <= value <= 1.0:
            raise ScoringError(f"a score must lie in [0, 1], not {value!r}: scale it in the scorer")
        if self.outcome is Outcome.ERROR:
            raise ScoringError("an error has no score: raise ScoringError instead")

    @classmethod
    def passed(cls, answer: str | None = None, explanation: str | None = None) -> Score:
        """Score 1: the answer is right."""
        return cls(1.0, Outcome.PASSED, answer, explanation)

    @classmethod
    def missed(cls, explanation: str, answer: str | None = None) -> Score:
        """Score 0: the answer is wrong."""
        return cls(0.0, Outcome.MISSED, answer, explanation)

    @classmethod
    def invalid(cls, explanation: str, answer: str | None = None) -> Score:
        """Score 0: there is no answer to compare (empty, cut off, not parseable)."""
        return cls(0.0, Outcome.INVALID, answer, explanation)


@dataclass(frozen=True)
class Case:
    """One golden example.

    Attributes:
        id: Unique within its golden set; path-safe characters only.
        messages: The conversation to answer (an `input` string becomes one user message).
        turns: Further user turns, answered one after another.
        target: The reference answer; a checker decides what it means.
        checks: What the response must satisfy, each `{"type": …, …}` (see `harness.scoring`).
        tags: Labels for slices, such as `lang:en` or `hard`.
        cluster: Cases with the same cluster are not independent (one document, one template).
        must_pass: A miss fails the suite, whatever the mean or the baseline says.
        must_keep: A miss blocks where the baseline passes: what must not be lost.
        tools: Functions the model may call.
        accepts: Answers that the checks must accept.
        rejects: Answers that the checks must reject.
        metadata: Anything else; plain JSON values.
        continuations: Texts whose likelihood is asked instead of an answer: the choices of a
            multiple-choice case, or the one text of a perplexity case.
        raw: Whether the messages' contents are the prompt as they are, without the chat template.
    """

    id: str
    messages: tuple[Message, ...]
    turns: tuple[str, ...] = ()
    target: Any = None
    checks: tuple[Mapping[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    must_pass: bool = False
    must_keep: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    accepts: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    continuations: tuple[Continuation, ...] = ()
    raw: bool = False

    @property
    def input(self) -> str:
        """The text of the last user message: what is asked, for reports and messages."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return self.messages[-1].content if self.messages else ""

    @functools.cached_property
    def content_hash(self) -> str:
        """Digest of everything that decides what is asked and how it is scored.

        Two results are comparable only if this is equal: a pair whose hash differs is an error, not a drop.
        """
        content: dict[str, Any] = {
            "messages": [message.as_dict() for message in self.messages],
            "turns": list(self.turns),
            "target": self.target,
            "checks": [dict(check) for check in self.checks],
            "tools": [dict(tool) for tool in self.tools],
        }
        if self.continuations:
            content["continuations"] = [continuation.as_dict() for continuation in self.continuations]
        if self.raw:
            content["raw"] = True
        if "rubric" in self.metadata:  # what a judge is told beside the suite's own criteria
            content["rubric"] = self.metadata["rubric"]
        return content_digest(content)
