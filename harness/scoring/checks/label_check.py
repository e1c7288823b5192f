"""The `label` check: which of the given classes does the answer name?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, MARKER, TAKE, TEXT, TEXTS
from harness.scoring.checks.regex_check import compile_pattern, first_match, last_match
from harness.scoring.text.normal_text import normalise, quoted
from harness.scoring.text.run_on import before_next_question

__all__ = ["find_label", "label", "labels_of"]

_STEPS = ("casefold", "punctuation", "whitespace")
_NEGATED = re.compile(  # a denial in the same clause, no word between turns it again
    r"(?:\b(?:not|no|never|nor|neither|none|without|"
    r"hardly|barely|scarcely|cannot|isnt|wasnt|rather than|instead of|"
    r"far from|fails? to be|anything but|nothing)\b|n['’]t\b|\bnon-?|\b(?:kein\w*|nicht|pas|ne|nunca|não)\b)"
    r"(?:(?!\b(?:but|however|only|yet|so)\b)[^.;:!?,\n]){0,40}$",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:is|are|would be|seems)\s*(?:n['’]t|\s+not|\s+wrong|\s+incorrect)\b"
    r"|^[^.!\n]{0,40}\?"
    r"|^(?:ではな|じゃな|[이가] 아니|は誤|不是|不对)",
    re.IGNORECASE,
)
_NEGATED_CJK = re.compile(r"(?:不是|并非|非|不算|没有|아니|ไม่ใช่|ไม่ได้|ไม่)\s*$")
_NO_BLANKS = "\u0e00-\u0e4f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"


def find_label(
    text: str,
    labels: Sequence[str],
    *,
    after: str | None = None,
    mention: bool = False,
    take: str = "last",
) -> str:
    """Return the label that an answer gives.

    Args:
        text: The answer.
        labels: The classes.
        after: The label is what stands behind the last occurrence of this marker (case aside), on its line or
            the next one that is not blank.
        mention: The only label that is mentioned counts, as a whole word and not denied; without it, the
            answer must be the label (case, punctuation and blanks aside).
        take: With `after`, whether the `first` or the `last` occurrence counts. A next question that a base
            model asks itself is not read.

    Raises:
        ValueError: There is none of them, or more than one.
    """
    spelled = _spelled(labels)
    if after is not None:
        text = before_next_question(text, after)
        match = first_match if take == "first" else last_match
        last = match(compile_pattern(re.escape(after), "i"), text)
        if last is None:
            raise ValueError(f"no {after!r} in the answer")
        rest = text[last.end() :].strip()
        text = rest.splitlines()[0] if rest else ""
    if (found := spelled.get(normalise(text, _STEPS))) is not None:
        return found
    known = ", ".join(labels[:10]) + (" …" if len(labels) > 10 else "")
    if not mention:
        raise ValueError(f"{quoted(text.strip())} is none of the labels {known}")
    named = _mentioned(text, labels)
    if len(named) != 1:
        said = f"the answer mentions {' and '.join(named)}" if named else f"no mention of a label ({known})"
        raise ValueError(said)
    return named[0]


def labels_of(case: Case, answers: Sequence[Response]) -> tuple[str, tuple[str | None, ...]] | None:
    """Return a case's label and those that its answers give (None: none or several); None without the check.

    A case has a label if exactly one of its checks is of type `label`.
    """
    declared = [check for check in case.checks if check.get("type") == "label"]
    if len(declared) != 1 or not answers:
        return None
    check = declared[0]
    found = [_reading(check, answer) for answer in answers]
    return str(check.get("value", case.target)), tuple(found)


@declare_check(
    "label",
    parameters={
        "value": TEXT,
        "labels": {**TEXTS, "minItems": 2},
        "after": MARKER,
        "mention": FLAG,
        "take": TAKE,
    },
    target="value",
    examples=(
        Example(
            {"value": "refund", "labels": ["refund", "delivery", "other"]},
            ("refund", " **Refund.** "),
            ("delivery", "complaint", "It is a refund", "refund, delivery"),
        ),
        Example(
            {"value": "spam", "labels": ["spam", "not spam"], "mention": True},
            ("This is clearly spam.",),
            ("This is not spam.", "Spam or not spam?", "Who knows."),
        ),
        Example(
            {"value": "negative", "labels": ["positive", "negative"], "after": "Label:"},
            ("Good start, bad end.\nlabel: Negative.",),
            ("Label: positive", "negative", "Label: mixed"),
        ),
        Example(
            {"value": "ham", "labels": ["spam", "ham"], "after": "Label:", "take": "first"},
            ("Label: ham\nLabel: spam",),
            ("Label: spam\nLabel: ham",),
        ),
    ),
)
def label(
    value: str,
    labels: Sequence[str],
    after: str | None = None,
    mention: bool = False,
    take: str = "last",
) -> Scorer:
    """The answer gives the label `value`, of the classes in `labels`: it is the label (case and punctuation
    aside), or gives it behind the marker `after` (its last occurrence, or by `take` the first), or (with
    `mention`) mentions it alone and does not deny it. No label of the set, or two, is invalid. Suites whose
    cases carry one `label` check show accuracy, precision, recall and F1.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    if value not in labels:
        raise ValueError(f"value: {value!r} is none of the labels {', '.join(labels)}")
    _spelled(labels)

    def scorer(case: Case, response: Response) -> Score:
        try:
            found = find_label(response.text, labels, after=after, mention=mention, take=take)
        except ValueError as problem:
            return Score.invalid(f"{problem}{': the answer was cut off' if response.truncated else ''}")
        if response.truncated and _may_go_on(found, labels, mention):
            return Score.invalid(f"the answer was cut off after {found!r}, which may go on", found)
        return Score.passed(found) if found == value else Score.missed(f"{found}, expected {value}", found)

    return scorer


