"""Batched decoding with a KV cache: left-padded rows, greedy or sampled, each ending by itself.

A row's randomness comes from its own generator, so that its answer does not depend on its batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Request, canonical_json

__all__ = ["Decoded", "Row", "decode_batch", "row_seed"]


@dataclass(frozen=True)
class Row:
    """One prompt to continue.

    Attributes:
        prompt: Token ids, at least one.
        max_tokens: Most tokens to add.
        temperature: 0 for greedy.
        top_p: Nucleus mass.
        stop: Strings that end the row.
        seed: Seed of the row's own generator.
    """

    prompt: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Decoded:
    """What a row became: the new token ids, and why it ended (`stop` or `length`)."""

    tokens: tuple[int, ...]
    finish_reason: str


def row_seed(request: Request) -> int:
    """Return the seed of a request's draw, from its content, seed and sample index: never from its batch."""
    digest = hashlib.sha256(canonical_json(request.as_dict()).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def decode_batch(
    model: Any, tokenizer: Any, rows: Sequence[Row], *, eos_ids: frozenset[int], pad_id: int
) -> list[Decoded]:
    """Continue every row until its end token, a stop string or its token limit.

    Args:
        model: A causal language model in evaluation mode.
        tokenizer: Decodes the tail that is searched for stop strings.
        rows: The batch, in any order.
        eos_ids: Token ids that end a row; not part of the answer.
        pad_id: Id for the left padding; masked out.

    Returns:
        One result per row, in order.
    """
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
    draws = _draws(rows)

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
            chosen = _choose(output.logits[:, -1], [rows[index] for index in active], draws, active, tokens)
            keep: list[int] = []
            for slot, (index, token) in enumerate(zip(active, chosen, strict=True)):
                if token in eos_ids:
                    reasons[index] = "stop"
                    continue
                tokens[index].append(token)
                if rows[index].stop and _stopped(tokenizer, tokens[index], rows[index].stop):
                    reasons[index] = "stop"
                elif len(tokens[index]) < rows[index].max_tokens:
                    keep.append(slot)
            if len(keep) < len(active):
                kept = torch.tensor(keep, dtype=torch.long, device=device)
                active = [active[slot] for slot in keep]
                if not active:
                    break
                cache.batch_select_indices(kept)
                mask, positions = mask[kept], positions[kept]
                chosen = [chosen[slot] for slot in keep]
            input_ids = torch.tensor(chosen, dtype=torch.long, device=device).unsqueeze(1)
            mask = torch.cat([mask, mask.new_ones((len(active), 1))], dim=1)
            positions = positions[:, -1:] + 1
    return [Decoded(tuple(ids), reason) for ids, reason in zip(tokens, reasons, strict=True)]


def _draws(rows: Sequence[Row]) -> dict[int, Any]:
    """Return the uniform numbers in [0, 1) of each sampled row, from the row's own seed."""
    import torch

    return {
        index: torch.rand(
            row.max_tokens, generator=torch.Generator().manual_seed(row.seed), dtype=torch.float64
        )
        for index, row in enumerate(rows)
        if row.temperature > 0
    }


def _choose(
    logits: Any,
    rows: Sequence[Row],
    draws: dict[int, Any],
    active: Sequence[int],
    tokens: Sequence[list[int]],
) -> list[int]:
    """Return the next token of each active row; logits have shape (rows, vocabulary)."""
    chosen: list[int] = logits.argmax(-1).tolist()
    for slot, (row, index) in enumerate(zip(rows, active, strict=True)):
        if row.temperature > 0:
            chosen[slot] = _sample(logits[slot], row, float(draws[index][len(tokens[index])]))
    return chosen


def _sample(logits: Any, row: Row, uniform: float) -> int:
    """Draw by the inverse of the distribution function over the nucleus (Holtzman et al. 2020)."""
    import torch

    probabilities, order = torch.softmax(logits.double().cpu() / row.temperature, dim=-1).sort(
        descending=True, stable=True
    )
    cumulative = probabilities.cumsum(-1)
    inside = int((cumulative - probabilities < row.top_p).sum()) if row.top_p < 1 else len(probabilities)
    target = uniform * float(cumulative[inside - 1])
    rank = int(torch.searchsorted(cumulative[:inside], torch.tensor(target, dtype=torch.float64), right=True))
    return int(order[min(rank, inside - 1)])


def _stopped(tokenizer: Any, tokens: Sequence[int], stops: Sequence[str]) -> bool:
    """Whether the newest token completed a stop string; only a tail long enough for it is decoded."""
    tail = tokenizer.decode(tokens[-(max(map(len, stops)) + 8) :], skip_special_tokens=True)
    return any(stop in tail for stop in stops)
