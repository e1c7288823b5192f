"""Rows side by side, with the model's own attention: padded on the left to be continued, or right to be read.

Which models and rows this changes nothing for is told by `company` and `lengths`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.inference.attention import causal_lm
from harness.inference.memory import Limits, is_out_of_memory, release
from harness.inference.rows import Decoded, Row
from harness.inference.stop_strings import StopFinder
from harness.inference.token_choice import TokenChooser
from harness.upstream.transformers_internals import can_drop_rows, drop_rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PaddedBatch", "decode_padded", "read_padded"]


def decode_padded(
    model: Any,
    tokenizer: Any,
    rows: Mapping[int, Row],
    *,
    eos_ids: frozenset[int],
    pad_id: int,
    limits: Limits,
) -> Iterator[tuple[int, Decoded]]:
    """Continue every row until its end token, a stop string or its token limit, yielding batch by batch.

    When memory runs out, batches are halved from then on; what has ended stays so. A row that does not fit
    alone ends with `error`.

    Args:
        model: A causal language model in evaluation mode.
        tokenizer: Decodes what is searched for stop strings.
        rows: What to continue, by index.
        eos_ids: Token ids that end a row; not part of the answer.
        pad_id: Id for the left padding; masked out.
        limits: How much at a time.
    """
    stops = StopFinder(tokenizer)
    queue = sorted(rows, key=lambda index: len(rows[index].prompt) + rows[index].max_tokens)
    size = limits.slots if can_drop_rows() else 1  # rows that end must leave those that go on
    while queue:
        longest = len(rows[queue[-1]].prompt) + rows[queue[-1]].max_tokens
        room = size if limits.tokens is None else max(limits.tokens // longest, 1)
        batch = queue[-min(size, room) :]
        started = time.perf_counter()
        try:
            decoded = _decode_batch(
                model, stops, [rows[index] for index in batch], eos_ids=eos_ids, pad_id=pad_id
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            decoded = None
        if decoded is None:  # outside of the handler: the error holds on to tensors
            release(model.device)
            size = max(len(batch) // 2, 1)
            if len(batch) == 1:
                queue.pop()
                yield batch[0], Decoded((), "error")
            continue
        del queue[-len(batch) :]
        elapsed = time.perf_counter() - started
        for index, (tokens, reason) in zip(batch, decoded, strict=True):
            yield index, Decoded(tokens, reason, elapsed)


def _decode_batch(
    model: Any, stops: StopFinder, rows: Sequence[Row], *, eos_ids: frozenset[int], pad_id: int
) -> list[tuple[tuple[int, ...], str]]:
    """Return the new tokens of each row, and why it ended."""
    import torch

    chooser = TokenChooser(dict(enumerate(rows)))
    tokens: list[list[int]] = [[] for _ in rows]
    reasons = ["length"] * len(rows)
    active = list(range(len(rows)))
    with torch.inference_mode():
        batch = PaddedBatch(model, [row.prompt for row in rows], pad_id=pad_id)
        while active:
            written = [len(tokens[index]) for index in active]
            chosen = chooser.choose(batch.logits(), active, written)
            keep: list[int] = []
            for slot, (index, token) in enumerate(zip(active, chosen, strict=True)):
                if token in eos_ids:
                    reasons[index] = "stop"
                    continue
                tokens[index].append(token)
                if rows[index].stop and stops.completed(
                    tokens[index], rows[index].stop, opened=rows[index].opened
                ):
                    reasons[index] = "stop"
                elif len(tokens[index]) < rows[index].max_tokens:
                    keep.append(slot)
            if len(keep) < len(active):
                active = [active[slot] for slot in keep]
                if not active:
                    break
                batch.keep(keep)
                chosen = [chosen[slot] for slot in keep]
            batch.extend(chosen)
    return [(tuple(ids), reason) for ids, reason in zip(tokens, reasons, strict=True)]


class PaddedBatch:
    """Rows side by side, padded on the left, and what the model keeps of them.

    Args:
        model: A causal language model in evaluation mode.
        prompts: Token ids of each row.
        pad_id: Id for the padding; masked out.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], *, pad_id: int) -> None:
        import torch

        longest = max(map(len, prompts))
        input_ids = torch.full((len(prompts), longest), pad_id, dtype=torch.long)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for index, prompt in enumerate(prompts):
            input_ids[index, longest - len(prompt) :] = torch.tensor(list(prompt), dtype=torch.long)
            mask[index, longest - len(prompt) :] = 1
        self._model, self._takes = model, _takes(model)
        self._input_ids, self._mask = input_ids.to(model.device), mask.to(model.device)
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._cache: Any = None

    def logits(self) -> Tensor:
        """Read what is new; return the logits after each row's last token, shape (rows, vocabulary)."""
        arguments = {"position_ids": self._positions, "logits_to_keep": 1}
        states = "past_key_values" not in self._takes  # instead of keys: padding is not in them, once read
        name = "cache_params" if states else "past_key_values"
        output = self._model(
            input_ids=self._input_ids,
            attention_mask=None if states and self._cache is not None else self._mask,
            use_cache=True,
            **{name: self._cache},
            **{key: value for key, value in arguments.items() if key in self._takes},
        )
        self._cache = getattr(output, name)
        logits: Tensor = output.logits[:, -1]
        return logits

    def keep(self, slots: Sequence[int]) -> None:
        """Drop all rows but these."""
        import torch

        kept = torch.tensor(slots, dtype=torch.long, device=self._mask.device)
        drop_rows(self._cache, kept)
        self._mask, self._positions = self._mask[kept], self._positions[kept]

    def extend(self, tokens: Sequence[int]) -> None:
        """Put the next token to each row."""
        import torch

        self._input_ids = torch.tensor(tokens, dtype=torch.long, device=self._mask.device).unsqueeze(1)
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        self._positions = self._positions[:, -1:] + 1


def read_padded(model: Any, rows: Sequence[Sequence[int]], *, first: int) -> Tensor:
    """Read whole rows, padded on the right.

    Args:
        model: A causal language model in evaluation mode.
        rows: Token ids of each.
        first: Place in the rows from which logits are wanted.

    Returns:
        Logits, shape (rows, tokens of the longest − first, vocabulary); after a row's end they mean nothing.
    """
    import torch

    longest = max(map(len, rows))
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, ids in enumerate(rows):
        tokens[row, : len(ids)] = torch.tensor(list(ids))
        mask[row, : len(ids)] = 1
    takes = "logits_to_keep" in _takes(model)
    logits: Tensor = model(
        input_ids=tokens.to(model.device),
        attention_mask=mask.to(model.device),
        use_cache=False,
        **({"logits_to_keep": longest - first} if takes else {}),
    ).logits
    return logits if takes else logits[:, first:]


def _takes(model: Any) -> Collection[str]:
    """Return the names of the arguments that a model's `forward` takes."""
    return inspect.signature(causal_lm(model).forward).parameters.keys()
