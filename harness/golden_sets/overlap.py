"""Cases that are (nearly) the same, and cases that a training set already holds.

Three measures, from strict to loose: *exact* (equal after normalising), *n-gram* (the share of a case's word
n-grams, n ≤ 13, that one training text contains; Brown et al. 2020, appendix C, look for 13-grams) and *near*
(Jaccard similarity of character 5-gram sets; Broder 1997). The golden set is indexed and the training texts
are streamed past it, so that a large training set costs time, not memory.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from harness.cases import Case

__all__ = ["NearDuplicate", "Overlap", "TextPassage", "find_contamination", "near_duplicates", "passages_of"]

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
"""A word, or one character of a script that writes no spaces."""
_CONTROL = re.compile(r"<\|[^<>|\n]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|[\r\n]")
"""What divides a training text that is a filled chat template, or plain lines."""
_LABEL = re.compile(r"[#*\s]*\w{1,20}[*\s]*:[*\s]*(?=\S)")
"""The name that may stand before a line: `User: `, `### Question: `."""
_EDGES = " \"'“”‘’*_.?!…:;。？！"
_NGRAM = 13
_SHORTEST = 8  # words: below, only equality says anything
_SHINGLE = 5  # characters
_KINDS = ("exact", "n-gram", "near")


@dataclass(frozen=True)
class TextPassage:
    """A text and where it stands, such as `train.jsonl:17`."""

    where: str
    text: str


@dataclass(frozen=True)
class NearDuplicate:
    """Two cases whose questions are nearly the same.

    Attributes:
        first: Id of the earlier case.
        second: Id of the later one.
        similarity: Jaccard similarity of their character 5-grams, in [0, 1].
    """

    first: str
    second: str
    similarity: float


@dataclass(frozen=True)
class Overlap:
    """A case that a training text holds.

    Attributes:
        case_id: The case.
        part: `input` or `target`.
        kind: `exact`, `n-gram` or `near`: the strictest measure that found it.
        similarity: By that measure, in [0, 1].
        where: The training text that is most like it.
    """

    case_id: str
    part: str
    kind: str
    similarity: float
    where: str


def passages_of(row: Mapping[str, Any], where: str) -> Iterator[TextPassage]:
    """Yield every text of a training row of whatever shape, system messages left out."""
    pending: list[Any] = [row]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if value.strip():
                yield TextPassage(where, value)
        elif isinstance(value, Mapping):
            if value.get("role") not in ("system", "developer"):
                pending.extend(item for key, item in value.items() if key != "role")
        elif isinstance(value, (list, tuple)):
            pending.extend(value)


def near_duplicates(cases: Sequence[Case], threshold: float = 0.8) -> list[NearDuplicate]:
    """Return the pairs of cases whose questions are alike, the most similar first.

    Pairs of one cluster are left out: that they depend on each other is said already.

    Args:
        cases: The golden set.
        threshold: Least Jaccard similarity, in (0, 1].
    """
    sets = {number: _shingles(_normalised(_asked(case))) for number, case in enumerate(cases)}
    index = _NearIndex(sets, threshold)
    pairs = []
    for number, case in enumerate(cases):
        for earlier, similarity in index.similar(sets[number]):
            twin = cases[earlier]
            if earlier < number and (case.cluster is None or twin.cluster != case.cluster):
                pairs.append(NearDuplicate(twin.id, case.id, similarity))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def find_contamination(
    cases: Sequence[Case],
    training: Iterable[TextPassage],
    threshold: float = 0.8,
    *,
    targets: bool = False,
) -> list[Overlap]:
    """Return the cases that are among the training texts, in the order of the cases.

    Questions are the user's turns, together and one by one, prompts of choices, and a text whose likelihood
    is asked. One of fewer than 8 words is compared for equality only, with whole training texts and with each
    of their lines.

    Args:
        cases: The golden set.
        training: Texts that the model is (to be) trained on.
        threshold: Least share of n-grams, and least Jaccard similarity, in (0, 1].
        targets: Whether to look for targets of 8 words and more, too. Off by default: a policy's fixed
            reply to another question is what training is for.
    """
    index = _CaseIndex(cases, threshold, targets=targets)
    best: dict[tuple[int, str], Overlap] = {}
    for passage in training:
        for number, overlap in index.overlaps(passage):
            known = best.get((number, overlap.part))
            if known is None or _rank(overlap) < _rank(known):
                best[(number, overlap.part)] = overlap
    return [best[key] for key in sorted(best)]


def _rank(overlap: Overlap) -> tuple[int, float]:
    return (_KINDS.index(overlap.kind), -overlap.similarity)


class _CaseIndex:
    """The texts of a golden set, ready to be compared with one training text after another."""

    def __init__(self, cases: Sequence[Case], threshold: float, *, targets: bool) -> None:
        self._threshold = threshold
        self._cases = cases
        self._parts: list[tuple[int, str]] = []
        self._exact: dict[str, list[int]] = {}
        self._grams: dict[tuple[str, ...], list[int]] = {}
        self._sizes: list[int] = []
        self._lengths: set[int] = set()
        sets: dict[int, frozenset[str]] = {}
        for number, case in enumerate(cases):
            for part, text in _parts(case, targets):
                self._add(number, part, _normalised(text), sets)
        self._near = _NearIndex(sets, threshold)

    def _add(self, number: int, part: str, text: str, sets: dict[int, frozenset[str]]) -> None:
        words = _WORD.findall(text)
        if part == "target" and len(words) < _SHORTEST:
            return
        place = len(self._parts)
        self._parts.append((number, part))
        self._exact.setdefault(_bare(text), []).append(place)
        grams: set[tuple[str, ...]] = set()
        if len(words) >= _SHORTEST:
            grams = set(_ngrams(words, size := min(_NGRAM, len(words))))
            self._lengths.add(size)
            sets[place] = _shingles(text)
        self._sizes.append(len(grams))
        for gram in grams:
            self._grams.setdefault(gram, []).append(place)

    def overlaps(self, passage: TextPassage) -> Iterator[tuple[int, Overlap]]:
        text = _normalised(passage.text)
        for place in {place for one in _wholes(passage.text) for place in self._exact.get(one, ())}:
            yield self._found(place, "exact", 1.0, passage)
        words = _WORD.findall(text)
        if len(words) < _SHORTEST:
            return
        hits: dict[int, int] = {}
        for size in self._lengths:
            for gram in set(_ngrams(words, size)):
                for place in self._grams.get(gram, ()):
                    hits[place] = hits.get(place, 0) + 1
        for place, count in hits.items():
            if count >= self._threshold * self._sizes[place]:
                yield self._found(place, "n-gram", count / self._sizes[place], passage)
        for place, similarity in self._near.similar(_shingles(text)):
            yield self._found(place, "near", similarity, passage)

    def _found(self, place: int, kind: str, similarity: float, passage: TextPassage) -> tuple[int, Overlap]:
        number, part = self._parts[place]
        return number, Overlap(self._cases[number].id, part, kind, similarity, passage.where)


class _NearIndex:
    """Sets of shingles, asked for all that are at least so similar to another, by Jaccard similarity.

    Of two similar sets, each holds `threshold` of the other's shingles at least. So they share one of their
    first few, by whatever order both are sorted in: of n shingles the first n - ⌈threshold · n⌉ + 1. Only
    sets that do are compared (prefix filter: Chaudhuri, Ganti & Kaushik, ICDE 2006). The order puts the
    rarest first, lest a prompt that all cases begin with makes all of them be compared.
    """

    def __init__(self, sets: Mapping[int, frozenset[str]], threshold: float) -> None:
        self._threshold = threshold
        self._sets = {number: shingles for number, shingles in sets.items() if shingles}
        self._counts = Counter(chain.from_iterable(self._sets.values()))
        self._holders: dict[str, list[int]] = {}
        for number, shingles in self._sets.items():
            for shingle in self._first(shingles):
                self._holders.setdefault(shingle, []).append(number)

    def similar(self, shingles: frozenset[str]) -> Iterator[tuple[int, float]]:
        if not shingles or not self._sets:
            return
        numbers = {number for shingle in self._first(shingles) for number in self._holders.get(shingle, ())}
        for number in sorted(numbers):
            other = self._sets[number]
            common = len(shingles & other)
            similarity = common / (len(shingles) + len(other) - common)
            if similarity >= self._threshold:
                yield number, similarity

    def _first(self, shingles: frozenset[str]) -> list[str]:
        needed = math.ceil(self._threshold * len(shingles) - 1e-9)  # 0.56 * 25 is more than 14
        in_order = sorted(shingles, key=lambda shingle: (self._counts[shingle], shingle))
        return in_order[: len(shingles) - needed + 1]


def _parts(case: Case, targets: bool) -> Iterator[tuple[str, str]]:
    """Yield the texts of a case that training must not have seen, and which part of it they are."""
    asked = [message.content for message in case.messages if message.role == "user"] + list(case.turns)
    asked += [text for text in _likelihood_texts(case) if len(_WORD.findall(text)) >= _SHORTEST]
    yield from (("input", text) for text in dict.fromkeys([_asked(case), *asked]) if text.strip())
    if targets and isinstance(case.target, str):
        yield "target", case.target


def _asked(case: Case) -> str:
    """Return all that a case asks: the user's turns, or what stands in their place."""
    asked = [message.content for message in case.messages if message.role == "user"]
    return "\n".join([*asked, *case.turns, *_likelihood_texts(case)])


def _likelihood_texts(case: Case) -> list[str]:
    """Return the prompts of choices, and the one text whose likelihood is asked; choices are too short."""
    prompts = [one.prompt for one in case.continuations if one.prompt]
    texts = [one.text for one in case.continuations] if len(case.continuations) == 1 else []
    return [*dict.fromkeys(prompts), *texts]


def _wholes(text: str) -> Iterator[str]:
    """Yield a training text and each of its lines, with and without the name before it, to be found equal."""
    yield _bare(_normalised(text))
    for line in filter(str.strip, _CONTROL.split(text)):
        yield _bare(_normalised(line))
        if label := _LABEL.match(line):
            yield _bare(_normalised(line[label.end() :]))


def _bare(text: str) -> str:
    """Return a normalised text without the marks at its ends; one that has nothing else stays as it is."""
    return text.strip(_EDGES) or text


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def _shingles(text: str) -> frozenset[str]:
    if not text:
        return frozenset()  # nothing is like nothing
    return frozenset(text[start : start + _SHINGLE] for start in range(max(len(text) - _SHINGLE + 1, 1)))
