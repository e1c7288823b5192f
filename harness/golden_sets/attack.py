"""Attack a golden set: do answers that know nothing, or that contradict an accepted one, pass its checks?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.cases import Case, Outcome, Response
from harness.errors import HarnessError
from harness.golden_sets.contradictions import swaps
from harness.golden_sets.gaming import gaming_answers
from harness.scoring.evaluate import score
from harness.scoring.text.refusal import find_refusal

__all__ = ["CONTRADICTION", "REFUSALS", "AttackReport", "Fallen", "attack_cases", "check_to_add"]

CONTRADICTION = "contradiction"
REFUSALS = "refusal where one is right"
"""A constant refusal on cases that ask for one; named apart, for no check can tell it from a good answer."""

_OTHERS_TRIED = 12
_TO_ADD = {
    "polarity": "`says_yes` or `says_no`, or `agrees`",
    "modal": "`allows` or `forbids` for the action, or `agrees`",
    "negation": "`says_no`, `forbids` or `not_said`, or `agrees`",
    "quantity": "`amount` with value and unit, or `agrees`",
    "date": "`says` the date and `not_said` for others, or `agrees`",
    "name": "`says` the name, or `agrees`",
    "echo": "a check of what the question does not hold",
    "echo of the conversation": "`max_length` as the prompt states it, and a check that says yes or no",
    "refusal": "`not_refusal`",
    "refusal and echo": "`not_refusal`, or a check that says yes or no",
    "all options": "`not_said` for each option that is wrong",
    "hedge": "`says_yes` or `says_no`",
    "everything": "`max_length` as the prompt states it, and `says_yes` or `says_no`",
    "numbers and names": "`amount` with its unit, or a check of the sentence around the value",
}
_ELSE = "a check of what only a right answer says"


@dataclass(frozen=True)
class Fallen:
    """A case that a wrong answer passes.

    Attributes:
        case: Its id.
        strategy: The gaming strategy, or `contradiction`.
        kind: The strategy again, or the kind of contradiction such as `quantity`.
        answer: The wrong answer that passes.
        changed: What was swapped in an accepted answer; empty for gaming.
    """

    case: str
    strategy: str
    kind: str
    answer: str
    changed: str = ""


@dataclass(frozen=True)
class AttackReport:
    """What an attack did to a golden set.

    Attributes:
        tried: Answers tried, by strategy; under `contradiction` the contradictions of all cases.
        passed: Those that passed, by strategy.
        fallen: Each answer that passed, in the order of the cases.
        cases: Cases that were attacked.
        free: Cases whose content is free (`metadata.free`), of which no contradiction is made.
        judged: Cases that need a judge (`metadata.needs`), of which no contradiction is made.
    """

    tried: dict[str, int]
    passed: dict[str, int]
    fallen: tuple[Fallen, ...]
    cases: int
    free: int = 0
    judged: int = 0

    def share(self, strategy: str) -> float:
        """Return the share of a strategy's answers that passed, 0 to 1; 0 where none was tried."""
        tried = self.tried.get(strategy, 0)
        return self.passed.get(strategy, 0) / tried if tried else 0.0

    @property
    def worst_gaming(self) -> tuple[str, float]:
        """The gaming strategy that passes most, and its share of its answers."""
        names = [name for name in self.tried if name not in (CONTRADICTION, REFUSALS)]
        shares = [(name, self.share(name)) for name in names]
        return max(shares, key=lambda pair: pair[1], default=("none", 0.0))


def check_to_add(fallen: Fallen) -> str:
    """Return which check would tell this wrong answer from a right one."""
    return _TO_ADD.get(fallen.kind, _ELSE)


def attack_cases(cases: Sequence[Case]) -> AttackReport:
    """Give every case answers that must not pass, and count those that do.

    Cases whose likelihoods are asked and cases without accepted answers are left out: there is nothing to
    attack. An answer that the checks cannot score (an optional package is missing) does not pass.
    """
    tried: dict[str, int] = {}
    passed: dict[str, int] = {}
    fallen: list[Fallen] = []
    attacked = [case for case in cases if case.accepts and not case.continuations]
    for place, case in enumerate(attacked):
        for attack in _attacks(case, _other_answer(attacked, place)):
            tried[attack.strategy] = tried.get(attack.strategy, 0) + 1
            if _passes(case, attack.answer):
                passed[attack.strategy] = passed.get(attack.strategy, 0) + 1
                fallen.append(attack)
    return AttackReport(
        tried,
        passed,
        tuple(one for one in fallen if one.strategy != REFUSALS),
        len(attacked),
        sum(map(_is_free, attacked)),
        sum(case.metadata.get("needs") == "judge" for case in attacked),
    )


def _attacks(case: Case, other: str | None) -> Iterator[Fallen]:
    accepted = list(case.accepts)
    refuses = any(find_refusal(answer) is not None for answer in accepted)
    for strategy, answer in gaming_answers(case, other).items():
        apart = refuses and (strategy.startswith("refusal") or strategy == "no")
        yield Fallen(case.id, REFUSALS if apart else strategy, strategy, answer)
    if refuses or _is_free(case) or case.metadata.get("needs") == "judge":
        return
    english = all(not tag.startswith("lang:") or tag == "lang:en" for tag in case.tags)
    asked = "\n".join(message.content for message in case.messages if message.role == "user")
    for answer in accepted:
        for swap in swaps(answer, asked, accepted, english=english):
            if swap.text not in accepted:
                yield Fallen(case.id, CONTRADICTION, swap.kind, swap.text, swap.changed)


def _other_answer(cases: Sequence[Case], place: int) -> str | None:
    """Return an accepted answer of a following case whose checks miss this case's own answers."""
    case = cases[place]
    for step in range(1, min(_OTHERS_TRIED, len(cases))):
        other = cases[(place + step) % len(cases)]
        if other.tags != case.tags and not any(_passes(other, answer) for answer in case.accepts):
            return other.accepts[0]
    return None


def _is_free(case: Case) -> bool:
    return case.metadata.get("free") is True


def _passes(case: Case, answer: str) -> bool:
    try:
        return score(case, Response(answer)).outcome is Outcome.PASSED
    except HarnessError:
        return False
