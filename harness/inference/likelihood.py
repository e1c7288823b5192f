"""Answer requests for likelihoods: choices, last words, whole documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Request, Response
from harness.errors import CheckpointError, InferenceError
from harness.inference.attention import causal_lm
from harness.inference.company import is_causal
from harness.inference.continuations import Encoded, Wanted, encode_continuations, rolling_windows
from harness.inference.lengths import context_window
from harness.inference.prompts import render
from harness.inference.token_likelihood import TokenLikelihood, score_passages
from harness.inference.token_tree import Passage
from harness.likelihood import Likelihood

__all__ = ["score"]


def score(
    model: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    *,
    budget: int | None = None,
    packed: bool | None = None,
) -> Iterator[tuple[int, Response]]:
    """Yield (index, response) for every request, as its last continuation is known.

    A response has one likelihood for each continuation, and the most likely one's text; its prompt is the
    request's own. A prompt that does not fit the context window with its continuation is answered
    `context_overflow` with both lengths, never cut; a text without a prompt is read in windows instead.

    Args:
        model: A causal language model in evaluation mode, its adapter already chosen.
        tokenizer: Its tokenizer.
        requests: What is asked, each with continuations.
        budget: Most tokens in one pass of the model; by default chosen from free memory.
        packed: Whether shared beginnings are read once; by default where the model allows it.

    Raises:
        CheckpointError: Tokenizer and model do not belong together, the chat template fails, or the model
            reads later tokens too.
    """
    if requests and not packed and not is_causal(model):
        raise CheckpointError(
            f"{type(causal_lm(model)).__name__}: what it makes of a token changes with the tokens after it, "
            "so a text has no likelihood token by token; it is no causal language model, or its config.json "
            'lacks "is_decoder": true'
        )
    window = context_window(model)
    questions = _questions(tokenizer, requests)
    _require_fit(model, questions)
    passages: list[Passage] = []
    owners: list[tuple[int, int]] = []
    for index, question in enumerate(questions):
        refusal = question.refusal(window)
        if refusal is not None:
            yield index, refusal
            continue
        for place, encoded in enumerate(question.encoded):
            parts = _passages(encoded, window, rolls=question.rolls[place])
            passages += parts
            owners += [(index, place)] * len(parts)
            question.missing += len(parts)
    for number, result in score_passages(model, passages, budget=budget, packed=packed):
        index, place = owners[number]
        response = questions[index].take(place, result)
        if response is not None:
            yield index, response


@dataclass
class _Question:
    """One request: what it asks for as tokens, and what is known so far."""

    request: Request
    prompt: str
    encoded: list[Encoded]
    rolls: list[bool]
    missing: int = 0

    def __post_init__(self) -> None:
        self._logprob = [0.0] * len(self.encoded)
        self._greedy = [True] * len(self.encoded)
        self._failure: str | None = None

    def refusal(self, window: int | None) -> Response | None:
        """Return the answer to a request that cannot be asked, or None."""
        for place, encoded in enumerate(self.encoded):
            named = f"continuation {place} ({self.request.continuations[place].text[:40]!r})"
            if encoded.problem is not None:
                return Response("", "error", detail=f"{named}: {encoded.problem}", prompt=self.prompt)
            prompt, text = len(encoded.prompt), len(encoded.text)
            if window is not None and prompt + text - 1 > window and not self.rolls[place]:
                detail = (
                    f"prompt of {prompt} tokens and {named} of {text} tokens do not fit "
                    f"the context window of {window}"
                )
                return Response(
                    "", "context_overflow", detail=detail, prompt=self.prompt, prompt_tokens=prompt
                )
        return None

    def take(self, place: int, result: TokenLikelihood | InferenceError) -> Response | None:
        """Note what was found for a part of a continuation; return the answer when it is the last part."""
        self.missing -= 1
        if isinstance(result, InferenceError):
            text = self.request.continuations[place].text[:40]
            self._failure = f"continuation {place} ({text!r}): {result}"
        else:
            self._logprob[place] += result.logprob
            self._greedy[place] &= result.greedy
            seconds = result.seconds
        if self.missing:
            return None
        if self._failure is not None:
            return Response("", "error", detail=self._failure, prompt=self.prompt)
        likelihoods = tuple(
            Likelihood(logprob, len(encoded.text), greedy)
            for logprob, encoded, greedy in zip(self._logprob, self.encoded, self._greedy, strict=True)
        )
        best = max(range(len(likelihoods)), key=self._logprob.__getitem__)
        return Response(
            self.request.continuations[best].text,
            prompt=self.prompt,
            prompt_tokens=len(self.encoded[best].prompt),
            completion_tokens=len(self.encoded[best].text),
            latency_ms=seconds * 1000,
            likelihoods=likelihoods,
        )


def _questions(tokenizer: Any, requests: Sequence[Request]) -> list[_Question]:
    """Render and tokenise all requests at once."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    prompts = [render(tokenizer, request) if request.messages else "" for request in requests]
    wanted = [
        Wanted(
            prompt if continuation.prompt is None else continuation.prompt,
            continuation.text,
            templated=has_template and not request.raw and continuation.prompt is None,
        )
        for request, prompt in zip(requests, prompts, strict=True)
        for continuation in request.continuations
    ]
    encoded = iter(encode_continuations(tokenizer, wanted))
    rolls = iter(not one.prompt for one in wanted)
    return [
        _Question(
            request,
            prompt,
            [next(encoded) for _ in request.continuations],
            [next(rolls) for _ in request.continuations],
        )
        for request, prompt in zip(requests, prompts, strict=True)
    ]


def _require_fit(model: Any, questions: Sequence[_Question]) -> None:
    """Refuse a tokenizer that makes ids which the model does not know."""
    vocabulary = causal_lm(model).get_input_embeddings().weight.shape[0]
    largest = max(
        (
            max(ids)
            for question in questions
            for encoded in question.encoded
            for ids in (encoded.prompt, encoded.text)
            if ids
        ),
        default=0,
    )
    if largest >= vocabulary:
        raise CheckpointError(
            f"the tokenizer makes token id {largest}, the model has {vocabulary} embeddings: "
            "they do not belong together"
        )


def _passages(encoded: Encoded, window: int | None, *, rolls: bool) -> list[Passage]:
    tokens = encoded.prompt + encoded.text
    if rolls and window is not None and len(tokens) - 1 > window:
        return [Passage(part, asked) for part, asked in rolling_windows(tokens, window)]
    return [Passage(tokens, len(encoded.prompt))]
