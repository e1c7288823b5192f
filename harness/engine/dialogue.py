"""What a case asks next: its first prompt, then each further user turn after the answer before it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Message, Request, Response, Sampling

__all__ = ["next_request"]


def next_request(case: Case, sampling: Sampling, sample: int, answers: Sequence[Response]) -> Request | None:
    """Return the request that follows these answers, or None when the case has all it asked for.

    A turn without a usable answer ends the dialogue: the later turns would be about nothing.
    """
    if case.continuations:  # one question, whose answer does not depend on how answers are drawn
        return None if answers else _likelihood_request(case)
    turns = list(case.turns)
    opening = list(case.messages)
    if turns and (not opening or opening[-1].role != "user"):
        opening.append(Message("user", turns.pop(0)))
    if not answers:
        messages = opening
    else:
        latest = answers[-1]
        if len(answers) > len(turns) or latest.failed or latest.unusable is not None:
            return None
        messages = list(opening)
        for answer, turn in zip(answers, turns, strict=False):
            messages += [
                Message("assistant", answer.text, tool_calls=answer.tool_calls),
                Message("user", turn),
            ]
    return Request(tuple(messages), sampling, sample, case.tools, case.id, raw=case.raw)


def _likelihood_request(case: Case) -> Request:
    return Request(case.messages, case_id=case.id, continuations=case.continuations, raw=case.raw)
