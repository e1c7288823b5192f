"""Likelihood questions: texts whose probability after a prompt is asked, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Continuation", "Likelihood"]


@dataclass(frozen=True)
class Continuation:
    """A text whose likelihood is asked: a choice, the last word of a passage, a whole document.

    Attributes:
        text: What follows the prompt, spelled exactly as it follows (with its leading space, if any).
        prompt: Raw text that it follows instead of the request's messages; the empty string asks for the
            likelihood of the text alone.
    """

    text: str
    prompt: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"text": self.text} if self.prompt is None else {"text": self.text, "prompt": self.prompt}


@dataclass(frozen=True)
class Likelihood:
    """How likely a continuation is after its prompt.

    Attributes:
        logprob: Natural logarithm of its probability, summed over its tokens; ≤ 0, finite.
        tokens: How many tokens it has, ≥ 1.
        greedy: Whether greedy decoding would write exactly it: each token is the most likely one.
    """

    logprob: float
    tokens: int
    greedy: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return {"logprob": self.logprob, "tokens": self.tokens, "greedy": self.greedy}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Likelihood:
        """Read what `as_dict` wrote."""
        return cls(**data)
