"""What an answer says of the question: yes or no, that an action is right or not, and what it must not say.

By the rules of `harness.scoring.text.clauses`, for English. "I can't take it back" says no, "we don't say
no" is not understood. Where a case hangs on more than rules can tell, give it to a judge (`metadata.needs`:
`judge`) too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import TEXTS
from harness.scoring.text.clauses import Clause, clauses, denies, opening
from harness.scoring.text.normal_text import quoted
from harness.scoring.text.phrases import affirmed, mentioned

__all__ = ["allows", "forbids", "not_said", "says", "says_no", "says_yes"]

_CONCEDED = re.compile(
    r"\b(?:normally|usually|otherwise|in general|generally|in theory|as soon as possible)\b", re.IGNORECASE
)
_RESERVED = re.compile(
    r"\bonly\b|\bunfortunately\b|\bregrettably\b|\btoo late\b|\bno longer\b|\bover\b", re.IGNORECASE
)
_BOTH = re.compile(
    r"\A\W*(?:yes\W+(?:and|or)\W+no|yes\W+no|no\W+yes|maybe|perhaps|it depends)\b", re.IGNORECASE
)


@declare_check(
    "says_yes",
    parameters={"about": TEXTS},
    examples=(
        Example(
            {"about": ["return*", "take* back|taken back"]},
            accepts=(
                "Yes, you can.",
                "Of course, send it to us.",
                "You can return it.",
                "Usually they can't be returned, but yours is faulty, so it is taken back.",
            ),
            rejects=(
                "No, you can't.",
                "Unfortunately you cannot return it.",
                "It can't be returned.",
                "Yes and no.",
                "Thank you.",
                "We only take back what is unworn.",
                "Yes. No, we don't.",
            ),
        ),
        Example({}, ("Sure.",), ("You can return it.", "No.")),
    ),
)
def says_yes(about: Sequence[str] = ()) -> Scorer:
    """The answer says yes: it opens with yes (sure, of course), or affirms a clause `about` it.

    `about` holds phrases (`return*` is any word that begins so, `a|b` one of two); of several clauses about
    it the last decides. "Yes and no", and a yes that a no follows, say neither.
    """
    return _stance("yes", about)


@declare_check(
    "says_no",
    parameters={"about": TEXTS},
    examples=(
        Example(
            {"about": ["cancel*", "possible"]},
            accepts=(
                "No.",
                "Sorry, no.",
                "I'm afraid that won't work.",
                "Sorry, it can't be cancelled any more.",
                "It has left, so cancelling is impossible.",
                "An order can only be cancelled until it leaves.",
                "We can't cancel it unless it is still here.",
            ),
            rejects=(
                "Yes, of course.",
                "You can cancel it.",
                "Yes and no.",
                "I don't know.",
                "Thank you.",
                "No. Yes, you can.",
            ),
        ),
        Example({}, ("Unfortunately not.",), ("It can't be cancelled.", "Yes.")),
    ),
)
def says_no(about: Sequence[str] = ()) -> Scorer:
    """The answer says no: it opens with no (unfortunately, I'm afraid), or denies a clause `about` it.

    As `says_yes`; "only", "no longer" and "too late" in a clause `about` it deny it as well.
    """
    return _stance("no", about)


@declare_check(
    "allows",
    parameters={"actions": TEXTS},
    examples=(
        Example(
            {"actions": ["call* an ambulance", "call* 112"]},
            accepts=("Call 112 now.", "Please call an ambulance.", "Don't wait, call 112."),
            rejects=("Don't call 112.", "Wait.", "Never call an ambulance.", "Call 112. No, don't call 112."),
        ),
    ),
)
def allows(actions: Sequence[str]) -> Scorer:
    """The answer affirms one of the `actions` (phrases as in `says_yes`) and forbids none of them."""

    def scorer(case: Case, response: Response) -> Score:
        spoken = clauses(response.text)
        for clause in spoken:
            action = mentioned(actions, clause)
            if action and clause.denied and not affirmed(actions, clause):
                return Score.missed(f"speaks against {quoted(action)}: {quoted(clause.text)}")
        if any(affirmed(actions, clause) for clause in spoken):
            return Score.passed()
        return Score.missed(f"says nowhere to {' or '.join(map(quoted, actions))}")

    return scorer


@declare_check(
    "forbids",
    parameters={"actions": TEXTS},
    examples=(
        Example(
            {"actions": ["tak* both", "combin*|mix*", "double"]},
            accepts=(
                "Don't take both.",
                "Please never combine them: you would have twice the dose.",
                "No, avoid mixing them.",
                "Taking both is not safe.",
            ),
            rejects=("Take both.", "You can combine them.", "No. Take both, that is fine.", "Ask someone."),
        ),
    ),
)
def forbids(actions: Sequence[str]) -> Scorer:
    """The answer speaks against one of the `actions` (phrases as in `says_yes`) and for none of them."""

    def scorer(case: Case, response: Response) -> Score:
        forbidden = False
        for clause in clauses(response.text):
            action = mentioned(actions, clause)
            if action is None:
                continue
            if clause.denied:
                forbidden = True
            elif _recommends(clause) and affirmed(actions, clause):
                return Score.missed(f"speaks for {quoted(action)}: {quoted(clause.text)}")
        if forbidden:
            return Score.passed()
        return Score.missed(f"speaks nowhere against {' or '.join(map(quoted, actions))}")

    return scorer


@declare_check(
    "says",
    parameters={"phrases": TEXTS},
    examples=(
        Example(
            {"phrases": ["colleague", "wednesday|tomorrow"]},
            accepts=("It leaves on Wednesday.", "A colleague will find out.", "Not today but tomorrow."),
            rejects=("It leaves today.", "It left yesterday, so not tomorrow.", "No colleague will help."),
        ),
    ),
)
def says(phrases: Sequence[str]) -> Scorer:
    """The answer affirms one of the `phrases` (as in `says_yes`): no "not" reaches it."""

    def scorer(case: Case, response: Response) -> Score:
        for clause in clauses(response.text):
            if phrase := affirmed(phrases, clause):
                return Score.passed(phrase)
        return Score.missed(f"says none of {', '.join(map(quoted, phrases))}")

    return scorer


@declare_check(
    "not_said",
    parameters={"phrases": TEXTS},
    examples=(
        Example(
            {"phrases": ["wait*", "drive him"]},
            accepts=(
                "Call 112 now, and don't wait.",
                "Never drive him yourself.",
                "Call instead of waiting.",
            ),
            rejects=("Wait until tomorrow.", "Call 112, then drive him home."),
        ),
    ),
)
def not_said(phrases: Sequence[str]) -> Scorer:
    """The answer affirms none of the `phrases` (as in `says_yes`): "don't wait" does not say "wait"."""

    def scorer(case: Case, response: Response) -> Score:
        for clause in clauses(response.text):
            if phrase := affirmed(phrases, clause):
                return Score.missed(f"says {quoted(phrase)}: {quoted(clause.text)}")
        return Score.passed()

    return scorer


def _stance(wanted: str, about: Sequence[str]) -> Scorer:
    def scorer(case: Case, response: Response) -> Score:
        stance = _stance_of(response.text, about)
        if stance == wanted:
            return Score.passed(stance)
        return Score.missed(f"says {stance}" if stance else f"says neither yes nor no{_about(about)}")

    return scorer


def _stance_of(text: str, about: Sequence[str]) -> str | None:
    if _BOTH.match(text):
        return None
    opened = opening(text)
    spoken = clauses(text)
    if opened is not None:
        later = [
            opening(clause.text) for clause in spoken[1:] if re.match(r"\W*(?:yes|no)\b", clause.text, re.I)
        ]
        return None if any(other and other != opened for other in later) else opened
    decided = None
    for clause in spoken:
        if mentioned(about, clause) and not _CONCEDED.search(clause.text) and not _is_condition(clause):
            decided = "no" if _denied_at_first(clause) or _RESERVED.search(clause.text) else "yes"
    return decided


def _denied_at_first(clause: Clause) -> bool:
    """Return whether a clause denies, its exception left out: "not unless it is faulty" says no."""
    return denies(re.split(r"\bunless\b", clause.text, flags=re.IGNORECASE)[0])


def _is_condition(clause: Clause) -> bool:
    return (
        re.match(r"\W*(?:if|whether|unless|as long as|until|when|once|before)\b", clause.text, re.I)
        is not None
    )


def _recommends(clause: Clause) -> bool:
    """Return whether a clause recommends something, rather than describing what would follow."""
    return not re.search(
        r"\b(?:would|could|might|may (?:cause|harm|be)|can (?:cause|harm|be))\b", clause.text, re.I
    )


def _about(about: Sequence[str]) -> str:
    return f" about {', '.join(map(quoted, about))}" if about else ""
