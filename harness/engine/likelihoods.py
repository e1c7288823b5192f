"""What may stand as the answer to a request for likelihoods: never a score that was not computed."""

from __future__ import annotations

import math

from harness.cases import Request, Response
from harness.protocols import Backend, Checkpoint

__all__ = ["likelihood_refusal", "verified"]


def likelihood_refusal(checkpoint: Checkpoint, backend: Backend, request: Request) -> Response | None:
    """Return the error that answers a request which a backend cannot answer, or None.

    A backend that computes likelihoods says so (`GivesLikelihoods`). Recorded outputs may answer with text:
    the choice that was written.
    """
    # By getattr: it is asked for every request, and isinstance with a protocol takes a hundred times as long.
    if not request.continuations or checkpoint.keyed_by_case or getattr(backend, "LIKELIHOODS", False):
        return None
    detail = (
        f"backend {checkpoint.backend} cannot give likelihoods, which choices and perplexity need: "
        "use a local checkpoint, or ask for the letter of a choice in the prompt"
    )
    return Response("", "error", detail=detail)


def verified(checkpoint: Checkpoint, request: Request, response: Response) -> Response:
    """Return a response as it is, or an error where its likelihoods are not what was asked for."""
    if not request.continuations or response.failed or response.finish_reason == "context_overflow":
        return response
    found, wanted = len(response.likelihoods), len(request.continuations)
    if checkpoint.keyed_by_case and not found:
        return response
    if found != wanted:
        return Response(
            "", "error", detail=f"backend {checkpoint.backend} gave {found} likelihoods for {wanted} texts"
        )
    for place, likelihood in enumerate(response.likelihoods):
        if not (math.isfinite(likelihood.logprob) and likelihood.logprob <= 0.0 and likelihood.tokens >= 1):
            detail = f"backend {checkpoint.backend} gave {likelihood} for text {place}: that is no likelihood"
            return Response("", "error", detail=detail)
    return response
