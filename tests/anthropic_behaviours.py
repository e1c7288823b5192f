"""What servers answer over Anthropic's messages API, and what is right of it (`served_behaviours`)."""

from __future__ import annotations

from typing import Any

from loopback import Body, Raw, Status
from served_behaviours import ANSWER_TOO_LONG, PROMPT_TOO_LONG, THOUGHT, Behaviour, without_gaps

__all__ = ["ANTHROPIC"]


def message(content: Any = "Paris", stop_reason: Any = "end_turn", **changed: Any) -> Body:
    """A message; content may be its text alone. A field that is `...` is left out."""
    body = {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [text(content)] if isinstance(content, str) else content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }
    return Body(without_gaps(body | changed))


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(arguments: Any, **changed: Any) -> dict[str, Any]:
    made = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": arguments}
    block: dict[str, Any] = without_gaps(made | changed)
    return block


_THINKING = {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"}

ANTHROPIC = (
    Behaviour("plain", message(), "passed"),
    Behaviour("wrong", message("London"), "missed", "found 'London'"),
    Behaviour("blocks", message([text("Pa"), text("ris")]), "passed"),
    Behaviour("thinking", message([_THINKING, text("Paris")]), "passed"),
    Behaviour("redacted", message([{"type": "redacted_thinking", "data": "x"}, text("Paris")]), "passed"),
    Behaviour("thinking cut", message([_THINKING], "max_tokens"), "invalid", "it was cut off"),
    Behaviour("thinking alone", message([_THINKING]), "invalid", "a thought without an answer"),
    Behaviour("no blocks", message([]), "invalid", "empty answer"),
    Behaviour("an image", message([text("Paris"), {"type": "image"}]), "error", "'image'"),
    Behaviour(
        "a server's tool", message([{"type": "server_tool_use"}, text("Paris")]), "error", "server_tool"
    ),
    Behaviour("a block of no kind", message([{"text": "Paris"}]), "error", "content block"),
    Behaviour("text without text", message([{"type": "text", "text": None}]), "error", "without text"),
    Behaviour("content a text", Body(message().value | {"content": "Paris"}), "error", "without content"),
    Behaviour("content null", message(None), "error", "without content blocks"),
    Behaviour("content of texts", message(["Paris"]), "error", "without content blocks"),
    Behaviour("stop_sequence", message(stop_reason="stop_sequence"), "passed"),
    Behaviour("max_tokens", message("Par", "max_tokens"), "missed", "cut off at max_tokens"),
    Behaviour("window", message([], "model_context_window_exceeded"), "invalid", "context window ends"),
    Behaviour("refusal", message([], "refusal"), "passed", asks="refusal"),
    Behaviour("refusal is no answer", message([], "refusal"), "invalid", "content filter withheld"),
    Behaviour("pause_turn", message(stop_reason="pause_turn"), "error", "'pause_turn' is not known"),
    Behaviour("reason null", message(stop_reason=None), "error", "finish reason None"),
    Behaviour("reason missing", message(stop_reason=...), "error", "finish reason None"),
    Behaviour("reason unknown", message(stop_reason="compaction"), "error", "'compaction' is not known"),
    Behaviour("reason tool_use, none", message(stop_reason="tool_use"), "error", "no call of one"),
    Behaviour("call", message([use({"city": "Paris"})], "tool_use"), "passed", asks="call"),
    Behaviour("input as text", message([use('{"city": "Paris"}')], "tool_use"), "passed", asks="call"),
    Behaviour("no input", message([use({})], "tool_use"), "passed", asks="bare call"),
    Behaviour("input a list", message([use(["Paris"])], "tool_use"), "invalid", "arguments of", "bare call"),
    Behaviour("input a number", message([use(7)], "tool_use"), "invalid", "arguments of", "bare call"),
    Behaviour("call cut", message([use({})], "max_tokens"), "invalid", "was cut off", "bare call"),
    Behaviour("call without a name", message([use({}, name=...)], "tool_use"), "error", "name", "call"),
    Behaviour("id no text", message([use({}, id=7)], "tool_use"), "error", "name or id", "call"),
    Behaviour("broken where none is due", message([text("Hm."), use(7)]), "invalid", "arguments", "no call"),
    Behaviour("text where no call is due", message("No need."), "passed", asks="no call"),
    Behaviour("another role", message(role="user"), "error", "role 'user'"),
    Behaviour("another type", message(type="completion"), "error", "'completion'"),
    Behaviour("dated model", message(model="gpt-20260806"), "passed"),
    Behaviour("another model", message(model="haiku"), "error", "-M answers_as=gpt=haiku"),
    Behaviour("model of no name", message(model=7), "error", "`model` is no text"),
    Behaviour("usage missing", message(usage=...), "passed"),
    Behaviour("usage negative", message(usage={"output_tokens": -5}), "error", "`usage.output_tokens` is -5"),
    Behaviour(
        "usage of a cache",
        message(usage={"input_tokens": 1, "cache_read_input_tokens": "2"}),
        "error",
        "cache",
    ),
    Behaviour("stop at the limit", message("Par", usage={"output_tokens": 64}), "missed", "cut off"),
    Behaviour(
        "error and 200",
        Body({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        "error",
        "Overloaded",
    ),
    Behaviour("stream", Raw(b"event: message_start\ndata: {}\n\n"), "error", "a stream of events"),
    *(
        Behaviour(f"prompt: {words[:40]}", Status(400, words), "invalid", "does not")
        for words in PROMPT_TOO_LONG
    ),
    *(
        Behaviour(f"answer: {words[:40]}", Status(400, words), "error", "--max-tokens")
        for words in ANSWER_TOO_LONG
    ),
    Behaviour(
        "too many", Status(400, "max_tokens: 64 > 32, which is the maximum allowed"), "error", "--max-tokens"
    ),
    Behaviour(
        "output filtered", Status(400, "Output blocked by content filtering policy"), "passed", asks="refusal"
    ),
)
