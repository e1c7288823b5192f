"""From our requests to vLLM's prompts and parameters, and from its outputs back to responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Request, Response
from harness.likelihood import Likelihood

__all__ = ["Prompt", "answered", "prompts_of"]

_ROUNDING = 1e-3
"""How far above 0 the log-probability of a certain token may come out; more is none."""
_SEED_BITS = 63  # torch's generators take signed 64-bit seeds


@dataclass(frozen=True)
class Prompt:
    """One prompt of the engine.

    Attributes:
        request: Index of the request that it belongs to.
        tokens: Its ids.
        sampling: Arguments of `vllm.SamplingParams`.
        continuation: Index of the continuation that it asks about, for a likelihood.
        first: Index of the first token whose likelihood counts.
        prompt: The prompt as the model reads it, as text.
        prompt_tokens: Its length, without the text whose likelihood is asked.
    """

    request: int
    tokens: Sequence[int]
    sampling: Mapping[str, Any]
    continuation: int = 0
    first: int = 0
    prompt: str = ""
    prompt_tokens: int = 0


def prompts_of(
    tokenizer: Any, requests: Sequence[Request], window: int
) -> tuple[list[Prompt], dict[int, Response]]:
    """Render and tokenise requests; return the engine's prompts, and what is answered without it.

    Args:
        tokenizer: The checkpoint's.
        requests: What is asked.
        window: The engine's `max_model_len`: prompt and answer together.

    Raises:
        CheckpointError: The chat template fails.
    """
    prompts: list[Prompt] = []
    refused: dict[int, Response] = {}
    for index, request in enumerate(requests):
        found = _scored if request.continuations else _drawn
        made = found(tokenizer, index, request, window)
        if isinstance(made, Response):
            refused[index] = made
        else:
            prompts += made
    return prompts, refused


def _drawn(tokenizer: Any, index: int, request: Request, window: int) -> list[Prompt] | Response:
    from harness.inference.prompts import encode, render
    from harness.inference.rows import row_seed

    templated = bool(getattr(tokenizer, "chat_template", None)) and not request.raw
    text = render(tokenizer, request)
    tokens = encode(tokenizer, text, templated=templated)
    if not tokens:
        return Response("", "error", detail="the rendered prompt is empty", prompt=text)
    room = window - len(tokens)
    if room < 1:
        detail = f"prompt of {len(tokens)} tokens does not fit the context window of {window}"
        return Response("", "context_overflow", detail=detail, prompt=text, prompt_tokens=len(tokens))
    wanted = request.sampling
    sampling = {
        "max_tokens": min(wanted.max_tokens, room),
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "stop": list(wanted.stop) or None,
        "seed": row_seed(request) % (1 << _SEED_BITS),
    }
    return [Prompt(index, tokens, sampling, prompt=text, prompt_tokens=len(tokens))]


def _scored(tokenizer: Any, index: int, request: Request, window: int) -> list[Prompt] | Response:
    from harness.inference.continuations import Wanted, encode_continuations, rolling_windows
    from harness.inference.prompts import render

    own = render(tokenizer, request) if request.messages else ""
    templated = bool(getattr(tokenizer, "chat_template", None)) and not request.raw
    wanted = [
        Wanted(one.prompt if one.prompt is not None else own, one.text, templated and one.prompt is None)
        for one in request.continuations
    ]
    sampling = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1, "detokenize": False}
    made: list[Prompt] = []
    for place, (one, encoded) in enumerate(zip(wanted, encode_continuations(tokenizer, wanted), strict=True)):
        named = f"continuation {place} ({one.text[:40]!r})"
        if encoded.problem is not None:
            return Response("", "error", detail=f"{named}: {encoded.problem}", prompt=own)
        tokens = [*encoded.prompt, *encoded.text]
        parts = [(tokens, len(encoded.prompt))]
        if len(tokens) >= window:  # the engine wants room for one more token
            if one.prompt:
                detail = (
                    f"prompt of {len(encoded.prompt)} tokens and {named} of {len(encoded.text)} tokens do "
                    f"not fit the context window of {window}"
                )
                return Response("", "context_overflow", detail=detail, prompt=own)
            parts = [(list(part), first) for part, first in rolling_windows(tokens, window - 2)]
        made += [
            Prompt(index, part, sampling, place, first, own, len(encoded.prompt)) for part, first in parts
        ]
    return made


# --- back ----------------------------------------------------------------------------------------------


def answered(
    requests: Sequence[Request], prompts: Sequence[Prompt], outputs: Sequence[Any], latency_ms: float
) -> Iterator[tuple[int, Response]]:
    """Yield a response for each request that has prompts, from the engine's outputs in their order."""
    if len(outputs) != len(prompts):
        detail = f"vllm gave {len(outputs)} answers to {len(prompts)} prompts"
        for index in dict.fromkeys(prompt.request for prompt in prompts):
            yield index, Response("", "error", detail=detail)
        return
    groups: dict[int, list[tuple[Prompt, Any]]] = {}
    for prompt, output in zip(prompts, outputs, strict=True):
        groups.setdefault(prompt.request, []).append((prompt, output))
    for index, group in groups.items():
        request = requests[index]
        yield (
            index,
            (_scores if request.continuations else _answer)(request, group, latency_ms),
        )


