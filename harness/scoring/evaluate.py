"""Score a response with all the checks of its case."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections import deque

from harness.cases import Case, Outcome, Response, Score
from harness.errors import InferenceError, ScoringError
from harness.scoring.registry import Check, compile_checks
from harness.scoring.text.thought import answer_of

__all__ = ["CheckFailed", "InvalidOutput", "check", "score", "take_failed_checks"]

_failed_checks: deque[Score] = deque(maxlen=16)
"""Scores with which `check` raised last: of the process, since a test may check in threads."""


class CheckFailed(AssertionError):  # noqa: N818  (reads as pytest's own `Failed` does)
    """A response does not satisfy its case's checks: outcome *missed*.

    Attributes:
        score: The whole score.
    """

    def __init__(self, score: Score) -> None:
        self.score = score
        super().__init__(score.explanation or str(score.outcome))


class InvalidOutput(CheckFailed):
    """There is nothing to score in a response: outcome *invalid*."""


def check(case: Case, response: Response) -> Score:
    """Assert that a response satisfies every check of its case; return the score when it does.

    Raises:
        CheckFailed: A check is missed. `.score` has the details.
        InvalidOutput: The response is empty, cut off or not parseable (a `CheckFailed` too).
        InferenceError: The request got no answer; nothing is known about the model.
        ScoringError: A check could not score.
        ConfigurationError: The case's checks are wrong.
    """
    __tracebackhide__ = True
    result = score(case, response)
    if result.outcome is Outcome.PASSED:
        return result
    _failed_checks.append(result)
    raise (InvalidOutput if result.outcome is Outcome.INVALID else CheckFailed)(result)


def take_failed_checks() -> tuple[Score, ...]:
    """Return the scores with which `check` raised since the last call, at most 16, in whichever thread.

    What a pool or an `except` swallows is known by it.
    """
    taken = tuple(_failed_checks)
    _failed_checks.clear()
    return taken


def score(case: Case, response: Response) -> Score:
    """Score a response with all the checks of its case.

    It passes when every check passes, and its value is the lowest of theirs. Otherwise it is *invalid* if
    every check that failed says so, and *missed* if one says that the answer is wrong. An empty answer is
    invalid unless a check allows it, and so is a prompt that did not fit the context, or an answer with a
    function call that nobody can read. An answer cut off at
    max_tokens is judged as it is: it passes if it already satisfies the checks. What a reasoning model thinks
    before its answer (`<think>…</think>`) is no part of it.

    Raises:
        InferenceError: The request got no answer; nothing is known about the model.
        ScoringError: A check could not score, or there is nothing to check.
        ConfigurationError: The case's checks are wrong.
    """
    if response.failed:
        raise InferenceError(response.detail or "the request got no answer")
    if (unusable := response.unusable) is not None:
        return Score.invalid(unusable)
    checks = compile_checks(case)
    if not checks:
        raise ScoringError(
            f"case {case.id!r} has no checks and no target: add one, or use record_score in the suite"
        )
    answer = answer_of(response)
    why = None
    if answer != response.text:
        cut = "it was cut off" if response.truncated else response.detail
        why = f"a thought without an answer{'' if cut is None else f': {cut}'}"
        response = dataclasses.replace(response, text=answer)
    if _is_empty(response) and not any(check.allows_empty(response) for check in checks):
        return Score.invalid(why or _why_empty(response))
    scores = [_run(check, case, response) for check in checks]
    if len(scores) == 1 and not _failed(scores[0]):
        return scores[0]
    return _combine(scores, checks, response)


def _run(check: Check, case: Case, response: Response) -> Score:
    """Run one check; whatever breaks inside it is an error, never a score."""
    try:
        result: object = check.scorer(case, response)
    except ScoringError as problem:
        raise ScoringError(f"{check.type}: {problem}") from problem
    except Exception as problem:  # a third party's check: what it raises says nothing about the model
        raise ScoringError(f"{check.type} raised {type(problem).__name__}: {problem}") from problem
    if not isinstance(result, Score):
        raise ScoringError(f"{check.type} returned {type(result).__name__}, not a Score")
    return result


def _combine(scores: list[Score], checks: tuple[Check, ...], response: Response) -> Score:
    answer = next((score.answer for score in scores if score.answer is not None), None)
    failed = [(check, score) for check, score in zip(checks, scores, strict=True) if _failed(score)]
    if not failed:
        explanations = [score.explanation for score in scores if score.explanation]
        value = min(score.value for score in scores)
        return Score(value, Outcome.PASSED, answer, "; ".join(explanations) or None)
    explanation = "; ".join(f"{check.type}: {score.explanation or score.outcome}" for check, score in failed)
    if all(score.outcome is Outcome.INVALID for _, score in failed):
        return Score.invalid(explanation, answer)
    if response.truncated and "cut off" not in explanation:
        explanation += " (the answer was cut off at max_tokens)"
    return Score(min(score.value for _, score in failed), Outcome.MISSED, answer, explanation)


def _failed(score: Score) -> bool:
    return score.outcome is not Outcome.PASSED


def _is_empty(response: Response) -> bool:
    """Whether nothing in the answer can be seen: blanks, control and zero-width characters only."""
    if response.tool_calls or response.text[:1].isalnum():
        return False
    return all(unicodedata.category(character)[0] in "ZC" for character in response.text)


def _why_empty(response: Response) -> str:
    if response.finish_reason == "content_filter":
        return "no answer: the provider's content filter withheld it"
    if response.text:
        return "the answer is blank"
    if response.detail:
        return response.detail
    if response.completion_tokens:
        return f"empty answer ({response.completion_tokens} tokens, all of them special)"
    return "empty answer"
