"""A conversation on its way through lm-eval, which knows prompts as strings only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.cases import Message

__all__ = ["Conversation", "messages_of"]


class Conversation(str):
    """What a chat template would be asked to render; the checkpoint's own renders it later."""

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, history: Sequence[Mapping[str, str]]) -> Conversation:
        """Return a string (the history as JSON) that carries the messages."""
        kept = cls(json.dumps(list(history), ensure_ascii=False))
        kept.messages = tuple(Message(turn["role"], turn["content"]) for turn in history)
        return kept


def messages_of(context: str) -> tuple[tuple[Message, ...], bool]:
    """Return the messages that a context stands for, and whether they are the prompt as they are."""
    if isinstance(context, Conversation):
        return context.messages, False
    return (Message("user", str(context)),), True
