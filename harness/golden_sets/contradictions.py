"""Make answers that contradict an accepted one by a word or two, for the attack on a golden set.

Every generator is conservative: it leaves alone what a swap might leave right, such as courtesy, numbers
that only repeat the question, and the numbers of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.scoring.text.sentences import sentences

__all__ = ["KINDS", "Swap", "swaps"]

KINDS = ("polarity", "modal", "negation", "quantity", "date", "name")
"""What is swapped: yes and no; must, may and can; a "not" in or out; a number; a day or month; a name."""

_MOST_OF_A_KIND = 3
_COURTESY = re.compile(
    r"\b(?:sorry|apolog|thank|please let|don['’]t worry|hesitate|happy to|glad|hope|feel free|welcome|"
    r"regards|"
    r"i (?:don['’]t|do not) (?:know|have)|i(?:['’]m| am)|i can(?:['’]t|not)|if you|would you|subject:)",
    re.IGNORECASE,
)
_NEGATED = (
    (re.compile(r"\b(is|are|was|were|do|does|did|has|have|should|must|would|could|need)n['’]t\b"), r"\1"),
    (re.compile(r"\b(?:can['’]t|cannot)\b"), "can"),
    (re.compile(r"\bwon['’]t\b"), "will"),
    (
        re.compile(r"\b(is|are|was|were|can|will|should|must|may|do|does|did) not (?!only\b|just\b|yet\b)"),
        r"\1 ",
    ),
    (re.compile(r"\bnever\b(?! mind)"), "always"),
    (re.compile(r"\bDon['’]t (?=[a-z])"), "Do "),
    (re.compile(r"\bdon['’]t (?=[a-z])"), "do "),
)
_AFFIRMED = re.compile(
    r"\b(is|are|was|were|can|will|should|must)\b(?! (?:not|no|never|only|nothing|neither|I|we|you|he|"
    r"she|it|they)\b)"
    r"(?=\s+\w)",
)
_MODALS = (
    (re.compile(r"\b(?:must|has to|have to|needs? to)\b(?! not)"), "need not"),
    (re.compile(r"\b(?:can|may)\b(?! not| only)(?=\s+[a-z])"), "must not"),
    (re.compile(r"\bshould\b(?! not)"), "should never"),
    (re.compile(r"\bat most\b"), "at least"),
    (re.compile(r"\bat least\b"), "at most"),
)
_NUMBER = re.compile(r"(?<![\w.,:/#-])(\d{1,4})((?:[.,]\d+)?)(?![\w:/#]|[.,]\d|-\w)(?!\s?(?:[.)]\s|/))")
_NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *(
        "January",
        "February",
        "April",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
)
_DATE = re.compile(rf"\b({'|'.join((*_DAYS, *_MONTHS))})\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b(?!['’]s)")
_NO_NAMES = frozenset((*_DAYS, *_MONTHS, "March", "May", "English", "Internet", "Christmas", "Easter"))
_REPLACEMENTS = ("Ottokar", "Belinda", "Fernhill")
_YES_NO = ((re.compile(r"\A(\W*)Yes\b"), r"\1No"), (re.compile(r"\A(\W*)No(?=[,.:;!]|\Z)"), r"\1Yes"))


@dataclass(frozen=True)
class Swap:
    """An answer made wrong.

    Attributes:
        kind: One of `KINDS`.
        text: The wrong answer.
        changed: What was swapped, such as `30 → 61`.
    """

    kind: str
    text: str
    changed: str


def swaps(
    answer: str, question: str = "", accepted: Sequence[str] = (), *, english: bool = True
) -> list[Swap]:
    """Return the contradictions of an accepted answer, at most three of a kind.

    Args:
        answer: The accepted answer.
        question: What was asked; numbers, days and names that it holds are not swapped, since an answer that
            repeats them wrongly may still be right in what it says.
        accepted: All accepted answers; no swap introduces a number, day or name that one of them has.
        english: Whether the answer is English; of other languages only numbers are swapped.
    """
    avoided = "\n".join((question, answer, *accepted))
    makers = [("quantity", _numbers(answer, question, avoided))]
    if english:
        makers += [
            ("polarity", _polarity(answer)),
            ("modal", _in_claims(answer, _MODALS)),
            ("negation", _negation(answer)),
            ("date", _dates(answer, question, avoided)),
            ("name", _names(answer, question, avoided)),
        ]
    made = []
    for kind, pairs in makers:
        for _, (text, changed) in zip(range(_MOST_OF_A_KIND), pairs, strict=False):
            made.append(Swap(kind, text, changed))
    return made


def _polarity(answer: str) -> Iterator[tuple[str, str]]:
    for pattern, opposite in _YES_NO:
        if pattern.match(answer):
            yield pattern.sub(opposite, answer, count=1), "yes and no"


def _negation(answer: str) -> Iterator[tuple[str, str]]:
    """Take a "not" out of each sentence that claims something, or put one in where there is none."""
    for sentence in _claiming(answer):
        for pattern, positive in _NEGATED:
            if match := pattern.search(sentence):
                changed = sentence[: match.start()] + match.expand(positive) + sentence[match.end() :]
                yield (
                    answer.replace(sentence, changed, 1),
                    f"{match[0].strip()} → {match.expand(positive).strip()}",
                )
                break
        else:
            if re.search(
                r"\b(?:not|no|never|nothing|nobody|none|without|unless|until|if|whether)\b|n['’]t", sentence
            ):
                continue
            if match := _AFFIRMED.search(sentence):
                changed = sentence[: match.end()] + " not" + sentence[match.end() :]
                yield answer.replace(sentence, changed, 1), f"{match[0]} → {match[0]} not"


def _in_claims(answer: str, table: Sequence[tuple[re.Pattern[str], str]]) -> Iterator[tuple[str, str]]:
    for sentence in _claiming(answer):
        for pattern, opposite in table:
            if match := pattern.search(sentence):
                changed = sentence[: match.start()] + opposite + sentence[match.end() :]
                yield answer.replace(sentence, changed, 1), f"{match[0]} → {opposite}"


def _claiming(answer: str) -> Iterator[str]:
    """Yield the sentences that claim something: no question, no courtesy."""
    for sentence in sentences(answer):
        if not sentence.endswith("?") and not _COURTESY.search(sentence):
            yield sentence


def _numbers(answer: str, question: str, avoided: str) -> Iterator[tuple[str, str]]:
    for match in _NUMBER.finditer(answer):
        literal = match[1] + match[2]
        if _stands_in(literal, question) or _is_listed(answer, match):
            continue
        value = int(match[1])
        other = next(
            text
            for step in range(1, 1000)
            if not _stands_in(text := f"{2 * value + step}{match[2]}", avoided)
        )
        yield answer[: match.start()] + other + answer[match.end() :], f"{literal} → {other}"
    for match in _NUMBER_WORD.finditer(answer):
        word = match[1].lower()
        if re.search(rf"\b{word}\b", question, re.IGNORECASE):
            continue
        place = _NUMBER_WORDS.index(word)
        for step in range(3, len(_NUMBER_WORDS)):
            other = _NUMBER_WORDS[(place + step) % len(_NUMBER_WORDS)]
            if not re.search(rf"\b{other}\b", avoided, re.IGNORECASE):
                other = other.capitalize() if match[1][0].isupper() else other
                yield answer[: match.start()] + other + answer[match.end() :], f"{match[1]} → {other}"
                break


def _is_listed(answer: str, match: re.Match[str]) -> bool:
    """Return whether a number is the number of a list's item."""
    begins = answer.rfind("\n", 0, match.start()) + 1
    return not answer[begins : match.start()].strip(" -*(") and answer[match.end() : match.end() + 1] in (
        ".",
        ")",
    )


def _stands_in(literal: str, text: str) -> bool:
    return re.search(rf"(?<![\w.,]){re.escape(literal)}(?![\w]|[.,]\d)", text) is not None


def _dates(answer: str, question: str, avoided: str) -> Iterator[tuple[str, str]]:
    for match in _DATE.finditer(answer):
        names = _DAYS if match[1] in _DAYS else _MONTHS
        if match[1] in question:
            continue
        place = names.index(match[1])
        for step in range(2, len(names)):
            other = names[(place + step) % len(names)]
            if other not in avoided:
                yield answer[: match.start()] + other + answer[match.end() :], f"{match[1]} → {other}"
                break


def _names(answer: str, question: str, avoided: str) -> Iterator[tuple[str, str]]:
    for match in _NAME.finditer(answer):
        name = match[0]
        if name in _NO_NAMES or name in question:
            continue
        other = next((word for word in _REPLACEMENTS if word not in avoided), None)
        if other is not None:
            yield answer[: match.start()] + other + answer[match.end() :], f"{name} → {other}"
