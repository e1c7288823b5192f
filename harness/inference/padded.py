"""Decoding for models whose attention must stay their own: left-padded batches, each row ending by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.inference.memory import Limits, is_out_of_memory, release
from harness.inference.rows import Decoded, Row
from harness.inference.stop_strings import StopFinder
from harness.inference.token_choice import TokenChooser
from harness.upstream.transformers_internals import can_drop_rows, drop_rows

__all__ = ["decode_padded"]


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

    device = model.device
    longest = max(len(row.prompt) for row in rows)
    input_ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        input_ids[index, longest - len(row.prompt) :] = torch.tensor(row.prompt, dtype=torch.long)
        mask[index, longest - len(row.prompt) :] = 1
    input_ids, mask = input_ids.to(device), mask.to(device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    chooser = TokenChooser(dict(enumerate(rows)))

    tokens: list[list[int]] = [[] for _ in rows]
    reasons = ["length"] * len(rows)
    active = list(range(len(rows)))
    cache = None
    with torch.inference_mode():
        while active:
            output = model(
                input_ids=input_ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            written = [len(tokens[index]) for index in active]
            chosen = chooser.choose(output.logits[:, -1], active, written)
            keep: list[int] = []
            for slot, (index, token) in enumerate(zip(active, chosen, strict=True)):
                if token in eos_ids:
                    reasons[index] = "stop"
                    continue
                tokens[index].append(token)
                if rows[index].stop and stops.completed(tokens[index], rows[index].stop):
                    reasons[index] = "stop"
                elif len(tokens[index]) < rows[index].max_tokens:
                    keep.append(slot)
            if len(keep) < len(active):
                kept = torch.tensor(keep, dtype=torch.long, device=device)
                active = [active[slot] for slot in keep]
                if not active:
                    break
                drop_rows(cache, kept)
                mask, positions = mask[kept], positions[kept]
                chosen = [chosen[slot] for slot in keep]
            input_ids = torch.tensor(chosen, dtype=torch.long, device=device).unsqueeze(1)
            mask = torch.cat([mask, mask.new_ones((len(active), 1))], dim=1)
            positions = positions[:, -1:] + 1
    return [(tuple(ids), reason) for ids, reason in zip(tokens, reasons, strict=True)]