def _answer(request: Request, group: Sequence[tuple[Prompt, Any]], latency_ms: float) -> Response:
    ((prompt, output),) = group
    problem = _other_prompt(prompt, output) or _unfinished(output)
    if problem is not None:
        return Response("", "error", detail=problem, prompt=prompt.prompt)
    (answer,) = output.outputs
    return Response(
        answer.text,
        answer.finish_reason,
        detail=_cut_by_window(request, prompt, answer.finish_reason),
        prompt=prompt.prompt,
        prompt_tokens=prompt.prompt_tokens,
        completion_tokens=len(answer.token_ids),
        latency_ms=latency_ms,
    )


def _other_prompt(prompt: Prompt, output: Any) -> str | None:
    """Say that an output belongs to another prompt than the one in its place."""
    if list(output.prompt_token_ids or ()) == list(prompt.tokens):
        return None
    return "vllm answered another prompt than the one that was asked"


def _unfinished(output: Any) -> str | None:
    """Say why an output holds no whole answer: `abort`, and whatever vLLM may call its endings besides."""
    if len(output.outputs) != 1:
        return f"vllm gave {len(output.outputs)} answers to one prompt"
    (answer,) = output.outputs
    if answer.finish_reason not in ("stop", "length"):
        return f"vllm ended the answer with {answer.finish_reason!r}: nobody knows whether it is whole"
    return None if isinstance(answer.text, str) else "vllm gave an answer without text"


def _cut_by_window(request: Request, prompt: Prompt, finish_reason: str) -> str | None:
    """Say that an answer went on to the end of the context window, where that came before its limit."""
    allowed = prompt.sampling["max_tokens"]
    if finish_reason != "length" or allowed == request.sampling.max_tokens:
        return None
    return (
        f"prompt and answer fill the context window of {prompt.prompt_tokens + allowed}: "
        f"the answer was cut after {allowed} of at most {request.sampling.max_tokens} tokens"
    )


def _scores(request: Request, group: Sequence[tuple[Prompt, Any]], latency_ms: float) -> Response:
    count = len(request.continuations)
    total, tokens, greedy = [0.0] * count, [0] * count, [True] * count
    for prompt, output in group:
        problem = _other_prompt(prompt, output)
        known = output.prompt_logprobs
        if problem is None and (known is None or len(known) != len(prompt.tokens)):
            problem = "vllm gave no prompt_logprobs"
        if problem is not None:
            return Response("", "error", detail=problem, prompt=prompt.prompt)
        for position in range(prompt.first, len(prompt.tokens)):
            said = (known[position] or {}).get(prompt.tokens[position])
            if said is None or not _is_logprob(said):
                detail = f"vllm gives no log-probability of token {position} of {len(prompt.tokens)}"
                return Response("", "error", detail=detail, prompt=prompt.prompt)
            total[prompt.continuation] += float(said.logprob)
            tokens[prompt.continuation] += 1
            greedy[prompt.continuation] &= said.rank == 1
    found = tuple(
        Likelihood(min(sum_, 0.0), size, most) for sum_, size, most in zip(total, tokens, greedy, strict=True)
    )
    best = max(range(count), key=total.__getitem__)
    first = group[0][0]
    return Response(
        request.continuations[best].text,
        prompt=first.prompt,
        prompt_tokens=first.prompt_tokens,
        completion_tokens=tokens[best],
        latency_ms=latency_ms,
        likelihoods=found,
    )


def _is_logprob(said: Any) -> bool:
    """Whether it has a log-probability, and the token's rank among all, which says whether it is greedy."""
    return said.logprob <= _ROUNDING and isinstance(said.rank, int) and said.rank >= 1  # NaN is not ≤
