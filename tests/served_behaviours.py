"""What a behaviour of a served model is: what it answers, what it was asked, and what is right of the two.

Each behaviour was seen of a server or of a model behind one, or is a near relative of one that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopback import Body, Raw, Status

__all__ = [
    "ANSWER_TOO_LONG",
    "CASES",
    "PROMPT_TOO_LONG",
    "SORRY",
    "THOUGHT",
    "Behaviour",
    "without_gaps",
]

_NOW = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "The time somewhere.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CASES: Mapping[str, dict[str, Any]] = {
    "text": {"checks": [{"type": "equals", "value": "Paris"}]},
    "refusal": {"checks": [{"type": "refusal"}]},
    "call": {
        "tools": [_NOW],
        "checks": [{"type": "tool_calls", "calls": [{"name": "now", "arguments": {"city": ["Paris"]}}]}],
    },
    "bare call": {"tools": [_NOW], "checks": [{"type": "tool_calls", "calls": [{"name": "now"}]}]},
    "no call": {"tools": [_NOW], "checks": [{"type": "tool_calls", "calls": []}]},
}
"""What a case asks for, but its id and question."""


SORRY = "I'm sorry, but I can't help with that."
THOUGHT = "London? No, that is in England."
# What providers and servers say of a prompt that alone is too long for the window …
PROMPT_TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
    "Maximum context length is 4096 tokens. However, you requested 5064 tokens.",
    "The maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
    "You passed 4097 input tokens and requested 64 output tokens. However, the model's context length is "
    "only 4096 tokens, resulting in a maximum input length of 4032 tokens.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total "
    "of 5064 tokens: 5000 tokens from the input messages and 64 tokens for the completion.",
    "the request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "The input token count (5000) exceeds the maximum number of tokens allowed (4096).",
    "Prompt contains 5000 tokens and 0 draft tokens, too large for model with 4096 maximum context length",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 64 `max_new_tokens`",
    "This model's maximum prompt length is 4096 but the request contains 5000 tokens.",
    "too many tokens: total number of tokens in the prompt cannot exceed 4096 - received 5000.",
    "prompt is too long: 208310 tokens > 200000 maximum",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input is too long for requested model.",
)
# … and of one that fits, but for the answer that may follow it, or of which they do not say which it is.
ANSWER_TOO_LONG = (
    "'max_tokens' or 'max_completion_tokens' is too large: 64. This model's maximum context length is 2048 "
    "tokens and your request has 2000 input tokens (64 > 2048 - 2000).",
    "This model's maximum context length is 2048 tokens. However, you requested 2094 tokens (2030 in the "
    "messages, 64 in the completion). Please reduce the length of the messages or completion.",
    "The maximum context length is 2048 tokens, however you requested 2094 tokens (2030 in your prompt; 64 "
    "for the completion). Please reduce your prompt; or completion length.",
    "Maximum context length is 2048 tokens. However, you requested 2060 tokens.",
    "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2000 `inputs` tokens and 64 `max_new_tokens`",
    "input length and `max_tokens` exceed context limit: 199980 + 64 > 200000, decrease input length",
    "However, you requested 64 output tokens and your prompt contains at least 1985 input tokens, for a "
    "total of at least 2049 tokens. The maximum context length is 2048 tokens.",
    "Please reduce the length of the messages or completion. (context_length_exceeded)",
)


@dataclass(frozen=True)
class Behaviour:
    """An answer of a server, and what is right of it.

    Attributes:
        name: What there is about it; unique within its wire format.
        answer: What the server sends.
        outcome: How the case must end.
        says: What its explanation must hold, so that whoever reads it knows what the matter was.
        asks: Which of `CASES` was asked.
    """

    name: str
    answer: Body | Raw | Status
    outcome: str
    says: str = ""
    asks: str = "text"


def without_gaps(value: Any) -> Any:
    """Return JSON without the fields of objects that are `...`: those that a server leaves out."""
    if isinstance(value, dict):
        return {name: without_gaps(held) for name, held in value.items() if held is not ...}
    return [without_gaps(held) for held in value] if isinstance(value, list) else value
