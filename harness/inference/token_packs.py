"""How a tree of passages is run: cut into packs of tokens, each one forward pass without padding.

A pack holds *chains*, whose tokens each see all tokens of the chain before them, and *bushes*, small trees
whose tokens see the tokens on their way to the root. What stands above a chain or a bush in the tree are
other chains, which all of its tokens see as a whole (a *view*): no mask, and their keys are computed once. A
chain that later packs look at is kept until the last of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.inference.token_tree import Passage, Run, token_tree

__all__ = ["Asked", "Bush", "BushRun", "Chain", "Pack", "View", "packs"]

_BUSH_TOKENS = 256  # a bush costs its square in dot products, of which a chain saves half
_SHARING_SAVES = 32  # tokens; a chain of its own costs extra operations in each pack that looks at it


@dataclass(frozen=True)
class Chain:
    """Tokens `first` to `end` of a pack; token i of them sees tokens 0 to i of them."""

    key: int
    first: int
    end: int


@dataclass(frozen=True)
class BushRun:
    """Tokens `first` to `end` of a bush, one after another, which follow the last token of run `parent`."""

    first: int
    end: int
    parent: int | None


@dataclass(frozen=True)
class Bush:
    """Tokens `first` to `end` of a pack, which form a tree (or several) of runs; parents come first."""

    first: int
    end: int
    runs: tuple[BushRun, ...]


@dataclass(frozen=True)
class View:
    """Tokens `first` to `end` of a pack see all of a chain, of this pack or kept from one before."""

    chain: int
    first: int
    end: int


@dataclass(frozen=True)
class Asked:
    """The likelihood of a token after the pack's token `row` is part of a passage's."""

    row: int
    token: int
    passage: int


@dataclass(frozen=True)
class Pack:
    """One forward pass.

    Attributes:
        tokens: Token ids.
        positions: The position of each in its passages.
        chains: Those that stand in this pack.
        bushes: Those that stand in this pack; chains and bushes together cover it.
        views: Which tokens see which chains.
        asked: What is wanted of it.
        keep: Keys of the pack's chains that later packs look at.
        drop: Keys of kept chains that no later pack looks at.
    """

    tokens: Sequence[int]
    positions: Sequence[int]
    chains: tuple[Chain, ...]
    bushes: tuple[Bush, ...]
    views: tuple[View, ...]
    asked: tuple[Asked, ...]
    keep: frozenset[int]
    drop: frozenset[int]


@dataclass(frozen=True)
class _Way:
    """Where the tokens on the way to a place stand: `first` to `end` in one part, from `offset` on."""

    before: _Way | None
    part: _Part
    first: int
    end: int
    offset: int


@dataclass(eq=False)
class _Part:
    """A chain or a bush, before it is put into a pack."""

    tokens: list[int]
    positions: list[int]
    above: tuple[_Part, ...]
    runs: list[BushRun] | None = None
    asked: list[Asked] = field(default_factory=list)
    pack: int = -1
    last_seen: int = -1


def packs(passages: Sequence[Passage], budget: int) -> list[Pack]:
    """Return the forward passes that answer some passages, in the order in which they must be run.

    Args:
        passages: What is asked; at least one.
        budget: Most tokens in a pack, ≥ 1.
    """
    parts = list(_Planting(passages, budget).parts(token_tree(passages)))
    groups: list[list[_Part]] = []
    room = 0
    for part in parts:
        if len(part.tokens) > room:
            groups.append([])
            room = budget
        groups[-1].append(part)
        room -= len(part.tokens)
        part.pack = part.last_seen = len(groups) - 1
        for chain in part.above:
            chain.last_seen = len(groups) - 1
    keys = {id(part): key for key, part in enumerate(parts)}
    seen_until: list[list[int]] = [[] for _ in groups]
    for part in parts:
        if part.last_seen > part.pack:
            seen_until[part.last_seen].append(keys[id(part)])
    return [_pack(group, keys, seen_until[index]) for index, group in enumerate(groups)]


def _pack(parts: list[_Part], keys: dict[int, int], drop: list[int]) -> Pack:
    tokens: list[int] = []
    positions: list[int] = []
    chains: list[Chain] = []
    bushes: list[Bush] = []
    views: dict[int, View] = {}
    asked: list[Asked] = []
    for part in parts:
        first, end = len(tokens), len(tokens) + len(part.tokens)
        tokens += part.tokens
        positions += part.positions
        asked += [Asked(first + want.row, want.token, want.passage) for want in part.asked]
        if part.runs is None:
            chains.append(Chain(keys[id(part)], first, end))
        else:
            bushes.append(Bush(first, end, tuple(part.runs)))
        for chain in part.above:  # what lies below a chain stands together
            key = keys[id(chain)]
            views[key] = View(key, views[key].first if key in views else first, end)
    kept = frozenset(keys[id(part)] for part in parts if part.last_seen > part.pack)
    return Pack(
        tokens,
        positions,
        tuple(chains),
        tuple(bushes),
        tuple(views.values()),
        tuple(asked),
        kept,
        frozenset(drop),
    )


@dataclass(frozen=True)
class _Planting:
    """Divides a tree into chains and bushes."""

    passages: Sequence[Passage]
    budget: int

    def parts(self, root: Run) -> Iterator[_Part]:
        """Yield chains and bushes: a chain before what lies below it, which follows without a gap."""
        # a run, the position from which its tokens are its own to compute, the chains above, the way there
        waiting: list[tuple[Run, int, tuple[_Part, ...], _Way | None]] = [(root, root.first, (), None)]
        while waiting:
            run, first, above, way = waiting.pop()
            own = run.end - first
            below = run.total - (run.end - run.first)
            branches = len(run.children) + bool(run.ends)
            if own + below <= min(_BUSH_TOKENS, self.budget):
                if own + below:
                    yield self._bush(run, first, above, way)
                continue
            if run.children and own * (branches - 1) < _SHARING_SAVES:  # each branch computes it for itself
                if run.ends:
                    leaf = Run(run.first, run.end, run.passage, [], run.ends, run.end - run.first)
                    waiting.append((leaf, first, above, way))
            else:
                while first < run.end:
                    end = min(run.end, first + self.budget)
                    part = self._part(run, first, end, above)
                    way = _Way(way, part, first, end, 0)
                    above = (*above, part)
                    first = end
                    if first == run.end:
                        self._ask(run.ends, way)
                    yield part
            # the largest last, so that it comes next: neighbours are of like size, and memory is known early
            waiting.extend((child, first, above, way) for child in sorted(run.children, key=_size))

    def _part(self, run: Run, first: int, end: int, above: tuple[_Part, ...]) -> _Part:
        tokens = list(self.passages[run.passage].tokens[first:end])
        return _Part(tokens, list(range(first, end)), above)

    def _bush(self, root: Run, first: int, above: tuple[_Part, ...], way: _Way | None) -> _Part:
        """Return a whole subtree as one bush."""
        part = _Part([], [], above, runs=[])
        assert part.runs is not None
        waiting: list[tuple[Run, int, int | None, _Way | None]] = [(root, first, None, way)]
        while waiting:
            run, begin, parent, here = waiting.pop()
            offset = len(part.tokens)
            if begin < run.end:
                part.tokens += self.passages[run.passage].tokens[begin : run.end]
                part.positions += range(begin, run.end)
                part.runs.append(BushRun(offset, len(part.tokens), parent))
                parent = len(part.runs) - 1
                here = _Way(here, part, begin, run.end, offset)
            self._ask(run.ends, here)
            waiting.extend((child, run.end, parent, here) for child in sorted(run.children, key=_size))
        return part

    def _ask(self, ends: list[int], way: _Way | None) -> None:
        """Note what is wanted along the way to where these passages end."""
        for index in ends:
            passage = self.passages[index]
            here, end = way, passage.read
            while here is not None and end >= passage.start:
                first = max(here.first, passage.start - 1)
                here.part.asked += [
                    Asked(here.offset + position - here.first, passage.tokens[position + 1], index)
                    for position in range(first, end)
                ]
                here, end = here.before, first
            assert end == passage.start - 1, "every token that is asked for follows one that is read"


def _size(run: Run) -> int:
    return run.total
