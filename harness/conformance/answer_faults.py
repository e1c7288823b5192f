"""What is wrong with answers: their number, their form, and what their company does to them."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence

from harness.cases import Request, Response
from harness.conformance.trial import Trial
from harness.protocols import Backend, Checkpoint, Replicates

__all__ = ["answers_of", "faults_in_answers", "response_faults"]

_REASONS = ("stop", "length", "tool_calls", "content_filter", "context_overflow", "error")


def faults_in_answers(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with answers: their number, their form, and what their company does to them."""
    requests, threads = list(trial.requests), set(threading.enumerate())
    with trial.backend() as backend:
        checkpoint = trial.resolve(backend)
        together, faults = answers_of(backend, checkpoint, requests)
        yield from faults
        for place, response in sorted(together.items()):
            for fault in response_faults(requests[place], response):
                yield f"question {place}: {fault}"
        if list(backend.generate(checkpoint, [])):
            yield "it answers, and nothing was asked"
        twice, faults = answers_of(backend, checkpoint, [requests[0], requests[0]])
        yield from (f"the same question twice: {fault}" for fault in faults)
        stream = backend.generate(checkpoint, requests)
        next(stream)
        del stream  # as an interrupted session drops it
        again, faults = answers_of(backend, checkpoint, requests[::-1])
        yield from (f"after an interruption: {fault}" for fault in faults)
        if trial.unanswerable is not None:
            yield from _faults_of_unanswerable(backend, checkpoint, requests[0], trial.unanswerable)
        if trial.resolve(backend) != checkpoint:
            yield "resolve returns another checkpoint after the answers: the session would not accept them"
        if trial.repeats:
            alone, _ = answers_of(backend, checkpoint, requests[:1])
            texts = {place: response.text for place, response in together.items()}
            if {len(requests) - 1 - place: response.text for place, response in again.items()} != texts:
                yield "answers change with the order of the questions"
            if {response.text for response in (*alone.values(), *twice.values())} != {texts.get(0)}:
                yield "an answer changes with the questions beside it"
            if isinstance(backend, Replicates) and backend.REPLICATES:
                with trial.backend() as replica:
                    theirs, _ = answers_of(replica, trial.resolve(replica), requests)
                if {place: response.text for place, response in theirs.items()} != texts:
                    yield "it REPLICATES, and a second instance answers otherwise"
    if left := [thread.name for thread in set(threading.enumerate()) - threads if not thread.daemon]:
        yield f"close leaves threads behind: {', '.join(left)}"


def answers_of(
    backend: Backend, checkpoint: Checkpoint, requests: Sequence[Request]
) -> tuple[dict[int, Response], list[str]]:
    """Return the answers by the index of their request, and what is wrong with the indexes."""
    answers: dict[int, Response] = {}
    faults = []
    for index, response in backend.generate(checkpoint, requests):
        if index in answers:
            faults.append(f"request {index} is answered twice")
        if 0 <= index < len(requests):
            answers[index] = response
        else:
            faults.append(f"request {index} is answered, of {len(requests)}")
    if silent := sorted(set(range(len(requests))) - set(answers)):
        faults.append(f"no answer to request {', '.join(map(str, silent))}, of {len(requests)}")
    return answers, faults


def response_faults(request: Request, response: object) -> Iterator[str]:
    """Yield what is wrong with a response to a question that can be answered."""
    if not isinstance(response, Response):
        yield f"the answer is a {type(response).__name__}, not a harness.Response"
        return
    if response.finish_reason not in _REASONS:
        yield f"the finish reason is {response.finish_reason!r}, none of {', '.join(_REASONS)}"
    if response.failed or response.finish_reason == "context_overflow":
        yield f"no answer: {response.detail or 'and no detail says why'}"
    counts = (response.prompt_tokens, response.completion_tokens, response.latency_ms)
    if any(count is not None and not (math.isfinite(count) and count >= 0) for count in counts):
        yield f"tokens of the prompt and the answer, and milliseconds, are {counts}: below 0, or no number"
    if not request.continuations and (response.completion_tokens or 0) > request.sampling.max_tokens:
        yield f"{response.completion_tokens} tokens, of {request.sampling.max_tokens} that were allowed"
    if not _survives_storage(response):
        yield "it does not come back from the cache as it was: a member is not of its declared type"
    if not request.continuations and response.likelihoods:
        yield "it has likelihoods that nobody asked for"


def _survives_storage(response: Response) -> bool:
    try:
        stored = json.loads(json.dumps(response.as_dict()))
    except (TypeError, ValueError):
        return False
    return Response.from_dict(stored) == response


def _faults_of_unanswerable(
    backend: Backend, checkpoint: Checkpoint, request: Request, unanswerable: Request
) -> Iterator[str]:
    try:
        answers, faults = answers_of(backend, checkpoint, [request, unanswerable, request])
    except Exception as problem:
        yield f"generate raises {type(problem).__name__} for a single request, and the others get no answer"
        return
    yield from faults
    refused = answers.get(1)
    if refused is not None and not (refused.failed or refused.finish_reason == "context_overflow"):
        yield f"a request that cannot be answered ends in {refused.finish_reason!r}, not in an error"
    elif refused is not None and not refused.detail:
        yield "a request that cannot be answered does not say why in `detail`"
    if any(answers[place].failed for place in (0, 2) if place in answers):
        yield "a request that cannot be answered takes others with it"
