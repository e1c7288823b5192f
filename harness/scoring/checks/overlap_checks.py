"""Checks of what the answer shares with a reference: words, n-grams, length."""

from __future__ import annotations

import functools
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.optional import require
from harness.scoring.checks.parameters import FLAG, SHARE, TEXT
from harness.scoring.text.normal_text import normalise
from harness.scoring.text.sentences import words

__all__ = ["bleu", "check_token_f1", "chrf", "length_ratio", "overlap", "rouge", "token_f1"]

References = str | Sequence[str]
_ARTICLES = re.compile(r"(?:a|an|the)")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,:/][0-9]+)*%?|[-+]?\.[0-9]+")
_AROUND_NUMBERS = "()[]{}\"'`*_!?;:,."
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def token_f1(reference: str, answer: str) -> float:
    """Return the F1 of the words that two texts share, in [0, 1].

    Both are spelled in small letters without punctuation and articles; of a text that is nothing else, the
    articles or the marks are its words. Unlike SQuAD's, numbers keep their signs and marks (-5, 3.14), and in
    scripts without blanks each letter is a word. Source: Rajpurkar et al., EMNLP 2016 (SQuAD).
    """
    wanted, found = _squad(reference), _squad(answer)
    if not wanted or not found:
        return float(wanted == found)
    shared = (Counter(wanted) & Counter(found)).total()
    return 2 * shared / (len(wanted) + len(found))


def _squad(text: str) -> list[str]:
    text = normalise(text).lower()
    spelled: list[str] = []
    for word in text.split():
        number = _NUMBER.fullmatch(word.strip(_AROUND_NUMBERS))
        spelled += [number.group()] if number else _letters_apart(word.translate(_PUNCTUATION))
    kept = [word for word in spelled if not _ARTICLES.fullmatch(word)]
    return kept or spelled or text.split()


def _letters_apart(text: str) -> list[str]:
    """Return the words of a text, and each letter of the scripts that put no blanks between words."""
    found: list[str] = _word_or_letter().findall(text)
    return found


@functools.cache
def _word_or_letter() -> Any:
    import regex  # to it, vowel signs are part of a word, as in Hindi; to `re` they are not

    apart = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    return regex.compile(rf"[{apart}]\p{{M}}*|[^\s\p{{P}}{apart}]+")


