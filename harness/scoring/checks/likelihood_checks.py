"""Checks of likelihoods: which choice is the most likely one, and how likely a text is.

What is chosen is what lm-evaluation-harness would choose: the largest log-likelihood, the first one of
equals. Its `acc` is `normalize: none`, its `acc_norm` divides by characters, its `acc_bytes` by bytes of
UTF-8; the blanks before a choice are not part of its length, as lm-eval keeps them apart from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Outcome, Response, Score
from harness.errors import ScoringError
from harness.likelihood import Likelihood
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.text.normal_text import quoted

__all__ = ["choice", "default_likelihood_check", "exact_greedy", "perplexity", "target_problem"]

_LENGTHS: Mapping[str, Callable[[str, Likelihood], int]] = {
    "none": lambda text, likelihood: 1,
    "tokens": lambda text, likelihood: likelihood.tokens,
    "characters": lambda text, likelihood: len(_bare(text)),
    "bytes": lambda text, likelihood: len(_bare(text).encode("utf-8")),
}


def _is_likelihood(parameters: Mapping[str, Any], response: Response) -> bool:
    """Whether there is more than text to judge: the most likely choice may well be a blank."""
    return bool(response.likelihoods)


def _with_likelihood(logprob: float, *, greedy: bool = False) -> Response:
    """Return the response to a text of two tokens, for the examples."""
    return Response("", likelihoods=(Likelihood(logprob, 2, greedy),))


def _chosen(*logprobs: float) -> Response:
    """Return the response to choices, for the examples."""
    return Response("", likelihoods=tuple(Likelihood(logprob, 1, greedy=False) for logprob in logprobs))


_TARGET = {"type": ["integer", "string", "array"], "minItems": 1, "items": {"type": ["integer", "string"]}}


@declare_check(
    "choice",
    parameters={"target": _TARGET, "normalize": {"type": "string", "enum": list(_LENGTHS)}},
    target="target",
    allows_empty=_is_likelihood,
    examples=(
        Example({"target": "Lima"}, accepts=("Lima", " Lima\n"), rejects=("Quito", "Lima is")),
        Example({"target": ["Lima", "Cusco"]}, accepts=("Cusco",), rejects=("Arequipa",)),
        Example(
            {"target": 1, "normalize": "characters"},
            accepts=(_chosen(-3.0, -4.0),),
            rejects=(_chosen(-3.0, -18.0),),
            choices=("no", "certainly"),
        ),
    ),
)
def choice(target: Any, normalize: str = "none") -> Scorer:
    """The most likely of the case's choices is the right one: that of this index or text, or one of several.

    Log-likelihoods may be divided by the length of the choice. An answer without likelihoods, such as a
    recorded one, must be the right choice's text.
    """
    wanted = tuple(target) if isinstance(target, list) else (target,)

    def scorer(case: Case, response: Response) -> Score:
        texts = [continuation.text for continuation in case.continuations]
        problem = target_problem(texts, target) if texts else None
        if problem is not None:
            raise ScoringError(f"case {case.id!r}: {problem}")
        if response.likelihoods:
            return _most_likely(texts, _right(texts, wanted), response.likelihoods, normalize)
        return _written(texts, wanted, response.text)

    return scorer


@declare_check(
    "perplexity",
    parameters={
        "max": {"type": "number", "exclusiveMinimum": 1},
        "per": {"type": "string", "enum": ["token", "byte"]},
    },
    allows_empty=_is_likelihood,
    examples=(  # perplexity 4 and 16 per token; 2 and 4 per byte
        Example(
            {"max": 5},
            accepts=(_with_likelihood(-2 * math.log(4)),),
            rejects=(_with_likelihood(-2 * math.log(16)),),
            choices=("Lima",),
        ),
        Example(
            {"max": 3, "per": "byte"},
            accepts=(_with_likelihood(-4 * math.log(2)),),
            rejects=(_with_likelihood(-4 * math.log(4)),),
            choices=("Lima",),
        ),
    ),
)
def perplexity(max: float | None = None, per: str = "token") -> Scorer:
    """The text's perplexity is at most `max`; the score is its inverse, which is never more than 1.

    That is the geometric mean of the probabilities of its tokens, or of its bytes.
    """

    def scorer(case: Case, response: Response) -> Score:
        text, likelihood = _only(case, response)
        count = likelihood.tokens if per == "token" else len(text.encode("utf-8"))
        value = math.exp(likelihood.logprob / count)
        bits = -likelihood.logprob / math.log(2) / len(text.encode("utf-8"))
        found = 1 / value if value > 0 else math.inf
        explanation = f"perplexity {found:.4g} per {per}, {bits:.4g} bits per byte"
        if max is not None and found > max:
            return Score(value, Outcome.MISSED, None, f"{explanation}; at most {max:g} is allowed")
        return Score(value, Outcome.PASSED, None, explanation)

    return scorer


@declare_check(
    "exact_greedy",
    allows_empty=_is_likelihood,
    examples=(
        Example(
            {},
            accepts=(_with_likelihood(-1.0, greedy=True),),
            rejects=(_with_likelihood(-1.0),),
            choices=("Lima",),
        ),
    ),
)
def exact_greedy() -> Scorer:
    """The text is what greedy decoding would write: each of its tokens is the most likely one."""

    def scorer(case: Case, response: Response) -> Score:
        text, likelihood = _only(case, response)
        mean = f"{math.exp(likelihood.logprob / likelihood.tokens):.3g}"
        if likelihood.greedy:
            return Score.passed(text, f"mean probability of a token {mean}")
        return Score.missed(f"greedy decoding writes another text; mean probability of a token {mean}", text)

    return scorer


def target_problem(texts: Sequence[str], target: Any) -> str | None:
    """Return what is wrong with the target of a case with these choices, or None."""
    for one in target if isinstance(target, list) else (target,):
        if isinstance(one, bool) or not isinstance(one, (int, str)):
            return f"target {one!r} is neither the index nor the text of a choice"
        if isinstance(one, int):
            if not 0 <= one < len(texts):
                return f"target {one} is no index of {len(texts)} choices, which count from 0"
        elif (found := sum(_bare(text) == _bare(one) for text in texts)) != 1:
            return f"target {one!r} is the text of {found} choices: give the index of the right one"
    return None if target != [] else "target names no choice"


def default_likelihood_check(case: Case) -> tuple[Mapping[str, Any], ...]:
    """Return the check of a case that asks for likelihoods and declares none.

    Several choices with a target are a `choice`; one text is a `perplexity`.
    """
    if len(case.continuations) > 1:
        return () if case.target is None else ({"type": "choice"},)
    return ({"type": "perplexity"},)


def _most_likely(
    texts: Sequence[str], right: Sequence[int], likelihoods: Sequence[Likelihood], normalize: str
) -> Score:
    if len(likelihoods) != len(texts):
        raise ScoringError(f"{len(likelihoods)} likelihoods for {len(texts)} choices")
    length = _LENGTHS[normalize]
    values = [
        likelihood.logprob / max(length(text, likelihood), 1)
        for text, likelihood in zip(texts, likelihoods, strict=True)
    ]
    chosen = values.index(max(values))
    best = max(values[index] for index in right)
    others = [value for index, value in enumerate(values) if index not in right]
    margin = f"{abs(best - max(others)):.3g} nats" if others else "no other choice"
    per = "" if normalize == "none" else f" per {normalize.removesuffix('s')}"
    answer = texts[chosen].strip() or texts[chosen]
    if chosen in right:
        return Score.passed(answer, f"chose {quoted(answer)}, ahead by {margin}{per}")
    named = " or ".join(quoted(texts[index].strip()) for index in right)
    return Score.missed(f"chose {quoted(answer)} over {named}, behind by {margin}{per}", answer)


def _written(texts: Sequence[str], wanted: Sequence[Any], text: str) -> Score:
    """Score an answer that was written out instead of scored."""
    answer = text.strip()
    if not texts and not all(isinstance(one, str) for one in wanted):
        raise ScoringError("the case has no choices that an index could count")
    right = [one if isinstance(one, str) else texts[one] for one in wanted]
    if len(set(texts)) != len(texts):
        raise ScoringError("choices of one text differ by their prompts: only likelihoods tell them apart")
    if answer in {one.strip() for one in right}:
        return Score.passed(answer)
    if texts and answer not in {one.strip() for one in texts}:
        return Score.invalid(f"{quoted(answer)} is none of the choices", answer)
    named = " or ".join(quoted(one.strip()) for one in right)
    return Score.missed(f"expected {named}, found {quoted(answer)}", answer)


def _right(texts: Sequence[str], wanted: Sequence[Any]) -> list[int]:
    bare = [_bare(text) for text in texts]
    return [one if isinstance(one, int) else bare.index(_bare(one)) for one in wanted]


def _only(case: Case, response: Response) -> tuple[str, Likelihood]:
    """Return the one text of a case, and its likelihood."""
    if len(case.continuations) != 1:
        raise ScoringError(f"needs a case with one `continuation`, this has {len(case.continuations)}")
    if len(response.likelihoods) != 1:
        raise ScoringError("the response has no likelihood, only text: a local checkpoint gives one")
    return case.continuations[0].text, response.likelihoods[0]


def _bare(text: str) -> str:
    return text.lstrip() or text
