"""The tree of what passages have in common: each token after the same beginning stands in it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Passage", "Run", "token_tree"]


@dataclass(frozen=True)
class Passage:
    """Tokens whose likelihood is asked, after those that they follow.

    Attributes:
        tokens: All token ids, context first.
        start: Index of the first token whose likelihood is asked, from 1: something stands before it.
    """

    tokens: Sequence[int]
    start: int

    def __post_init__(self) -> None:
        if not 1 <= self.start < len(self.tokens):
            raise ValueError(f"start {self.start} is not within 1 and {len(self.tokens) - 1}")

    @property
    def read(self) -> int:
        """How many of its tokens a model must read: the last one is only asked for."""
        return len(self.tokens) - 1


@dataclass
class Run:
    """Tokens that stand one after another in every passage that comes through here.

    Attributes:
        first: Position of the first of them in those passages.
        end: Position after the last of them; the root of a tree without a common beginning is empty.
        passage: Index of one of those passages.
        children: What follows, each with another first token.
        ends: Indices of the passages of which nothing more is read after this run.
        total: How many tokens this run and everything below it have.
    """

    first: int
    end: int
    passage: int
    children: list[Run] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    total: int = 0


def token_tree(passages: Sequence[Passage]) -> Run:
    """Return the root of the tree of what is read of some passages; at least one.

    The same passage twice is one place in the tree with two `ends`.
    """
    spelled = [np.asarray(passage.tokens, dtype=np.uint32)[: passage.read] for passage in passages]
    keys = [tokens.tobytes() for tokens in spelled]  # any order that keeps equal beginnings together will do
    order = sorted(range(len(passages)), key=keys.__getitem__)
    root = Run(0, 0, order[0])
    path = [root]  # from the root to where the passage before ended
    before = spelled[order[0]][:0]
    for index in order:
        tokens = spelled[index]
        common = _common(before, tokens)
        while path[-1].first >= common and len(path) > 1:
            path.pop()
        if path[-1].end > common:  # the passages part in the middle of a run
            _split(path[-1], common)
        if len(tokens) > path[-1].end:
            path[-1].children.append(Run(path[-1].end, len(tokens), index))
            path.append(path[-1].children[-1])
        path[-1].ends.append(index)
        before = tokens
    if len(root.children) == 1:
        root = root.children[0]
    _count(root)
    return root


def _common(one: NDArray[np.uint32], two: NDArray[np.uint32]) -> int:
    """Return the length of the common beginning."""
    least = min(len(one), len(two))
    differ = one[:least] != two[:least]
    return int(differ.argmax()) if differ.any() else least


def _split(run: Run, at: int) -> None:
    """Cut a run in two at a position."""
    rest = Run(at, run.end, run.passage, run.children, run.ends)
    run.end, run.children, run.ends = at, [rest], []


def _count(root: Run) -> None:
    """Fill in the totals, leaves first."""
    found, waiting = [], [root]
    while waiting:
        run = waiting.pop()
        found.append(run)
        waiting.extend(run.children)
    for run in reversed(found):
        run.total = run.end - run.first + sum(child.total for child in run.children)
