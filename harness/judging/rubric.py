"""Grade one response by criteria, on a scale or as pass or fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.cases import Case, Outcome, Request, Response, Sampling, Score
from harness.errors import ConfigurationError
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

__all__ = ["Rubric"]

_WIDEST = 100


@dataclass(frozen=True)
class Rubric:
    """Criteria by which a judge model grades one response at a time.

    A case may add its own, in `metadata.rubric`: a text, or a list of points.

    Attributes:
        criteria: What makes a response good, in prose; say what the ends of the scale mean.
        scale: (worst, best) as whole numbers, or `pass/fail`.
        passing: The case is *passed* from this score on, in (0, 1]; 0.75 is 4 on a scale from 1 to 5.
        reference: Whether a reference answer is shown, where there is one: the case's `target`, usually.
        max_tokens: Room for the judge's reasoning and verdict.
        seed: Of the judge's draw and of the fences.

    Raises:
        ConfigurationError: A field is out of its range.
    """

    criteria: str
    scale: tuple[int, int] | Literal["pass/fail"] = (1, 5)
    passing: float = 0.75
    reference: bool = True
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        problems = setting_problems(self.criteria, self.passing, self.max_tokens)
        if self.scale != "pass/fail" and not _is_scale(self.scale):
            problems.append(f"scale must be 'pass/fail' or (worst, best) such as (1, 5), not {self.scale!r}")
        if problems:
            raise ConfigurationError(f"Rubric: {'; '.join(problems)}")

    def requests(
        self, case: Case, response: Response, reference: Response | None = None
    ) -> tuple[Request, ...]:
        """Return the one request that asks for a grade; none when the response is blank.

        Args:
            case: What was asked.
            response: What is graded.
            reference: A response to show as the reference answer instead of the case's target.
        """
        answer = without_thought(response.text)
        if not answer.strip():
            return ()
        shown = None
        if self.reference and (reference is not None or case.target is not None):
            shown = reference_text(case.target) if reference is None else without_thought(reference.text)
        material, said = asked(case, shown)
        task = f"CONVERSATION is what an assistant was asked, ANSWER is what it replied.{said}"
        request = judge_request(
            criteria=self.criteria,
            material=[*material, ("ANSWER", answer)],
            task=f"{task} Grade ANSWER by the criteria.",
            form={"reasoning": '"…"', self._field: self._choices},
            sampling=Sampling(max_tokens=self.max_tokens, seed=self.seed),
            case_id=case.id,
        )
        return (request,)

    def score(self, replies: Sequence[Response]) -> Score:
        """Turn the judge's reply into a score: the place on the scale, from 0 (worst) to 1 (best).

        No replies belong to no requests: the response was blank, and its outcome is *invalid*.

        Raises:
            JudgementError: The reply cannot be used.
        """
        if not replies:
            return Score.invalid("the response is empty: nothing to judge")
        require_replies(replies, 1)
        verdict = read_reply(replies[0], reply_schema(self._field, self._verdict_schema))
        grade = verdict[self._field]
        if self.scale == "pass/fail":
            value = 1.0 if grade == "pass" else 0.0
        else:
            worst, best = self.scale
            grade = int(grade)
            value = (grade - worst) / (best - worst)
        outcome = Outcome.PASSED if value >= self.passing else Outcome.MISSED
        return Score(value, outcome, str(grade), shortened(verdict["reasoning"]))

    @property
    def prompt_hash(self) -> str:
        """Digest of everything a judge is told beside the case; a change makes it another judge."""
        return prompt_digest(self.requests(PROBE, Response("A")))

    @property
    def _field(self) -> str:
        return "verdict" if self.scale == "pass/fail" else "score"

    @property
    def _choices(self) -> str:
        if self.scale == "pass/fail":
            return '"pass" or "fail"'
        worst, best = self.scale
        return f"a whole number from {worst} (worst) to {best} (best)"

    @property
    def _verdict_schema(self) -> dict[str, Any]:
        if self.scale == "pass/fail":
            return {"enum": ["pass", "fail"]}
        return {"type": "integer", "minimum": self.scale[0], "maximum": self.scale[1]}


def _is_scale(scale: object) -> bool:
    return (
        isinstance(scale, tuple)
        and len(scale) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) for end in scale)
        and 0 < scale[1] - scale[0] <= _WIDEST
    )
