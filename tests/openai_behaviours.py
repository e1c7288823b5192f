"""What servers answer over OpenAI's chat completions API, and what is right of it (`served_behaviours`)."""

from __future__ import annotations

import json
from typing import Any

from loopback import Body, Raw
from served_behaviours import ANSWER_TOO_LONG, PROMPT_TOO_LONG, SORRY, THOUGHT, Behaviour, without_gaps

__all__ = ["OPENAI"]

USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def chat(message: Any = "Paris", finish_reason: Any = "stop", **changed: Any) -> Body:
    """A chat completion; a message may be its text alone. A field that is `...` is left out."""
    if not isinstance(message, dict):
        message = {"role": "assistant", "content": message}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, **changed.pop("choice", {})}
    body = {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "gpt",
        "choices": [choice],
        "usage": USAGE,
    }
    return Body(without_gaps(body | changed))


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(arguments: Any = '{"city": "Paris"}', **changed: Any) -> dict[str, Any]:
    made = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": arguments}}
    block: dict[str, Any] = without_gaps(made | changed)
    return block


def calling(*entries: Any, content: str | None = None, finish_reason: Any = "tool_calls") -> Body:
    return chat(said(content, tool_calls=list(entries)), finish_reason)


def choice(text: str, **more: Any) -> dict[str, Any]:
    return {"message": said(text), "finish_reason": "stop", **more}


