"""Answer requests with a model in memory: render, decode as the model allows, and say what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.cases import Request, Response
from harness.errors import CheckpointError
from harness.inference.alone import decode_alone
from harness.inference.answer_text import AnswerText
from harness.inference.cascade import decode_cascade
from harness.inference.company import continues_in_company
from harness.inference.lengths import context_window, steady_length
from harness.inference.memory import Limits
from harness.inference.padded import decode_padded
from harness.inference.prompts import encode, pad_token, render
from harness.inference.rows import Decoded, Row, row_seed
from harness.scoring.text.thought import ends_in_thought, without_thought

__all__ = ["generate"]


def generate(
    model: Any, tokenizer: Any, requests: Sequence[Request], *, limits: Limits, cascade: bool
) -> Iterator[tuple[int, Response]]:
    """Yield (index, response) for every request, as rows end.

    A prompt that does not fit the context window is answered `context_overflow` with both lengths, never
    cut. Running out of memory costs time, never an answer that is there already.

    Args:
        model: A causal language model in evaluation mode, its adapter already chosen.
        tokenizer: Its tokenizer.
        requests: What to answer.
        limits: How much at a time.
        cascade: Whether to share prefixes (`supports_layouts` holds). Otherwise rows stand side by side,
            padded on the left, where that changes nothing for any of them, and are alone where it does.

    Raises:
        CheckpointError: Tokenizer and model do not belong together, or the chat template fails.
    """
    rows, prompts, early = _prepare(model, tokenizer, requests)
    yield from early
    eos_ids = _eos_ids(model, tokenizer)
    answers = AnswerText(tokenizer)
    if cascade:
        decoding = decode_cascade(model, tokenizer, rows, eos_ids=eos_ids, limits=limits)
    else:
        decoding = _decode_own(model, tokenizer, rows, eos_ids=eos_ids, limits=limits)
    for index, result in decoding:
        if result.finish_reason == "error":
            need = f"prompt of {len(rows[index].prompt)} tokens, at most {rows[index].max_tokens} more"
            yield index, Response("", "error", detail=f"out of memory at batch size 1 ({need})")
            continue
        text = answers.decode(result.tokens)
        yield (
            index,
            Response(
                _before_stop(text, rows[index].stop, opened=rows[index].opened),
                result.finish_reason,
                prompt=prompts[index],
                prompt_tokens=len(rows[index].prompt),
                completion_tokens=len(result.tokens),
                latency_ms=result.seconds * 1000,
                detail=_cut_by_window(requests[index], rows[index], result.finish_reason),
            ),
        )


def _decode_own(
    model: Any, tokenizer: Any, rows: Mapping[int, Row], *, eos_ids: frozenset[int], limits: Limits
) -> Iterator[tuple[int, Decoded]]:
    """Decode with the model's own attention: in company what company does not change, and the rest alone."""
    pad_id = pad_token(tokenizer, sorted(eos_ids))
    steady = steady_length(model)
    together = {
        index: row
        for index, row in rows.items()
        if steady is None or len(row.prompt) + row.max_tokens <= steady
    }
    if together and not continues_in_company(model):
        together = {}
    yield from decode_padded(model, tokenizer, together, eos_ids=eos_ids, pad_id=pad_id, limits=limits)
    alone = {index: row for index, row in rows.items() if index not in together}
    yield from decode_alone(model, tokenizer, alone, eos_ids=eos_ids, pad_id=pad_id)


def _cut_by_window(request: Request, row: Row, finish_reason: str) -> str | None:
    """Say that an answer went on to the end of the context window, where that came before its limit."""
    if finish_reason != "length" or row.max_tokens == request.sampling.max_tokens:
        return None
    return (
        f"prompt and answer fill the context window of {len(row.prompt) + row.max_tokens}: "
        f"the answer was cut after {row.max_tokens} of at most {request.sampling.max_tokens} tokens"
    )


def _prepare(
    model: Any, tokenizer: Any, requests: Sequence[Request]
) -> tuple[dict[int, Row], list[str], list[tuple[int, Response]]]:
    """Render and tokenise: rows to decode by index, all prompts, and what is answered already."""
    window = context_window(model)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    prompts = [render(tokenizer, request) for request in requests]
    templated = bool(getattr(tokenizer, "chat_template", None))
    rows: dict[int, Row] = {}
    early: list[tuple[int, Response]] = []
    for index, request in enumerate(requests):
        ids = encode(tokenizer, prompts[index], templated=templated and not request.raw)
        if not ids:
            early.append((index, Response("", "error", detail=_EMPTY, prompt=prompts[index])))
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
            overflow = Response(
                "", "context_overflow", detail=detail, prompt=prompts[index], prompt_tokens=len(ids)
            )
            early.append((index, overflow))
            continue
        rows[index] = Row(
            ids,
            min(sampling.max_tokens, room),
            sampling.temperature,
            sampling.top_p,
            tuple(filter(None, sampling.stop)),
            row_seed(request),
            ends_in_thought(prompts[index]),
        )
    return rows, prompts, early


_EMPTY = (
    "the prompt is empty: without a chat template or a BOS token there is nothing that the model could "
    "continue; give the case an input, or the tokenizer a bos_token"
)


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every id that ends an answer, as model, generation config and tokenizer say it."""
    found: set[int] = set()
    for owner in (model.config, getattr(model, "generation_config", None), tokenizer):
        value = getattr(owner, "eos_token_id", None)
        found.update(value if isinstance(value, (list, tuple)) else [] if value is None else [value])
    return frozenset(int(token) for token in found)


def _before_stop(text: str, stops: Sequence[str], *, opened: bool) -> str:
    answer = without_thought(text, opened=opened)
    start = len(text) - len(answer) if text.endswith(answer) else 0
    ends = [position for position in (text.find(stop, start) for stop in stops) if position >= 0]
    return text[: min(ends)] if ends else text
