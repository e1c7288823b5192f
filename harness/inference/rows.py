"""One prompt to continue, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from harness.cases import Request, canonical_json

__all__ = ["Decoded", "Row", "row_seed"]


@dataclass(frozen=True)
class Row:
    """One prompt to continue.

    Attributes:
        prompt: Token ids, at least one.
        max_tokens: Most tokens to add, ≥ 1.
        temperature: 0 for greedy.
        top_p: Nucleus mass in (0, 1].
        stop: Strings that end the row.
        seed: Seed of the row's own generator.
        opened: Whether the prompt ends in the beginning of a thought.
    """

    prompt: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    opened: bool = False


@dataclass(frozen=True)
class Decoded:
    """What a row became.

    Attributes:
        tokens: The new token ids, without the one that ended the row.
        finish_reason: `stop`, `length`, or `error` when even this row alone does not fit in memory.
        seconds: From the row's admission to its end.
    """

    tokens: tuple[int, ...]
    finish_reason: str
    seconds: float = 0.0


def row_seed(request: Request) -> int:
    """Return the seed of a request's draw, from its content, seed and sample index: never from its batch."""
    digest = hashlib.sha256(canonical_json(request.as_dict()).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1
