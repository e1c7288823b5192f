"""Whether a checkpoint ever ends an answer by itself.

One whose end-of-turn token nobody knows goes on to the limit of every answer. Its scores may look right,
since many checks read the beginning; whoever serves it waits for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.case_result import CaseResult
from harness.gate.verdict import Verdict

__all__ = ["never_stops", "with_an_end"]

_FEWEST_ANSWERS = 5
_SHORTEST_LIMIT = 16
"""Tokens, or words where nobody counted tokens: an answer that is cut before may well be meant to be."""


def never_stops(results: Sequence[CaseResult]) -> bool:
    """Whether every answer ran to its limit, of enough answers that were let run."""
    answered = [result for result in results if result.finish_reasons and result.outputs]
    reasons = [reason for result in answered for reason in result.finish_reasons]
    return (
        len(reasons) >= _FEWEST_ANSWERS
        and set(reasons) == {"length"}
        and all(_length(result) >= _SHORTEST_LIMIT for result in answered)
    )


def with_an_end(
    verdict: Verdict, candidate: Sequence[CaseResult], baseline: Sequence[CaseResult] | None
) -> Verdict:
    """Return a verdict, still to be settled, that does not pass a checkpoint which never stops.

    It fails, unless its baseline does not stop either: then nobody can tell, and it is doubted.
    """
    if not never_stops(candidate):
        return verdict
    count = sum(len(result.finish_reasons) for result in candidate)
    reason = (
        f"{count} of {count} answers ran to their limit, so the checkpoint does not stop by itself: name its "
        "end-of-turn token as eos_token_id in generation_config.json, or give the golden set's sampling a "
        "stop or a larger max_tokens"
    )
    if baseline and never_stops(baseline):
        return replace(verdict, doubts=(*verdict.doubts, f"{reason}; nor does the baseline"))
    return replace(verdict, failures=(*verdict.failures, reason))


def _length(result: CaseResult) -> float:
    """Return how long a case's answers are on average: in tokens, or in words where nobody counted them."""
    if result.completion_tokens is not None:
        return result.completion_tokens / len(result.finish_reasons)
    return sum(len(text.split()) for text in result.outputs) / len(result.outputs)
