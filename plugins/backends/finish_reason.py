"""Why an answer ended, in the one vocabulary of `harness.cases.Response`."""

from __future__ import annotations

from dataclasses import dataclass

from .asking import UnavailableError, UnreadableError
from .wire import one_line

__all__ = ["FINISH_REASONS", "Ending", "is_malformed_call", "normalise", "read_ending"]

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "context_overflow", "error")

# What else the chat APIs, and the servers that are compatible with them, call the same things: OpenAI's
# legacy names, Anthropic's, Mistral's, Gemini's, Bedrock's, Cohere's, and those of vLLM, SGLang and TGI.
_WORDS = {
    "stop": ("complete", "end_turn", "endoftext", "eos", "eos_token", "stop_sequence"),
    "length": ("max_new_tokens", "max_output_tokens", "max_tokens", "token_limit"),
    "tool_calls": ("function_call", "tool_call", "tool_use"),
    "content_filter": (
        *("blocklist", "content_filtered", "guardrail_intervened", "prohibited_content", "recitation"),
        *("refusal", "safety", "sensitive", "spii"),
    ),
    "error": (
        *("abort", "aborted", "canceled", "cancelled", "insufficient_system_resource", "network_error"),
        "time_limit",
    ),
}
_ENDED_BY_THE_WINDOW = ("model_context_window_exceeded", "model_length")
_MALFORMED_CALL = ("malformed_function_call", "malformed_tool_use")

_SYNONYMS = {
    **{reason: reason for reason in FINISH_REASONS},
    **{word: reason for reason, words in _WORDS.items() for word in words},
    **dict.fromkeys(_ENDED_BY_THE_WINDOW, "length"),
    **dict.fromkeys(_MALFORMED_CALL, "tool_calls"),
}


@dataclass(frozen=True)
class Ending:
    """How an answer ended.

    Attributes:
        reason: One of `FINISH_REASONS`.
        detail: What is to be said of it, if anything.
    """

    reason: str
    detail: str | None = None


def normalise(word: str) -> str | None:
    """Return one of `FINISH_REASONS` for a provider's word, or None for a word that nobody knows."""
    return _SYNONYMS.get(_spelled(word))


def is_malformed_call(word: object) -> bool:
    """Whether a server says that the model wrote a function call which the server could not read itself."""
    return isinstance(word, str) and _spelled(word) in _MALFORMED_CALL


def read_ending(word: object, *, tokens: int | None, max_tokens: int | None) -> Ending:
    """Read why a served model's answer ended.

    Servers that know no other word say `stop` of answers that were cut off, too: one with as many tokens as
    were allowed counts as cut off.

    Args:
        word: What the server says.
        tokens: Length of the answer in tokens, as the server counts.
        max_tokens: How many were allowed.

    Raises:
        UnavailableError: The server ended it, or does not say why it ended: it may not be whole.
        UnreadableError: The word is not known.
    """
    shown = one_line(repr(word), 40)
    if word is None:
        raise UnavailableError(
            "the answer comes with the finish reason None: nobody knows whether it is whole"
        )
    reason = normalise(word) if isinstance(word, str) else None
    if not isinstance(word, str) or reason is None or reason == "context_overflow":
        raise UnreadableError(
            f"the finish reason {shown} is not known: nobody knows whether the answer is whole"
        )
    if reason == "error":
        raise UnavailableError(f"the server gave up on the answer, with the finish reason {shown}")
    if reason == "stop" and tokens is not None and max_tokens is not None and tokens >= max_tokens:
        return Ending(
            "length", f"{tokens} tokens of at most {max_tokens}: cut off, though the server says {shown}"
        )
    if _spelled(word) in _ENDED_BY_THE_WINDOW:
        return Ending(reason, "the answer was cut where the context window ends")
    if reason == "content_filter":
        return Ending(reason, f"the provider's content filter cut the answer ({shown})")
    return Ending(reason)


def _spelled(word: str) -> str:
    return word.lower().replace("-", "_")
