"""What every generator makes, and how the two splits are kept apart.

A generator draws one `Sample` for one `Split`. Training rows keep the messages and the reply; golden cases
keep everything else too: the checks, an answer that they must accept and answers that they must reject.
The splits cannot meet, because whatever identifies a sample (a name, an order number, a wording with its
subject) belongs to exactly one of them, decided by a hash of the thing itself.
"""

from __future__ import annotations

import enum
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


class Split(enum.Enum):
    """Which side of the wall a sample is drawn for."""

    TRAIN = "train"
    GOLDEN = "golden"


@dataclass(frozen=True)
class Sample:
    """One dialogue with its reference reply, and how a reply to it is judged.

    Attributes:
        messages: Turns up to and including the user's last one, as `{"role", "content"}`.
        reply: The reference reply.
        checks: What a reply must satisfy, in the vocabulary of `harness.scoring`.
        tags: Labels for slices.
        rejects: Replies that the checks must refuse.
        cluster: Shared by samples whose fate is shared (one fact, one policy topic).
        target: The reference in machine-readable form, where there is one.
    """

    messages: tuple[dict[str, str], ...]
    reply: str
    checks: tuple[dict[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()
    cluster: str | None = None
    target: Any = None
    must_pass: bool = field(default=False, kw_only=True)

    @property
    def prompt(self) -> str:
        """The whole conversation as one string: what makes two samples the same question."""
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in self.messages)

    def row(self) -> dict[str, Any]:
        """Return the training row: `{"messages": […]}`, the reply as the last turn."""
        return {"messages": [*self.messages, {"role": "assistant", "content": self.reply}]}


def user(text: str) -> tuple[dict[str, str], ...]:
    """Return a conversation of one user message."""
    return ({"role": "user", "content": text},)


def split_of(key: str) -> Split:
    """Return the side that a name, a number or a combination belongs to: about one in eight is golden."""
    return Split.GOLDEN if hashlib.sha256(key.encode()).digest()[0] < 32 else Split.TRAIN


def draw_in(split: Split, draw: Callable[[], T]) -> T:
    """Draw until the result belongs to `split`."""
    while True:
        value = draw()
        if split_of(str(value)) is split:
            return value


@dataclass(frozen=True)
class Wordings:
    """Ways to say one thing: those that training may use, and those that only golden cases use."""

    known: Sequence[str]
    unseen: Sequence[str] = ()

    def pick(self, rng: random.Random, split: Split, *, unseen: float = 0.4) -> tuple[str, bool]:
        """Return a wording and whether training never uses it, as a share `unseen` of golden cases do."""
        if split is Split.GOLDEN and self.unseen and rng.random() < unseen:
            return rng.choice(self.unseen), True
        return rng.choice(self.known), False


def marks(unseen: bool, *tags: str) -> tuple[str, ...]:
    """Return the tags, and one more for a wording that training never uses."""
    return (*tags, "wording:new") if unseen else tags


OPENERS = ("", "", "", "Hi,", "Hello,", "Good morning,", "Hey,", "Hi team,", "Hello there,", "Good evening,")
CLOSERS = ("", "", "", "", "Thanks!", "Thank you.", "Many thanks.", "Thanks in advance.", "Please help.")


def phrase(rng: random.Random, text: str, *, polite: bool = True) -> str:
    """Wrap a question in an opener and a closer, as people do."""
    opener = rng.choice(OPENERS)
    closer = rng.choice(CLOSERS) if polite else ""
    if opener and text.split()[0] not in ("I", "I'm", "I've") and not text.split()[0].isdigit():
        text = text[0].lower() + text[1:]
    return " ".join(part for part in (opener, text, closer) if part)
