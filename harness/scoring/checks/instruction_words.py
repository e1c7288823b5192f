"""IFEval's instructions about words: keywords, letters, lengths, case and language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.scoring.checks.instruction_kind import COUNT, RELATION, STRING, InstructionKind, holds
from harness.scoring.text.language import detect_language, known_languages, require_language_detection
from harness.scoring.text.sentences import sentences, words

__all__ = ["WORD_INSTRUCTIONS"]

_CAPITAL_WORD = re.compile(r"\w+(?:[-'’.&/]\w+)*")


def _existence(text: str, keywords: list[str]) -> bool:
    return all(_occurrences(keyword, text) for keyword in keywords)


def _frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return holds(_occurrences(keyword.strip(), text), relation, frequency)


def _forbidden(text: str, forbidden_words: list[str]) -> bool:
    return not any(
        re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None for word in forbidden_words
    )


def _letter_frequency(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return holds(text.lower().count(letter.lower()), let_relation, let_frequency)


def _number_words(text: str, num_words: int, relation: str) -> bool:
    return holds(len(words(text)), relation, num_words)


def _number_sentences(text: str, num_sentences: int, relation: str) -> bool:
    return holds(len(sentences(text)), relation, num_sentences)


def _number_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Divided by `***`; an empty one at either end does not count, one between others is wrong."""
    parts = [part.strip() for part in text.split("***")]
    inner = parts[1:-1]
    outer = [part for part in (parts[0], *parts[1:][-1:]) if part]
    return all(inner) and len(inner) + len(outer) == num_paragraphs


def _nth_paragraph(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Divided by two line ends; the n-th is counted with the empty ones, the number without them."""
    parts = [part.strip() for part in text.split("\n\n")]
    count = sum(1 for part in parts if part)
    if count != num_paragraphs or nth_paragraph > count or not parts[nth_paragraph - 1]:
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", word)[0].lower() == first_word.lower()


def _capital_words(text: str, capital_frequency: int, capital_relation: str) -> bool:
    """A hyphenated word is one; a single capital letter counts."""
    count = sum(1 for word in _CAPITAL_WORD.findall(text) if word.isupper())
    return holds(count, capital_relation, capital_frequency)


def _capital(text: str) -> bool:
    return text.isupper() and detect_language(text) == "en"


def _lowercase(text: str) -> bool:
    return text.islower() and detect_language(text) == "en"


def _language(text: str, language: str) -> bool:
    return detect_language(text) == language


def _no_comma(text: str) -> bool:
    return "," not in text


def _occurrences(keyword: str, text: str) -> int:
    return len(re.findall(re.escape(keyword), text, re.IGNORECASE))


def _grows(name: str) -> Any:
    """Return the test whether the relation is one that more text cannot break."""
    return lambda arguments: arguments.get(name) == "at least"


def _can_detect(arguments: Mapping[str, Any]) -> None:
    require_language_detection()


def _is_known(arguments: Mapping[str, Any]) -> None:
    if arguments["language"] not in known_languages():
        raise ValueError(f"language: {arguments['language']!r} is no language that py3langid can tell")


def _has_nth(arguments: Mapping[str, Any]) -> None:
    if arguments["nth_paragraph"] > arguments["num_paragraphs"]:
        raise ValueError("nth_paragraph: larger than num_paragraphs, so nothing can follow it")


def _yes(arguments: Mapping[str, Any]) -> bool:
    return True


_STRINGS: Mapping[str, Any] = {"type": "array", "minItems": 1, "items": STRING}

WORD_INSTRUCTIONS = (
    InstructionKind("keywords:existence", _existence, {"keywords": _STRINGS}, final=_yes),
    InstructionKind(
        "keywords:frequency",
        _frequency,
        {"keyword": STRING, "frequency": COUNT, "relation": RELATION},
        final=_grows("relation"),
    ),
    InstructionKind("keywords:forbidden_words", _forbidden, {"forbidden_words": _STRINGS}),
    InstructionKind(
        "keywords:letter_frequency",
        _letter_frequency,
        {
            "letter": {"type": "string", "minLength": 1, "maxLength": 1},
            "let_frequency": COUNT,
            "let_relation": RELATION,
        },
        final=_grows("let_relation"),
    ),
    InstructionKind(
        "language:response_language",
        _language,
        {"language": STRING},
        ready=_is_known,
    ),
    InstructionKind(
        "length_constraints:number_words",
        _number_words,
        {"num_words": COUNT, "relation": RELATION},
        final=_grows("relation"),
    ),
    InstructionKind(
        "length_constraints:number_sentences",
        _number_sentences,
        {"num_sentences": COUNT, "relation": RELATION},
        final=_grows("relation"),
    ),
    InstructionKind("length_constraints:number_paragraphs", _number_paragraphs, {"num_paragraphs": COUNT}),
    InstructionKind(
        "length_constraints:nth_paragraph_first_word",
        _nth_paragraph,
        {"num_paragraphs": COUNT, "nth_paragraph": {"type": "integer", "minimum": 1}, "first_word": STRING},
        ready=_has_nth,
    ),
    InstructionKind(
        "change_case:capital_word_frequency",
        _capital_words,
        {"capital_frequency": COUNT, "capital_relation": RELATION},
        final=_grows("capital_relation"),
    ),
    InstructionKind("change_case:english_capital", _capital, ready=_can_detect),
    InstructionKind("change_case:english_lowercase", _lowercase, ready=_can_detect),
    InstructionKind("punctuation:no_comma", _no_comma),
)
