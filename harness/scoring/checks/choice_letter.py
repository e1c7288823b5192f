"""The `choice_letter` check: find the option that an answer settles on, and refuse one that names two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.text.choice_cues import (
    ANSWER,
    CHOSEN,
    CLOSERS,
    CONDITION,
    CONSIDERED,
    CORRECTION,
    DENIED,
    FINAL,
    JUDGED,
    NEGATED,
    NO_BLANKS,
    NOT_AN_OPTION,
    PLAIN_AFTER,
    PLAIN_BEFORE,
    RULED_OUT,
    VERDICT,
)

__all__ = ["choice_letter", "find_choice"]

_DEFAULT = "ABCD"
_LOOK_ALIKE = str.maketrans("АВСЕΑΒΕ", "ABCEABE")  # Cyrillic and Greek capitals
_OPENERS = " \t([{<*_`「『\"'“‘«$"
_OPTION = re.compile(r"(?:option|choice|letter)\s*$", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?[\s(]*$")
_JOINED = re.compile(
    CLOSERS + r"\s*(?:,|/|&|\bor\b|\band\b|[或と和]|または|또는|หรือ)\s*(?:option\s+)?[\[(*_`\"'“‘]*$",
    re.IGNORECASE,
)
_OR = re.compile(CLOSERS + r"\s*(?:,|/|&|\bor\b|\band\b)\s*(?:option\s+)?[\[(*_`\"'“‘]*[A-Z](?!\w)")
_MARK = re.compile(CLOSERS + r"\s*[.:)\]][)*_]*\s")
_LINE_END = re.compile(CLOSERS + r"[^\S\n]*(?:\n|\Z)")
# What follows a word on its line. Behind `A`, some words show that it is no article: "A is", "A because".
_WORD = re.compile(CLOSERS + r"[^\S\n]+(?!(?:because|is|seems|since)\b)[^\W\d_]")
_WORD_AFTER_A = re.compile(
    CLOSERS + r"[^\S\n]+(?!(?:as|because|but|must|is|seems|should|since|was|would)\b)[^\W\d_]"
)
_REACH = 60  # characters before a letter that can say what it is


def find_choice(text: str, letters: str = _DEFAULT) -> tuple[str, bool] | str:
    r"""Return the letter that an answer settles on and whether it is marked as its result, or what is wrong.

    The first of these that is there decides: the answer is one letter; a final answer (`Final answer: B`,
    `\boxed{B}`); a marked one (`the answer is b`, `Answer: (B)`, `I choose B`); a judged one (`B is right`);
    a line that starts with one (`B) Paris`); a letter in bold or brackets; a letter that stands alone. A
    letter behind *not*, *rather than* and the like or before *is wrong* does not count, nor does a small
    letter, `A` or `I` that may be a word. Two different letters in the deciding places are ambiguous.

    Args:
        text: The answer.
        letters: The options' letters, upper case.
    """
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(?<!\w)[АВСЕΑΒΕ](?!\w)", lambda alone: alone.group().translate(_LOOK_ALIKE), text)
    text = NOT_AN_OPTION.sub(lambda name: "_" * len(name.group()), text)
    named = list(_ranked(text, letters))
    for correction in reversed(list(CORRECTION.finditer(text))):
        later = [one for one in named if one[2] >= correction.end()]
        if later and later[0][2] - correction.end() <= _REACH:
            named = later
            break
    found: dict[int, list[str]] = {}
    for rank, letter, _ in named:
        found.setdefault(rank, []).append(letter)
    if not found:
        return f"no choice among {', '.join(letters)} in the answer"
    best = min(found)
    options = list(dict.fromkeys(found[best]))
    if len(options) > 1:
        return f"ambiguous: the answer names {' and '.join(options)}"
    return options[0], best <= _JUDGED_RANK


_ALONE_RANK, _FINAL_RANK, _ANSWER_RANK, _JUDGED_RANK, _LINE_RANK, _BOLD_RANK, _BARE_RANK = range(7)


def _ranked(text: str, letters: str) -> Iterator[tuple[int, str, int]]:
    """Yield each letter that may be the choice, how strongly its place says so (0 is most), and where."""
    alone = re.fullmatch(rf"\W*(?:option\s+)?([{letters}{letters.lower()}])\W*", text, re.IGNORECASE)
    if alone is not None:
        if not NEGATED.search(text[: alone.start(1)]):
            yield _ALONE_RANK, alone[1].upper(), alone.start(1)
        return
    verdicts = [one for one in VERDICT.finditer(text) if one["letter"].upper() in letters]
    if len(verdicts) > 1:
        for one in verdicts:
            if one["right"]:
                yield _JUDGED_RANK, one["letter"].upper(), one.start("letter")
        text = VERDICT.sub(lambda line: "_" * len(line.group()), text)
    token = re.compile(
        rf"(?<![^\W{NO_BLANKS}])(?<![\w][-'’])([{letters}{letters.lower()}])(?![^\W{NO_BLANKS}]|[-'’]\w)"
    )
    last: tuple[int, int | None] | None = None  # where the letter before ended, and its rank
    for match in token.finditer(text):
        before, after = text[max(0, match.start() - _REACH) : match.start()], text[match.end() :][:_REACH]
        if last is not None and _JOINED.fullmatch(text[last[0] : match.start()]):
            rank = last[1]  # "B or C", "A/B": as much the choice as the one before
        else:
            rank = _rank(match[1], before, after, text[: match.start()].rpartition("\n")[2])
            first = not text[: match.start()].strip(_OPENERS)
            if rank is None and first and match[1].islower() and re.match(r"[).:]\s", after):
                rank = _LINE_RANK
        last = (match.end(), rank)
        if rank is not None:
            yield rank, match[1].upper(), match.start()


def _rank(letter: str, before: str, after: str, line: str) -> int | None:
    bare = before.rstrip(_OPENERS)
    opened = before[len(bare) :].strip()
    bracketed = bool(opened) and re.match(r"[)\]}*_]", after) is not None
    if option := _OPTION.search(bare):
        named, bare = True, bare[: option.start()].rstrip(_OPENERS)
    else:
        named = False
    if NEGATED.search(bare) or DENIED.match(after) or RULED_OUT.search(bare):
        return None
    if CONSIDERED.search(before) or CONDITION.match(after):
        return None
    if _BOXED.search(before):
        return _FINAL_RANK
    if not (named or bracketed) and _may_be_word(letter, bare, after):
        return None
    whole = before if not named else bare
    marked = ANSWER.search(bare) or (ANSWER.search(whole.rstrip(_OPENERS)) if named else None)
    if marked is not None:
        return _FINAL_RANK if FINAL.search(bare[: marked.start()] + "answer") else _ANSWER_RANK
    if CHOSEN.search(bare):
        return _ANSWER_RANK
    if JUDGED.match(after):
        return _JUDGED_RANK
    if letter.islower() and not bracketed:
        return None
    if not line.strip(_OPENERS + "-•>#") and (_MARK.match(after + " ") or _LINE_END.match(after)):
        return _LINE_RANK
    if bracketed:
        return _BOLD_RANK
    sure = letter not in "AI" or not bare or _OR.match(after) or re.match(r"\s*(?:[.,;:!?–—-]|$)", after)
    return _BARE_RANK if sure and (named or PLAIN_BEFORE.search(bare)) and PLAIN_AFTER.match(after) else None


def _may_be_word(letter: str, bare: str, after: str) -> bool:
    """Whether it reads as an article, a pronoun or a variable: a word follows, and no mark between them."""
    word = _WORD if letter == "I" else _WORD_AFTER_A
    if not word.match(after) or _MARK.match(after) or (letter.isupper() and _OR.match(after)):
        return False
    starts_sentence = not bare or bare[-1] in ".!?:;\n"
    return letter == "I" or letter.islower() or (letter == "A" and starts_sentence)


@declare_check(
    "choice_letter",
    parameters={
        "value": {"type": "string", "pattern": "^[A-Z]$"},
        "letters": {"type": "string", "pattern": "^[A-Z]{2,26}$"},
    },
    target="value",
    examples=(
        Example(
            {"value": "B"},
            ("B", "(b)", "**B**", "Answer: (B)", "A is tempting, but the answer is b.", "B) Paris"),
            ("A", "the answer is C", "A or B", "It is a good question.", "(A) or (B)", "not B"),
        ),
        Example({"value": "C", "letters": "AC"}, ("C", "**B**? **C**"), ("A", "**A**? **C**")),
    ),
)
def choice_letter(value: str, letters: str = _DEFAULT) -> Scorer:
    """The answer settles on option `value`; one that settles on none of `letters`, or on two, is invalid.

    See `find_choice` for what counts.
    """
    if value not in letters:
        raise ValueError(f"value: {value!r} is none of the letters {letters}")

    def scorer(case: Case, response: Response) -> Score:
        found = find_choice(response.text, letters)
        if isinstance(found, str):
            return Score.invalid(found + (": the answer was cut off" if response.truncated else ""))
        letter, marked = found
        if response.truncated and not marked:
            return Score.invalid(f"the answer was cut off after naming {letter}, which may not be its choice")
        return (
            Score.passed(letter) if letter == value else Score.missed(f"chose {letter}, not {value}", letter)
        )

    return scorer
