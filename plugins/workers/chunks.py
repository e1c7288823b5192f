"""Cut what is asked into chunks that workers take one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from harness.cases import Request, canonical_json

__all__ = ["Chunk", "cut"]

_PER_WORKER = 4
"""Chunks for each worker, so that a fast one takes over from a slow one near the end."""
_LEAST = 8
_MOST = 512


@dataclass
class Chunk:
    """Requests that go to one worker at once, by their index.

    Attributes:
        indices: Into the requests that were cut.
        deaths: How many workers have died on it.
    """

    indices: tuple[int, ...]
    deaths: int = 0


def cut(requests: Sequence[Request], workers: int) -> deque[Chunk]:
    """Cut requests into chunks of neighbours by prompt, so that what shares a prefix stays together."""
    order = sorted(range(len(requests)), key=lambda index: _prompt(requests[index]))
    size = max(_LEAST, min(_MOST, -(-len(order) // (workers * _PER_WORKER))))
    return deque(Chunk(tuple(order[start : start + size])) for start in range(0, len(order), size))


def _prompt(request: Request) -> str:
    texts = [continuation.prompt or "" for continuation in request.continuations[:1]]
    return "\n".join([*(canonical_json(message.as_dict()) for message in request.messages), *texts])
