"""Answer requests with a model in memory: render, sort by length, decode in batches, back off on memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from harness.cases import Request, Response
from harness.errors import CheckpointError
from harness.inference.decoding import Row, decode_batch, row_seed
from harness.inference.prompts import encode, pad_token, render

__all__ = ["generate"]


def generate(
    model: Any, tokenizer: Any, requests: Sequence[Request], *, batch_size: int
) -> Iterator[tuple[int, Response]]:
    """Yield (index, response) for every request, as batches finish.

    A prompt that does not fit the context window is answered `context_overflow` with both lengths, never
    cut. Out of memory halves the batch; what is finished stays finished.

    Args:
        model: A causal language model in evaluation mode, its adapter already chosen.
        tokenizer: Its tokenizer.
        requests: What to answer.
        batch_size: Most rows decoded together.

    Raises:
        CheckpointError: Tokenizer and model do not belong together, or the chat template fails.
    """
    rows, prompts, early = _prepare(model, tokenizer, requests)
    yield from early
    eos_ids = _eos_ids(model, tokenizer)
    pad_id = pad_token(tokenizer, sorted(eos_ids))
    queue = sorted(rows, key=lambda index: len(rows[index].prompt) + rows[index].max_tokens)
    while queue:
        batch = queue[-batch_size:]
        started = time.perf_counter()
        try:
            decoded = decode_batch(
                model, tokenizer, [rows[index] for index in batch], eos_ids=eos_ids, pad_id=pad_id
            )
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if len(batch) > 1:
                batch_size = len(batch) // 2
            else:
                queue.pop()
                yield batch[0], Response("", "error", detail="out of memory at batch size 1")
            continue
        elapsed = (time.perf_counter() - started) * 1000
        del queue[-len(batch) :]
        for index, result in zip(batch, decoded, strict=True):
            text = tokenizer.decode(
                list(result.tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            yield (
                index,
                Response(
                    _before_stop(text, rows[index].stop),
                    result.finish_reason,
                    prompt=prompts[index],
                    prompt_tokens=len(rows[index].prompt),
                    completion_tokens=len(result.tokens),
                    latency_ms=elapsed,
                ),
            )


def _prepare(
    model: Any, tokenizer: Any, requests: Sequence[Request]
) -> tuple[dict[int, Row], dict[int, str], list[tuple[int, Response]]]:
    """Render and tokenise: rows to decode and their prompts by index, and what is answered already."""
    window = getattr(model.config, "max_position_embeddings", None)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    templated = bool(getattr(tokenizer, "chat_template", None))
    rows: dict[int, Row] = {}
    prompts: dict[int, str] = {}
    early: list[tuple[int, Response]] = []
    for index, request in enumerate(requests):
        prompt = render(tokenizer, request)
        ids = encode(tokenizer, prompt, templated=templated)
        if not ids:
            early.append((index, Response("", "error", detail="the rendered prompt is empty", prompt=prompt)))
            continue
        if max(ids) >= vocabulary:
            raise CheckpointError(
                f"the tokenizer makes token id {max(ids)}, the model has {vocabulary} embeddings: "
                "they do not belong together"
            )
        sampling = request.sampling
        room = sampling.max_tokens if window is None else window - len(ids)
        if room < 1:
            detail = f"prompt of {len(ids)} tokens does not fit the context window of {window}"
            overflow = Response("", "context_overflow", detail=detail, prompt=prompt, prompt_tokens=len(ids))
            early.append((index, overflow))
            continue
        prompts[index] = prompt
        rows[index] = Row(
            ids,
            min(sampling.max_tokens, room),
            sampling.temperature,
            sampling.top_p,
            sampling.stop,
            row_seed(request),
        )
    return rows, prompts, early


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every id that ends an answer, as model, generation config and tokenizer say it."""
    found: set[int] = set()
    for owner in (model.config, getattr(model, "generation_config", None), tokenizer):
        value = getattr(owner, "eos_token_id", None)
        found.update(value if isinstance(value, (list, tuple)) else [] if value is None else [value])
    return frozenset(int(token) for token in found)


def _before_stop(text: str, stops: Sequence[str]) -> str:
    ends = [position for position in (text.find(stop) for stop in stops) if position >= 0]
    return text[: min(ends)] if ends else text


def _out_of_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
