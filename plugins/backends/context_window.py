"""What a server says of a request that does not fit its model's context window.

Prompt and answer share the window, and servers refuse what is too much together. Only a prompt that leaves no
room for a single token is the case's own: the request for too long an answer is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cases import Response

from .asking import RejectedError

__all__ = ["window_problem"]


def _patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, re.IGNORECASE) for text in texts)


_ABOUT_THE_WINDOW = re.compile(
    r"context_length_exceeded|exceed_context_size|string_above_max_length"
    r"|(?:context|prompt|input|model|sequence) (?:length|size|window|limit)|too (?:long|many tokens)"
    r"|longer than|number of tokens allowed|`inputs`|total number of tokens",
    re.IGNORECASE,
)
# Each provider's way to name the lengths, in tokens: OpenAI and its legacy API, vLLM old and new, SGLang,
# llama.cpp, Mistral, Gemini, xAI, TGI, Fireworks, Cohere, Anthropic.
_PROMPTS = _patterns(
    r"(?P<n>\d+) \+ \d+ > \d+",
    r"(?P<n>\d+) (?:tokens )?(?:in|from|of) (?:the|your) (?:input )?(?:messages|prompt)",
    r"(?:messages|prompt|input) resulted in (?P<n>\d+)",
    r"(?:has|passed|contains)(?: at least)? (?P<n>\d+) (?:input |prompt )?tokens",
    r"(?:prompt|input|request|messages)(?: token count| length)? \((?:length )?(?P<n>\d+)(?: tokens)?\)",
    r"given: (?P<n>\d+)(?: `?inputs`? tokens)?",
    r"prompt is too long: (?P<n>\d+)",
    r"received (?P<n>\d+)",
)
_LIMITS = _patterns(
    r"\d+ \+ \d+ > (?P<n>\d+)",
    r"(?:context|prompt|input|model) (?:length|size|window|limit)(?: of this model)?(?: is| of|:)?(?: only)?"
    r" \(?(?P<n>\d+)",
    r"tokens allowed \((?P<n>\d+)\)",
    r"(?P<n>\d+) maximum context length",
    r"must be <= (?P<n>\d+)",
    r"> (?P<n>\d+)",
    r"(?:less than|cannot exceed) (?P<n>\d+)",
)
_TOTALS = _patterns(r"requested (?:a total of )?(?P<n>\d+) tokens")
_BLAMES_THE_PROMPT = re.compile(
    r"\b(?:prompt|input|messages|request)\b.{0,60}(?:too long|exceed|longer than|too many tokens)"
    r"|reduce the length of the (?:prompt|input|messages)|exceed_context_size",
    re.IGNORECASE,
)
_BLAMES_THE_ANSWER = re.compile(
    r"max_(?:completion_|new_|output_)?tokens|completion|\boutput\b|generat", re.IGNORECASE
)


def window_problem(kind: str, message: str, shown: str, max_tokens: int) -> Response | RejectedError | None:
    """Return what a refusal means that is about the context window; None for any other.

    Args:
        kind: Code and type of the error.
        message: What it says.
        shown: The same as one line that may be shown.
        max_tokens: How many tokens of answer were asked for.

    Returns:
        A response whose finish reason is `context_overflow`, where the prompt alone does not fit. A
        `RejectedError` where it does, or where the server does not say so.
    """
    if not _ABOUT_THE_WINDOW.search(f"{kind} {message}"):
        return None
    prompt, limit, total = _number(_PROMPTS, message), _number(_LIMITS, message), _number(_TOTALS, message)
    if prompt is None and total is not None:
        prompt = total - max_tokens
    if prompt is not None and limit is not None:
        if prompt >= limit:
            detail = f"prompt of {prompt} tokens does not fit the context window of {limit}"
            return Response("", "context_overflow", detail=detail)
        return RejectedError(
            f"the context window of {limit} has no room for max_tokens={max_tokens} beside the prompt's "
            f"{prompt}: lower --max-tokens, or max_tokens of the golden set ({shown})"
        )
    if _BLAMES_THE_ANSWER.search(message):
        return RejectedError(
            f"the server does not say whether the prompt is too long for its context window, or max_tokens="
            f"{max_tokens}: lower --max-tokens, or max_tokens of the golden set ({shown})"
        )
    if prompt is None and total is None and _BLAMES_THE_PROMPT.search(f"{kind} {message}"):
        return Response("", "context_overflow", detail=f"the prompt does not fit the context window: {shown}")
    return None


def _number(patterns: Sequence[re.Pattern[str]], message: str) -> int | None:
    match = next((match for pattern in patterns if (match := pattern.search(message))), None)
    return None if match is None else int(match["n"])