_REFERENCE: Mapping[str, Any] = {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": TEXT}
_RATIO: Mapping[str, Any] = {"type": "number", "minimum": 0}
_MEASURED: Mapping[str, Any] = {"value": _REFERENCE, "at_least": SHARE}
_CATS = "The cat sat on the mat."


@declare_check(
    "token_f1",
    parameters=_MEASURED,
    target="value",
    examples=(
        Example(
            {"value": "the Eiffel Tower", "at_least": 0.8},
            ("Eiffel tower!",),
            ("It is in Paris, near the tower.",),
        ),
    ),
)
def check_token_f1(value: References, at_least: float) -> Scorer:
    """The F1 of the words that the answer shares with `value` (the best of several), as SQuAD spells them, is
    the score; it passes from `at_least` on.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    return _measured(value, at_least, "token F1", _best(token_f1))


@declare_check(
    "rouge",
    parameters={
        **_MEASURED,
        "metric": {"type": "string", "enum": ["rouge1", "rouge2", "rougeL", "rougeLsum"]},
        "stem": FLAG,
    },
    target="value",
    examples=(
        Example(
            {"value": [_CATS, "A cat was sitting."], "at_least": 0.7},
            ("The cat sat on a mat.", "A cat was sitting there."),
            ("Mat the on sat dog a.", "No idea."),
        ),
        Example(
            {"value": _CATS, "at_least": 0.8, "metric": "rouge1"},
            accepts=("The mat sat on the cat.",),
            rejects=("A dog ran.",),
        ),
        Example({"value": "running dogs", "at_least": 1, "stem": True}, ("Run, dog!",), ("Cat runs",)),
    ),
)
def rouge(value: References, at_least: float, metric: str = "rougeL", stem: bool = False) -> Scorer:
    """The ROUGE F-measure against `value` (the best of several) is the score; it passes from `at_least` on.
    `metric` is rouge1, rouge2, rougeL (default) or rougeLsum; `stem` compares word stems. Needs rouge-score.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    require("rouge_score", "text")

    def measure(reference: str, answer: str) -> float:
        is_plain = reference.isascii() and answer.isascii()  # as rouge-score reads them
        return float(_rouge_scorer(metric, stem, is_plain).score(reference, answer)[metric].fmeasure)

    return _measured(value, at_least, metric, _best(measure))


@declare_check(
    "bleu",
    parameters=_MEASURED,
    target="value",
    examples=(
        Example({"value": _CATS, "at_least": 0.5}, ("The cat sat on the mat today.",), ("A dog ran.",)),
    ),
)
def bleu(value: References, at_least: float) -> Scorer:
    """Sentence BLEU against all references in `value` together (sacreBLEU: exponential smoothing, effective
    order; 13a tokens, `zh` for Chinese, `char` for other scripts without blanks), in [0, 1], is the score; it
    passes from `at_least` on. Needs sacrebleu.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    require("sacrebleu", "text")

    def measure(references: Sequence[str], answer: str) -> float:
        import sacrebleu

        tokens = _bleu_tokens("".join(references))
        return (
            sacrebleu.sentence_bleu(answer, references, tokenize=tokens, use_effective_order=True).score / 100
        )

    return _measured(value, at_least, "bleu", measure)


@declare_check(
    "chrf",
    parameters={**_MEASURED, "word_order": {"type": "integer", "minimum": 0, "maximum": 2}},
    target="value",
    examples=(
        Example({"value": _CATS, "at_least": 0.5}, ("The cats sat on a mat.",), ("Dogs run fast.",)),
        Example(
            {"value": _CATS, "at_least": 0.8, "word_order": 1},
            accepts=("The mat sat on the cat.",),
            rejects=("A mat sat on the cat.",),
        ),
    ),
)
def chrf(value: References, at_least: float, word_order: int = 0) -> Scorer:
    """Sentence chrF (with `word_order` 2: chrF++) against `value`, in [0, 1], is the score; it passes from
    `at_least` on. Needs sacrebleu.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    require("sacrebleu", "text")

    def measure(references: Sequence[str], answer: str) -> float:
        import sacrebleu

        return sacrebleu.sentence_chrf(answer, references, word_order=word_order).score / 100

    return _measured(value, at_least, "chrf", measure)


@declare_check(
    "overlap",
    parameters={**_MEASURED, "n": {"type": "integer", "minimum": 1, "maximum": 8}},
    target="value",
    examples=(
        Example(
            {"value": _CATS, "at_least": 0.5, "n": 2},
            ("I saw that the cat sat on the floor.",),
            ("On the mat sat the dog.",),
        ),
    ),
)
def overlap(value: References, at_least: float, n: int = 1) -> Scorer:
    """The share of the reference's `n`-grams of words (case aside) that the answer has is the score; it
    passes from `at_least` on.
    """  # noqa: D205  (one paragraph is the documentation of the check)

    def measure(reference: str, answer: str) -> float:
        wanted, found = _grams(reference, n), _grams(answer, n)
        return (wanted & found).total() / wanted.total()

    for text in _list(value):
        if not _grams(text, n):
            raise ValueError(f"value: a reference has fewer than {n} words")
    return _measured(value, at_least, f"overlap of {n}-grams", _best(measure))


@declare_check(
    "length_ratio",
    parameters={"value": TEXT, "at_least": _RATIO, "at_most": _RATIO},
    target="value",
    examples=(
        Example({"value": _CATS, "at_most": 1.5}, ("One two three.",), ("One.", "a b c d e f g h i j")),
        Example({"value": _CATS, "at_least": 0.2}, ("One two.",), ("One.",)),
    ),
)
def length_ratio(value: str, at_least: float = 0.5, at_most: float = 2.0) -> Scorer:
    """The answer has from `at_least` (default 0.5) to `at_most` (default 2) times the words of `value`."""
    reference = len(words(value))
    if not reference:
        raise ValueError("value: has no word")
    if at_least > at_most:
        raise ValueError(f"at_least {at_least:g} is more than at_most {at_most:g}")

    def scorer(case: Case, response: Response) -> Score:
        ratio = len(words(response.text)) / reference
        said = f"{ratio:.3g} times as long as the reference"
        if ratio > at_most:
            return Score.missed(f"{said}, at most {at_most:g} is allowed", f"{ratio:.6g}")
        if response.truncated:
            return Score.invalid("the answer was cut off, so its length is not known")
        if ratio < at_least:
            return Score.missed(f"{said}, at least {at_least:g} is needed", f"{ratio:.6g}")
        return Score.passed(f"{ratio:.6g}", said)

    return scorer


def _measured(
    value: References, at_least: float, name: str, measure: Callable[[Sequence[str], str], float]
) -> Scorer:
    """Return the scorer that grades what is measured of the references and an answer."""
    references = _list(value)

    def scorer(case: Case, response: Response) -> Score:
        return graded(measure(references, response.text), at_least, name)

    return scorer


def _best(measure: Callable[[str, str], float]) -> Callable[[Sequence[str], str], float]:
    """Return the measure that is the best of those of the single references."""
    return lambda references, answer: max(measure(reference, answer) for reference in references)


@functools.cache
def _rouge_scorer(metric: str, stem: bool, is_plain: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([metric], use_stemmer=stem, tokenizer=None if is_plain else _Tokens(stem))


class _Tokens:
    """Splits texts of every script, where rouge-score would drop all letters beyond a to z."""

    def __init__(self, stem: bool) -> None:
        self._stem = stem

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text in small letters, and single letters of scripts without blanks."""
        found = _letters_apart(normalise(text).lower())
        if not self._stem:
            return found
        from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]  # nltk has no types

        return [PorterStemmer().stem(word) if len(word) > 3 else word for word in found]


def _bleu_tokens(text: str) -> str:
    """Return sacreBLEU's name of the tokens that fit the script of a text."""
    if re.search(r"[\u3040-\u30ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]", text):
        return "char"
    return "zh" if re.search(r"[\u3400-\u9fff]", text) else "13a"


def _grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    found = [word.casefold() for word in words(text)]
    return Counter(tuple(found[start : start + n]) for start in range(len(found) - n + 1))


def _list(value: References) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


_BOTH = ("value", "at_least")
