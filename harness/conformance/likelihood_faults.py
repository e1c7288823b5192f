"""What is wrong with likelihoods, where a backend says that it gives them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.cases import Request, Response
from harness.conformance.answer_faults import answers_of, response_faults
from harness.conformance.trial import Trial
from harness.protocols import GivesLikelihoods

__all__ = ["faults_in_likelihoods"]

_SAME_NATS = 1e-3
"""Log-likelihoods that differ by less are the same ones, computed in another batch."""


def faults_in_likelihoods(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with likelihoods, where the backend says that it gives them."""
    with trial.backend() as backend:
        if not (isinstance(backend, GivesLikelihoods) and backend.LIKELIHOODS):
            return
        checkpoint, requests = trial.resolve(backend), list(trial.likelihoods)
        together, faults = answers_of(backend, checkpoint, requests)
        yield from faults
        for place, response in sorted(together.items()):
            where, request = f"likelihoods {place}", requests[place]
            faults = list(response_faults(request, response)) or list(_likelihood_faults(request, response))
            yield from (f"{where}: {fault}" for fault in faults)
            alone, _ = answers_of(backend, checkpoint, [request])
            pairs = zip(response.likelihoods, alone[0].likelihoods if 0 in alone else (), strict=False)
            if any(abs(one.logprob - other.logprob) > _SAME_NATS for one, other in pairs):
                yield f"{where}: change with the questions beside them"


def _likelihood_faults(request: Request, response: Response) -> Iterator[str]:
    texts = [continuation.text for continuation in request.continuations]
    if len(response.likelihoods) != len(texts):
        yield f"{len(response.likelihoods)}, for {len(texts)} texts"
        return
    for text, likelihood in zip(texts, response.likelihoods, strict=True):
        if not (math.isfinite(likelihood.logprob) and likelihood.logprob <= 0 and likelihood.tokens >= 1):
            yield f"{text!r} has {likelihood}: a log-likelihood in nats is at most 0, of one token or more"
    best = max(range(len(texts)), key=lambda place: response.likelihoods[place].logprob)
    if response.text != texts[best]:
        yield f"the text is {response.text!r}, not {texts[best]!r}, which is the most likely"
