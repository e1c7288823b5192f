"""Continuous batched decoding over shared prefixes.

Rows are admitted longest first, prefix by prefix. Their prompts are read packed, without padding, and then
each has a slot, from which one token is computed at a time. A row that ends gives its slot to the next one.
Which rows stand side by side changes nothing about what a row is given, but for rounding.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.inference.attention import layout_attention
from harness.inference.cascade_layouts import PromptLayout, TokenLayout
from harness.inference.key_values import SlotCache
from harness.inference.memory import Limits, is_out_of_memory, release
from harness.inference.prefix_caches import PrefixCaches
from harness.inference.rows import Decoded, Row
from harness.inference.stop_strings import StopFinder
from harness.inference.token_choice import TokenChooser

__all__ = ["decode_cascade"]

_GROUPS_AT_A_TIME = 16  # each prefix among the rows side by side costs every layer a few operations
_REFILL_SHARE = 4  # slots are refilled when one in so many is free: prompts are read in packs
_HEADROOM = 64  # tokens that a row may add before its slot must grow
_LEAST_PACK = 64


def decode_cascade(
    model: Any, tokenizer: Any, rows: Mapping[int, Row], *, eos_ids: frozenset[int], limits: Limits
) -> Iterator[tuple[int, Decoded]]:
    """Continue every row until its end token, a stop string or its token limit, yielding each as it ends.

    When memory runs out, half of the rows that were in flight wait until the others have ended; what has
    ended stays so. A row that does not fit alone ends with `error`.

    Args:
        model: A model for which `supports_layouts` holds, in evaluation mode.
        tokenizer: Decodes what is searched for stop strings.
        rows: What to continue, by index.
        eos_ids: Token ids that end a row; not part of the answer.
        limits: How much at a time.
    """
    if not rows:
        return
    batch = _Batch(model, StopFinder(tokenizer), rows, eos_ids, limits)
    with layout_attention(model):
        while batch.unfinished:
            yield from batch.advance()


class _Batch:
    """The rows in flight. Slots in use are always the first ones."""

    def __init__(
        self,
        model: Any,
        stops: StopFinder,
        rows: Mapping[int, Row],
        eos_ids: frozenset[int],
        limits: Limits,
    ) -> None:
        self._model, self._stops, self._rows, self._eos_ids = model, stops, rows, eos_ids
        self._planned = dataclasses.replace(limits, slots=min(limits.slots, len(rows)))
        self._limits = self._planned
        self._chooser = TokenChooser(rows)
        least = max(2, self._limits.slots // _GROUPS_AT_A_TIME)
        self._prefixes = PrefixCaches(model, rows, least_rows=least)
        self._queue = sorted(rows, key=self._admission, reverse=True)  # the next one is the last
        self._tokens: dict[int, list[int]] = {}
        self._started: dict[int, float] = {}
        self._active: list[int] = []
        self._lengths: list[int] = []
        self._cache: SlotCache | None = None
        self._filling = True

    def _admission(self, index: int) -> tuple[int, int, Sequence[int]]:
        """Order rows: one prefix after the other, the longest first, equal prompts side by side."""
        return self._prefixes.group_of(index), -self._need(index), tuple(self._rows[index].prompt)

    def _need(self, index: int) -> int:
        """Return the tokens that a row's slot may come to hold."""
        row = self._rows[index]
        return len(row.prompt) - self._prefixes.length(index) + row.max_tokens

    @property
    def unfinished(self) -> bool:
        """Whether any row has not ended."""
        return bool(self._queue or self._active)

    def advance(self) -> list[tuple[int, Decoded]]:
        """Read a pack of prompts, or compute a token of every row in flight; return the rows that ended."""
        import torch

        admitted: list[int] = []
        try:
            with torch.inference_mode():
                admitted = self._next_pack()
                chosen = self._read(admitted) if admitted else self._step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return self._accept(chosen)
        return self._back_off(admitted)  # outside of the handler: the error holds on to tensors

    # --- admission -------------------------------------------------------------------------------------

    def _next_pack(self) -> list[int]:
        """Take the next rows from the queue, of one prefix and about a pack of tokens; none if none fit."""
        free = self._limits.slots - len(self._active)
        if not self._queue or not free:
            self._filling = False
        elif not self._active or free * _REFILL_SHARE >= self._limits.slots:
            self._filling = True
        if not self._filling:
            return []
        group_of = self._prefixes.group_of
        group, shared = group_of(self._queue[-1]), self._prefixes.length(self._queue[-1])
        if not self._active:
            self._cache = None  # rows that come may be much shorter than those that were
        longest = max(map(self._need, self._active), default=0)
        pack: list[int] = []
        tokens, seen = 0, None
        while self._queue and len(pack) < free and group_of(self._queue[-1]) == group:
            index = self._queue[-1]
            own = 0 if self._rows[index].prompt == seen else len(self._rows[index].prompt) - shared
            longest = max(longest, self._need(index))
            if pack and tokens + own > self._limits.pack:
                break
            if (pack or self._active) and len(self._active) + len(pack) >= self._room(longest, group):
                self._filling = False
                break
            pack.append(self._queue.pop())
            tokens, seen = tokens + own, self._rows[index].prompt
        return pack

    def _room(self, longest: int, group: int) -> int:
        """Return how many slots of this many tokens fit in memory beside the prefixes, at most all slots.

        Args:
            longest: Tokens of the longest slot.
            group: The group whose rows come next; its prefix may have to be read yet.
        """
        if self._limits.tokens is None:
            return self._limits.slots
        return min((self._limits.tokens - self._prefixes.held(group)) // max(longest, 1), self._limits.slots)

    def _slots_wanted(self, pack: Sequence[int]) -> int:
        """Return how many slots to make room for: those of the rows that will soon follow, too."""
        rows = len(self._active) + len(pack)
        longest = max(map(self._need, (*self._active, *pack)))
        return max(rows, min(rows + len(self._queue), self._room(longest, self._prefixes.group_of(pack[0]))))

    # --- passes ----------------------------------------------------------------------------------------

    def _read(self, pack: Sequence[int]) -> list[tuple[int, int]]:
        """Read prompts into the slots after the last one in use; return (slot, first token) of each."""
        import torch

        now = time.perf_counter()
        prefix = self._prefixes.read(self._prefixes.group_of(pack[0]), self._limits.pack)
        prompts: list[Sequence[int]] = []
        owners: list[int] = []
        for index in pack:
            prompt = self._rows[index].prompt
            if not prompts or prompt != prompts[-1]:
                prompts.append(prompt)
            owners.append(len(prompts) - 1)
        own = [list(prompt[prefix.length :]) for prompt in prompts]
        lengths = [len(tokens) for tokens in own]
        if self._cache is None:
            self._cache = SlotCache()
        self._cache.reserve(self._slots_wanted(pack), max(lengths) + _HEADROOM)
        device = self._model.device
        layout = PromptLayout(lengths, prefix, self._cache, len(self._active), owners, device)
        ends = torch.tensor(lengths).cumsum(0) - 1
        logits = self._model(
            input_ids=torch.tensor([[token for tokens in own for token in tokens]], device=device),
            position_ids=torch.tensor(
                [[prefix.length + place for length in lengths for place in range(length)]], device=device
            ),
            use_cache=False,
            logits_to_keep=ends.to(device),
            layout=layout,
        ).logits[0]
        if len(prompts) < len(pack):
            logits = logits[torch.tensor(owners, device=device)]
        chosen = self._chooser.choose(logits, pack, [0] * len(pack))
        first = len(self._active)
        for index, owner in zip(pack, owners, strict=True):
            self._tokens[index], self._started[index] = [], now
            self._active.append(index)
            self._lengths.append(lengths[owner])
        return list(enumerate(chosen, start=first))

    def _step(self) -> list[tuple[int, int]]:
        """Compute the next token of every row in flight."""
        import torch

        assert self._cache is not None  # rows are in flight, so prompts were read
        self._cache.reserve(len(self._active), max(self._lengths) + 1)
        device = self._model.device
        newest = [self._tokens[index][-1] for index in self._active]
        shared = [self._prefixes.length(index) for index in self._active]
        held = torch.tensor(self._lengths, device=device)
        prefixes = self._prefixes.in_use(self._active, self._limits.pack)
        layout = TokenLayout(self._cache, self._lengths, held, prefixes)
        logits = self._model(
            input_ids=torch.tensor([newest], device=device),
            position_ids=(held + torch.tensor(shared, device=device)).unsqueeze(0),
            use_cache=False,
            layout=layout,
        ).logits[0]
        written = [len(self._tokens[index]) for index in self._active]
        chosen = self._chooser.choose(logits, self._active, written)
        self._lengths = [length + 1 for length in self._lengths]
        return list(enumerate(chosen))

    # --- endings ---------------------------------------------------------------------------------------

    def _accept(self, chosen: Sequence[tuple[int, int]]) -> list[tuple[int, Decoded]]:
        """Give slots their new tokens; return the rows that have ended, their slots free again."""
        ended: dict[int, str] = {}
        for slot, token in chosen:
            index = self._active[slot]
            row, tokens = self._rows[index], self._tokens[index]
            if token in self._eos_ids:
                ended[slot] = "stop"
                continue
            tokens.append(token)
            if row.stop and self._stops.completed(tokens, row.stop, opened=row.opened):
                ended[slot] = "stop"
            elif len(tokens) >= row.max_tokens:
                ended[slot] = "length"
        now = time.perf_counter()
        found = []
        for slot, reason in ended.items():
            index = self._active[slot]
            found.append((index, Decoded(tuple(self._tokens[index]), reason, now - self._started[index])))
            self._forget(index)
            self._prefixes.release(index)
        if ended:
            self._close_gaps(ended)
        return found

    def _close_gaps(self, ended: Collection[int]) -> None:
        """Move the last rows into the slots of rows that have ended."""
        kept = len(self._active) - len(ended)
        holes = sorted(slot for slot in ended if slot < kept)
        movers = [slot for slot in range(kept, len(self._active)) if slot not in ended]
        moved = not holes or self._moved(movers, holes)
        for hole, mover in zip(holes, movers, strict=True):
            self._active[hole], self._lengths[hole] = self._active[mover], self._lengths[mover]
        del self._active[kept:], self._lengths[kept:]
        if not moved:
            self._put_back(0)

    def _moved(self, movers: Sequence[int], holes: Sequence[int]) -> bool:
        """Copy what slots hold into others; whether there was memory for it."""
        import torch

        cache, device = self._cache, self._model.device
        assert cache is not None  # its slots are being moved
        tokens = max(self._lengths[slot] for slot in movers)

        def move() -> None:
            with torch.inference_mode():
                cache.move(torch.tensor(movers, device=device), torch.tensor(holes, device=device), tokens)

        return _fits(move)

    def _forget(self, index: int) -> None:
        self._tokens.pop(index, None)
        self._started.pop(index, None)
        self._chooser.forget(index)

    def _back_off(self, pack: Sequence[int]) -> list[tuple[int, Decoded]]:
        """Halve what is in flight after memory ran out; rows that gave up their slots begin anew later."""
        tried = len(self._active) + len(pack)
        self._queue.extend(reversed(pack))
        if tried == 1:
            index = self._queue.pop() if pack else self._active[0]
            self._active, self._lengths, self._cache = [], [], None
            self._limits = self._planned  # the others may be shorter
            self._forget(index)
            self._prefixes.release(index)
            release(self._model.device)
            return [(index, Decoded((), "error"))]
        slots = max(tried // 2, 1)
        self._limits = dataclasses.replace(
            self._limits, slots=slots, pack=max(self._limits.pack // 2, _LEAST_PACK)
        )
        self._put_back(slots)
        release(self._model.device)
        cache = self._cache
        if cache is not None and not _fits(lambda: cache.shrink(slots)):
            self._put_back(0)
        return []

    def _put_back(self, first: int) -> None:
        """Have the rows from this slot on wait again; they begin anew."""
        for index in reversed(self._active[first:]):
            self._forget(index)
            self._queue.append(index)
        del self._active[first:], self._lengths[first:]
        if not self._active:
            self._cache = None


def _fits(allocate: Callable[[], None]) -> bool:
    """Call a function; whether memory sufficed."""
    try:
        allocate()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True