def refused(message: str, status: int = 400, **more: Any) -> Body:
    return Body({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


_ENDINGS = (
    Behaviour("reason STOP", chat(finish_reason="STOP"), "passed"),
    Behaviour("reason eos", chat(finish_reason="eos"), "passed"),
    Behaviour("reason end_turn", chat(finish_reason="end_turn"), "passed"),
    Behaviour("reason MAX_TOKENS", chat("Par", "MAX_TOKENS"), "missed", "cut off at max_tokens"),
    Behaviour("reason model_length", chat("Par", "model_length"), "missed", "cut off"),
    Behaviour("reason model_length, nothing", chat("", "model_length"), "invalid", "context window ends"),
    Behaviour("reason SAFETY", chat("", "SAFETY"), "invalid", "content filter withheld"),
    Behaviour("reason SAFETY, declined", chat("", "SAFETY"), "passed", asks="refusal"),
    Behaviour("reason content-filter", chat("", "content-filter"), "invalid", "content filter"),
    Behaviour("reason abort", chat(finish_reason="abort"), "error", "gave up on the answer"),
    Behaviour("reason error", chat(finish_reason="error"), "error", "'error'"),
    Behaviour("reason null", chat(finish_reason=None), "error", "finish reason None"),
    Behaviour("reason missing", chat(finish_reason=...), "error", "finish reason None"),
    Behaviour("reason unknown", chat(finish_reason="repetition"), "error", "'repetition' is not known"),
    Behaviour("reason overflow", chat(finish_reason="context_overflow"), "error", "is not known"),
    Behaviour("reason no word", chat(finish_reason=7), "error", "finish reason 7"),
    Behaviour("reason tool_calls, none", chat(finish_reason="tool_calls"), "error", "holds no tool call"),
    Behaviour(
        "reason stop at the limit", chat("Par", usage=USAGE | {"completion_tokens": 64}), "missed", "cut"
    ),
)
_CONTENT = (
    Behaviour("plain", chat(), "passed"),
    Behaviour("wrong", chat("London"), "missed", "found 'London'"),
    Behaviour("parts", chat([{"type": "text", "text": "Pa"}, {"type": "text", "text": "ris"}]), "passed"),
    Behaviour("output parts", chat([{"type": "output_text", "text": "Paris"}]), "passed"),
    Behaviour(
        "parts with a thought",
        chat(
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": "Paris"},
            ]
        ),
        "passed",
    ),
    Behaviour(
        "parts with an image",
        chat([{"type": "text", "text": "Paris"}, {"type": "image_url", "image_url": {"url": "data:,"}}]),
        "error",
        "image_url",
    ),
    Behaviour(
        "part of no kind known", chat([{"type": "reference", "reference_ids": [1]}]), "error", "reference"
    ),
    Behaviour("part without text", chat([{"type": "text", "text": None}]), "error", "part of the content"),
    Behaviour("part that is text", chat(["Paris"]), "error", "part of the content"),
    Behaviour("content an object", chat(said({"text": "Paris"})), "error", "`content` is neither"),
    Behaviour("content a number", chat(said(4)), "error", "`content` is neither"),
    Behaviour("content null", chat(None), "invalid", "empty answer"),
    Behaviour("content missing", chat(said(...)), "invalid", "empty answer"),
    Behaviour("no parts", chat([]), "invalid", "empty answer"),
    Behaviour("audio", chat(said(None, audio={"id": "a", "transcript": "Paris"})), "error", "'audio'"),
    Behaviour("text and an image", chat(said("Paris", images=[{"url": "data:,"}])), "error", "'images'"),
    Behaviour("text elsewhere", chat(said("", answer="Paris")), "error", "'answer', which is not read"),
    Behaviour("text and more", chat(said("Paris", annotations=[{"type": "url"}], score=1)), "passed"),
    Behaviour("another role", chat({"role": "user", "content": "Paris"}), "error", "role 'user'"),
    Behaviour("no role", chat({"content": "Paris"}), "passed"),
    Behaviour("reasoning_content", chat(said("Paris", reasoning_content=THOUGHT)), "passed"),
    Behaviour("reasoning", chat(said("Paris", reasoning=THOUGHT, reasoning_details=[{}])), "passed"),
    Behaviour("reasoning cut", chat(said(None, reasoning=THOUGHT), "length"), "invalid", "it was cut off"),
    Behaviour(
        "reasoning alone", chat(said("", reasoning_content=THOUGHT)), "invalid", "a thought without an"
    ),
    Behaviour(
        "a thinking part alone",
        chat([{"type": "thinking", "thinking": []}]),
        "invalid",
        "a thought without an",
    ),
    Behaviour("refusal and no text", chat(said("", refusal=SORRY)), "passed", asks="refusal"),
    Behaviour("refusal and null", chat(said(None, refusal=SORRY)), "passed", asks="refusal"),
    Behaviour("refusal in a part", chat([{"type": "refusal", "refusal": SORRY}]), "passed", asks="refusal"),
    Behaviour("refusal is no answer", chat(said(None, refusal=SORRY)), "missed", "sorry"),
    Behaviour("text and refusal", chat(said("Hm.", refusal=SORRY)), "passed", asks="refusal"),
    Behaviour(
        "refusal of no text", chat(said(None, refusal=True)), "error", "`refusal` is no text", "refusal"
    ),
)
_CHOICES = (
    Behaviour("two choices", chat(choices=[choice("Paris", index=0), choice("Rome", index=1)]), "passed"),
    Behaviour("out of order", chat(choices=[choice("Rome", index=1), choice("Paris", index=0)]), "passed"),
    Behaviour("index twice", chat(choices=[choice("Paris", index=0)] * 2), "error", "two choices have"),
    Behaviour(
        "index missing", chat(choices=[choice("Paris"), choice("Rome", index=1)]), "error", "index None"
    ),
    Behaviour("index of no choice", chat(choice={"index": 1}), "error", "no choice has the index 0"),
    Behaviour("index a text", chat(choice={"index": "0"}), "error", "index '0'"),
    Behaviour("no index", chat(choice={"index": ...}), "passed"),
    Behaviour("no choices", chat(choices=[]), "error", "without choices"),
    Behaviour("choices null", chat(choices=None), "error", "without choices"),
    Behaviour("choices an object", chat(choices={"0": {}}), "error", "without choices"),
    Behaviour("choice a text", chat(choices=["Paris"]), "error", "without choices"),
    Behaviour("no message", chat(choice={"message": ...}), "error", "without a choice that holds a message"),
    Behaviour("delta", chat(choice={"message": ..., "delta": said("Paris")}), "error", "`delta`"),
    Behaviour("text choice", chat(choice={"message": ..., "text": "Paris"}), "error", "a text completion"),
    Behaviour("stream", Raw(b'data: {"choices": []}\n\ndata: [DONE]\n\n'), "error", "a stream of events"),
)
_REST = (
    Behaviour("dated model", chat(model="gpt-2026-08-06"), "passed"),
    Behaviour("model with its path", chat(model="org/GPT"), "passed"),
    Behaviour("model missing", chat(model=...), "passed"),
    Behaviour("model empty", chat(model=""), "passed"),
    Behaviour("another model", chat(model="base-model"), "error", "-M answers_as=gpt=base-model"),
    Behaviour("a larger model's name", chat(model="gpt-mini"), "error", "'gpt-mini' has answered"),
    Behaviour("model of no name", chat(model=["gpt"]), "error", "`model` is no text"),
    Behaviour("usage missing", chat(usage=...), "passed"),
    Behaviour("usage null", chat(usage=None), "passed"),
    Behaviour("usage of fractions", chat(usage={"prompt_tokens": 9.0, "completion_tokens": 5.0}), "passed"),
    Behaviour(
        "usage negative", chat(usage={"completion_tokens": -1}), "error", "`usage.completion_tokens` is -1"
    ),
    Behaviour("usage in words", chat(usage={"prompt_tokens": "nine"}), "error", "`usage.prompt_tokens`"),
    Behaviour("usage half", chat(usage={"completion_tokens": 4.5}), "error", "no count of tokens"),
    Behaviour("usage true", chat(usage={"completion_tokens": True}), "error", "no count of tokens"),
    Behaviour("usage a list", chat(usage=[5]), "error", "`usage` is no object"),
    Behaviour("error and 200", Body({"error": {"message": "model overloaded"}}), "error", "model overloaded"),
    Behaviour("error in words", Body({"error": "no workers"}), "error", "no workers"),
    Behaviour("error beside choices", chat(error={"message": "half of it"}), "error", "half of it"),
    Behaviour("error in the choice", chat(choice={"error": {"message": "went away"}}), "error", "went away"),
    Behaviour(
        "error by type", Body({"object": "error", "message": "no memory", "code": 500}), "error", "500"
    ),
    Behaviour("detail and 200", Body({"detail": "loading the model"}), "error", "loading the model"),
    Behaviour("a list", Body([{"choices": []}]), "error", "no object"),
)
_CALLS = (
    Behaviour("call", calling(call()), "passed", asks="call"),
    Behaviour("call and stop", calling(call(), finish_reason="stop"), "passed", asks="call"),
    Behaviour("call and text", calling(call(), content="One moment."), "passed", asks="call"),
    Behaviour("arguments an object", calling(call({"city": "Paris"})), "passed", asks="call"),
    Behaviour("arguments twice over", calling(call(json.dumps('{"city": "Paris"}'))), "passed", asks="call"),
    Behaviour(
        "call without a list", chat(said(None, tool_calls=call()), "tool_calls"), "passed", asks="call"
    ),
    Behaviour("call without a type", calling(call(type=None, index=0)), "passed", asks="call"),
    Behaviour("call without an id", calling(call(id=...)), "passed", asks="call"),
    Behaviour(
        "call without `function`",
        calling({"name": "now", "arguments": '{"city": "Paris"}'}),
        "passed",
        asks="call",
    ),
    Behaviour(
        "legacy call",
        chat(said(None, function_call=call()["function"]), "function_call"),
        "passed",
        asks="call",
    ),
    Behaviour(
        "legacy call beside the same",
        chat(said(None, function_call=call()["function"], tool_calls=[call()]), "tool_calls"),
        "passed",
        asks="call",
    ),
    Behaviour(
        "legacy call beside another",
        chat(
            said(None, function_call={"name": "then", "arguments": "{}"}, tool_calls=[call()]), "tool_calls"
        ),
        "error",
        "another call",
        "call",
    ),
    *(
        Behaviour(f"no arguments: {arguments!r}", calling(call(arguments)), "passed", asks="bare call")
        for arguments in ("{}", "", " ", "null", None, {})
    ),
    *(
        Behaviour(
            f"arguments {arguments!r}",
            calling(call(arguments)),
            "invalid",
            "arguments of the call",
            "bare call",
        )
        for arguments in (
            '{"city": "Pa',
            '["Paris"]',
            "{}{}",
            '{}""',
            "```json\n{}\n```",
            "7",
            7,
            [],
            '{"a": NaN}',
        )
    ),
    Behaviour(
        "malformed, as the server says", chat(None, "MALFORMED_FUNCTION_CALL"), "invalid", "malformed", "call"
    ),
    Behaviour("call of another type", calling(call(type="custom", custom={})), "error", "'custom'", "call"),
    Behaviour("call a text", calling("now(city='Paris')"), "error", "a tool call is no object", "call"),
    Behaviour("call without a name", calling(call(function={"arguments": "{}"})), "error", "name", "call"),
    Behaviour("name no text", calling(call(function={"name": 7})), "error", "function name", "call"),
    Behaviour("function a text", calling(call(function="now")), "error", "function is no object", "call"),
    Behaviour("id no text", calling(call(id=7)), "error", "id is no text", "call"),
    Behaviour(
        "calls a text", chat(said(None, tool_calls="now()")), "error", "`tool_calls` is no list", "call"
    ),
    Behaviour(
        "legacy a text", chat(said(None, function_call="now")), "error", "`function_call` is no", "call"
    ),
    Behaviour("calls null", chat(said("No need.", tool_calls=None)), "passed", asks="no call"),
    Behaviour("calls empty", chat(said("No need.", tool_calls=[])), "passed", asks="no call"),
    Behaviour("calls missing where due", chat(said("No need.")), "missed", "no call", "call"),
    Behaviour("a call where none is due", calling(call(), content="Hm."), "missed", "1 calls", "no call"),
    Behaviour(
        "legacy where none is due",
        chat(said("Hm.", function_call=call()["function"])),
        "missed",
        "1 calls",
        "no call",
    ),
    Behaviour(
        "broken where none is due", calling(call("{"), content="Hm."), "invalid", "arguments", "no call"
    ),
    Behaviour("one of two broken", calling(call(), call("{")), "invalid", "arguments of", "call"),
    Behaviour(
        "custom where none is due", calling(call(type="custom"), content="Hm."), "error", "type", "no call"
    ),
    Behaviour("call by another name", chat(said("Hm.", tool_call=call())), "error", "'tool_call'", "no call"),
    Behaviour(
        "call out of place", chat("Hm.", choice={"tool_calls": [call()]}), "error", "outside", "no call"
    ),
    Behaviour("text beside a broken call", calling(call("{"), content="Paris"), "invalid", "arguments"),
)
_REJECTIONS = (
    *(
        Behaviour(f"prompt: {words[:40]}", refused(words), "invalid", "does not fit")
        for words in PROMPT_TOO_LONG
    ),
    *(
        Behaviour(f"answer: {words[:40]}", refused(words), "error", "--max-tokens")
        for words in ANSWER_TOO_LONG
    ),
    Behaviour(
        "prompt too long, in a list",
        Body([{"error": {"code": 400, "message": PROMPT_TOO_LONG[0]}}], 400),
        "invalid",
        "does not fit",
    ),
    Behaviour(
        "prompt too long, status 422",
        Body({"error": PROMPT_TOO_LONG[0], "error_type": "validation"}, 422),
        "invalid",
        "does not fit",
    ),
    Behaviour(
        "prompt too long, and 200",
        Body({"object": "error", "code": 400, "message": PROMPT_TOO_LONG[0]}),
        "invalid",
        "does not fit",
    ),
    Behaviour(
        "no temperature",
        refused("Unsupported value: 'temperature' does not support 0 here.", param="temperature"),
        "error",
        "-M omit=temperature",
    ),
    Behaviour(
        "warm only", refused("`temperature` must be strictly positive", 422), "error", "omit=temperature"
    ),
    Behaviour("no top_p", refused("`top_p` cannot be used with this model."), "error", "-M omit=top_p"),
    Behaviour("one of both", refused("temperature and top_p cannot both be set"), "error", "-M omit=top_p:"),
    Behaviour(
        "no seed",
        Body({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, 422),
        "error",
        "-M omit=seed",
    ),
    Behaviour(
        "other length field",
        refused("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        "error",
        "-M max_tokens_field=max_completion_tokens",
    ),
    Behaviour(
        "too many tokens", refused("max_tokens is too large: 64. At most 32 fit."), "error", "--max-tokens"
    ),
    Behaviour("another size", refused("no model size of that name in this request"), "error", "rejects the"),
    Behaviour("no system", refused("System role not supported"), "error", "(400): System role not supported"),
    Behaviour(
        "prompt filtered",
        refused("The prompt was filtered.", type=None, code="content_filter"),
        "passed",
        asks="refusal",
    ),
    Behaviour(
        "prompt filtered, no answer",
        refused("triggering Azure OpenAI's content management policy"),
        "invalid",
        "content filter",
    ),
)
OPENAI = (*_CONTENT, *_ENDINGS, *_CHOICES, *_REST, *_CALLS, *_REJECTIONS)
