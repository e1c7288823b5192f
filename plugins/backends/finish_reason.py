"""Why an answer ended, in the one vocabulary of `harness.cases.Response`."""

from __future__ import annotations

__all__ = ["FINISH_REASONS", "normalise"]

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "context_overflow", "error")

# What the chat APIs call the same things: OpenAI's legacy names, Anthropic's stop reasons, and those that
# servers compatible with either send.
_SYNONYMS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
}


def normalise(reason: str) -> str | None:
    """Return one of `FINISH_REASONS` for a provider's word, or None for a word that nobody knows."""
    return reason if reason in FINISH_REASONS else _SYNONYMS.get(reason)
