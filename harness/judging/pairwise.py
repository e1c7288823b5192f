"""Compare a response with the baseline's, in both orders, because judges favour a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cases import Case, Outcome, Request, Response, Sampling, Score
from harness.errors import ConfigurationError, JudgementError
from harness.judging.prompt import (
    PROBE,
    asked,
    judge_request,
    prompt_digest,
    reference_text,
    setting_problems,
)
from harness.judging.reply import read_reply, reply_schema, require_replies, shortened
from harness.scoring.text.thought import without_thought

__all__ = ["Pairwise"]

_SCHEMA = reply_schema("winner", {"enum": ["A", "B", "tie"]})
_WHEN_FIRST = {"A": "win", "B": "loss", "tie": "tie"}
_WHEN_SECOND = {"A": "loss", "B": "win", "tie": "tie"}
_VALUES = {"win": 1.0, "tie": 0.5, "loss": 0.0, "split": 0.5}


@dataclass(frozen=True)
class Pairwise:
    """Criteria by which a judge model prefers one of two responses.

    The candidate's response stands first in one request and second in the other. A win or a loss counts only
    if both orders agree; a disagreement is a tie, and the score's `answer` says `split` so that the judge's
    position bias can be counted.

    Attributes:
        criteria: What makes one response better than another, in prose.
        passing: The case is *passed* from this score on, in (0, 1]; 0.5 is "not worse than the baseline".
        reference: Whether a case's `target` is shown as a reference answer.
        max_tokens: Room for the judge's reasoning and verdict.
        seed: Of the judge's draw and of the fences.

    Raises:
        ConfigurationError: A field is out of its range.
    """

    criteria: str
    passing: float = 0.5
    reference: bool = True
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        problems = setting_problems(self.criteria, self.passing, self.max_tokens)
        if problems:
            raise ConfigurationError(f"Pairwise: {'; '.join(problems)}")

    def requests(
        self, case: Case, response: Response, reference: Response | None = None
    ) -> tuple[Request, ...]:
        """Return the two requests, candidate first and candidate second; none when the texts are equal.

        Args:
            case: What was asked.
            response: The candidate's response.
            reference: The baseline's response.

        Raises:
            JudgementError: There is no baseline's response to compare with.
        """
        if reference is None:
            raise JudgementError(f"case {case.id!r}: no baseline response to compare with: give --baseline")
        first, second = without_thought(response.text), without_thought(reference.text)
        if first.strip() == second.strip():
            return ()
        return (self._request(case, first, second), self._request(case, second, first))

    def score(self, replies: Sequence[Response]) -> Score:
        """Turn the two replies into a score: win 1, tie 0.5, loss 0.

        No replies belong to no requests: the responses were equal, a tie.

        Raises:
            JudgementError: A reply cannot be used.
        """
        if not replies:
            return self._scored("tie", "both responses are the same")
        require_replies(replies, 2)
        first, second = (read_reply(reply, _SCHEMA) for reply in replies)
        seen = (_WHEN_FIRST[first["winner"]], _WHEN_SECOND[second["winner"]])
        if seen[0] == seen[1]:
            return self._scored(seen[0], shortened(first["reasoning"]))
        orders = f"the orders disagree: {seen[0]} when shown first, {seen[1]} when shown second"
        return self._scored("split", f"{orders}; {shortened(first['reasoning'], 300)}")

    @property
    def prompt_hash(self) -> str:
        """Digest of everything a judge is told beside the case; a change makes it another judge."""
        return prompt_digest(self.requests(PROBE, Response("A"), Response("B")))

    def _request(self, case: Case, first: str, second: str) -> Request:
        shown = case.target if self.reference else None
        material, said = asked(case, None if shown is None else reference_text(shown))
        task = (
            f"CONVERSATION is what two assistants were asked, ANSWER-A and ANSWER-B are their replies.{said}"
        )
        return judge_request(
            criteria=self.criteria,
            material=[*material, ("ANSWER-A", first), ("ANSWER-B", second)],
            task=f"{task} Decide which is better by the criteria; their order means nothing.",
            form={"reasoning": '"…"', "winner": '"A", "B" or "tie"'},
            sampling=Sampling(max_tokens=self.max_tokens, seed=self.seed),
            case_id=case.id,
        )

    def _scored(self, result: str, explanation: str) -> Score:
        value = _VALUES[result]
        return Score(value, Outcome.PASSED if value >= self.passing else Outcome.MISSED, result, explanation)