def _reading(check: Mapping[str, object], answer: Response) -> str | None:
    labels = [str(one) for one in check["labels"]]  # type: ignore[attr-defined]  # its schema says: a list
    after, mention = check.get("after"), bool(check.get("mention", False))
    try:
        marker = None if after is None else str(after)
        take = str(check.get("take", "last"))
        found = find_label(answer.text, labels, after=marker, mention=mention, take=take)
    except ValueError:
        return None
    return None if answer.truncated and _may_go_on(found, labels, mention) else found


def _may_go_on(found: str, labels: Sequence[str], mention: bool) -> bool:
    """Whether more of an answer that was cut off could have changed its label."""
    start = normalise(found, _STEPS)
    return mention or any(other != found and normalise(other, _STEPS).startswith(start) for other in labels)


def _spelled(labels: Sequence[str]) -> dict[str, str]:
    spelled: dict[str, str] = {}
    for one in labels:
        key = normalise(one, _STEPS)
        if not key or key in spelled:
            raise ValueError(f"labels: {one!r} is {'nothing but punctuation' if not key else 'there twice'}")
        spelled[key] = one
    return spelled


def _mentioned(text: str, labels: Sequence[str]) -> list[str]:
    """Return the labels in a text, longer ones first, so that `spam` is not found in `not spam`."""
    text = normalise(text)
    found = []
    for one in sorted(labels, key=len, reverse=True):
        word = re.escape(normalise(one))
        pattern = re.compile(rf"(?<![^\W{_NO_BLANKS}]){word}(?![^\W{_NO_BLANKS}])", re.IGNORECASE)
        places = list(pattern.finditer(text))
        if any(not _is_denied(text, place) for place in places):
            found.append(one)
        text = pattern.sub("\0", text)
    return found


def _is_denied(text: str, place: re.Match[str]) -> bool:
    before, after = text[max(0, place.start() - 60) : place.start()], text[place.end() : place.end() + 40]
    return bool(_NEGATED.search(before) or _NEGATED_CJK.search(before) or _DOUBTED.search(after))
