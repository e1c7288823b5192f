"""IFEval's 25 instructions: our reading of the paper against the implementation that lm-eval ships.

Twenty kinds are compared on texts made of the pieces that they look for. The others need data that lm-eval
downloads, or a detector of languages, so they are compared on what can be had offline: sentences with an
untrained splitter of the same library, capital words with its tokenizer on plain words, languages and small
letters on whole sentences. English capitals are not compared.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cases import Case, Message, Outcome, Response
from harness.errors import ConfigurationError
from harness.scoring import score
from harness.scoring.checks.instruction_check import INSTRUCTIONS, follows, loose_forms
from harness.scoring.registry import compile_checks
from harness.scoring.text.language import detect_language
from harness.scoring.text.sentences import sentences

RELATIONS = st.sampled_from(["less than", "at least"])
SMALL = st.integers(1, 4)
WORDS = st.sampled_from(["one", "Two", "go", "GO", "don't", "x-y", "a", "Ünder", "1st"])
SOME_WORDS = st.lists(WORDS, min_size=1, max_size=2)
PIECES = st.sampled_from(
    [
        "*", "**", "***", "******", "-", " ", "\n", "\n\n", "\t", "one", "Two", "GO", "go", "[", "]", "[x]",
        "<<", ">>", "<", ">", "<<one>>", '"', "'", ",", ".", "?", "!", "P.S.", "p. s.", "P.P.S", "P. P. S",
        "Section 1", "Section2", "SECTION 3", "My answer is yes.", "My answer is no", "The end.", "* one",
        "- two", "*a*", "**b**", "```json", "```", "{", "}", '{"a": 1}', "1", ":", "É", "\u2028", "\r", "İ",
        "ſ", "\x0b", "\u00a0", "why?",
    ]
)  # fmt: skip
# What makes or breaks each kind, so that a difference is found in hundreds of texts and not in millions.
FOCUS = {
    "detectable_format:number_bullet_lists": ["*", "-", " ", "\n", "x", "* a\n", "**"],
    "detectable_format:number_highlighted_sections": ["*", "**", " ", "a", "\n"],
    "detectable_format:title": ["<", ">", "<<", ">>", " ", "a", "\n"],
    "detectable_format:multiple_sections": ["Section", "SECTION", " ", "\n", "1", "2", "a"],
    "detectable_format:json_format": ["```", "json", "JSON", "\n", "{}", "[", "]", "1", "NaN", " "],
    "detectable_content:number_placeholders": ["[", "]", "\n", "a"],
    "detectable_content:postscript": ["p", "P", ".", " ", "\n", "S", "s"],
    "length_constraints:number_paragraphs": ["***", "*", " ", "\n", "a"],
    "length_constraints:nth_paragraph_first_word": ["\n\n", "\n", " ", "'", '"', ".", "one", "go", "a"],
    "length_constraints:number_words": ["a", "_", "-", "'", " ", "é", "1", "\u0301"],
    "combination:two_responses": ["******", "*", " ", "a", "b"],
    "combination:repeat_prompt": ["why?", "Why?", "one", " ", "\n", "*"],
    "startend:end_checker": ["the end.", "THE END", ".", "go", "one", " ", '"', "\n"],
    "startend:quotation": ['"', "a", " ", "\n"],
    "keywords:forbidden_words": ["go", "GO", "one", "a", "-", "_", " ", "don't"],
    "keywords:frequency": ["go", "Go", "a", "one", " "],
}
TEXTS = (
    st.lists(PIECES, max_size=14).map("".join)
    | st.lists(PIECES, max_size=10).map(" ".join)
    | st.text(max_size=30)
)

ARGUMENTS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "keywords:existence": st.fixed_dictionaries({"keywords": SOME_WORDS}),
    "keywords:frequency": st.fixed_dictionaries(
        {"keyword": WORDS, "frequency": SMALL, "relation": RELATIONS}
    ),
    "keywords:forbidden_words": st.fixed_dictionaries({"forbidden_words": SOME_WORDS}),
    "keywords:letter_frequency": st.fixed_dictionaries(
        {"letter": st.sampled_from("aoGT"), "let_frequency": SMALL, "let_relation": RELATIONS}
    ),
    "length_constraints:number_words": st.fixed_dictionaries({"num_words": SMALL, "relation": RELATIONS}),
    "length_constraints:number_paragraphs": st.fixed_dictionaries({"num_paragraphs": SMALL}),
    "length_constraints:nth_paragraph_first_word": st.fixed_dictionaries(
        {
            "num_paragraphs": SMALL,
            "nth_paragraph": SMALL,
            "first_word": st.sampled_from(["one", "two", "go", "a"]),
        }
    ).filter(lambda given: given["nth_paragraph"] <= given["num_paragraphs"]),
    "detectable_content:number_placeholders": st.fixed_dictionaries({"num_placeholders": SMALL}),
    "detectable_content:postscript": st.fixed_dictionaries(
        {"postscript_marker": st.sampled_from(["P.S.", "P.P.S", "one"])}
    ),
    "detectable_format:number_bullet_lists": st.fixed_dictionaries({"num_bullets": SMALL}),
    "detectable_format:constrained_response": st.just({}),
    "detectable_format:number_highlighted_sections": st.fixed_dictionaries({"num_highlights": SMALL}),
    "detectable_format:multiple_sections": st.fixed_dictionaries(
        {"section_spliter": st.sampled_from(["Section", "SECTION"]), "num_sections": SMALL}
    ),
    "detectable_format:json_format": st.just({}),
    "detectable_format:title": st.just({}),
    "combination:two_responses": st.just({}),
    "combination:repeat_prompt": st.fixed_dictionaries(
        {"prompt_to_repeat": st.sampled_from(["why?", "One ", "*"])}
    ),
    "startend:end_checker": st.fixed_dictionaries(
        {"end_phrase": st.sampled_from(["The end.", "go", " one "])}
    ),
    "startend:quotation": st.just({}),
    "punctuation:no_comma": st.just({}),
}  # fmt: skip
NOT_ON_ANY_TEXT = {
    "length_constraints:number_sentences",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "language:response_language",
}


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The implementation of lm-eval, without the package around it and without its downloads."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        pytest.skip("lm-eval is not installed (pip install --no-deps lm-eval langdetect nltk immutabledict)")
    for needed in ("langdetect", "nltk", "immutabledict"):
        pytest.importorskip(needed)
    import langdetect
    import nltk

    langdetect.DetectorFactory.seed = 0
    folder = Path(next(iter(found.submodule_search_locations))) / "tasks" / "ifeval"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "find", lambda *_: None)
        for name in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval"):
            package = types.ModuleType(name)
            package.__path__ = []
            patch.setitem(sys.modules, name, package)
        for name in ("instructions_util", "instructions", "instructions_registry"):
            full = f"lm_eval.tasks.ifeval.{name}"
            spec = importlib.util.spec_from_file_location(full, folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, full, module)
            setattr(sys.modules["lm_eval.tasks.ifeval"], name, module)
            spec.loader.exec_module(module)
        util = sys.modules["lm_eval.tasks.ifeval.instructions_util"]
        splitter = nltk.tokenize.punkt.PunktSentenceTokenizer()
        patch.setattr(util, "_get_sentence_tokenizer", lambda: splitter)
        tokenizer = nltk.tokenize.TreebankWordTokenizer()
        patch.setattr(nltk, "word_tokenize", tokenizer.tokenize)
        yield sys.modules["lm_eval.tasks.ifeval.instructions_registry"].INSTRUCTION_DICT


def theirs(reference: Any, kind: str, arguments: dict[str, Any], text: str) -> bool:
    checker = reference[kind](kind)
    checker.build_description(**arguments)
    return bool(text.strip()) and bool(checker.check_following(text))


def test_all_25_kinds_are_there(reference: Any) -> None:
    assert set(INSTRUCTIONS) == set(reference)
    assert len(INSTRUCTIONS) == 25
    assert set(INSTRUCTIONS) == set(ARGUMENTS) | NOT_ON_ANY_TEXT


@pytest.mark.parametrize("kind", sorted(ARGUMENTS))
def test_each_kind_agrees_with_the_reference(kind: str, reference: Any) -> None:
    pieces = st.sampled_from(FOCUS.get(kind, ["a"]))
    texts = st.lists(pieces, max_size=12).map("".join) | TEXTS

    @settings(max_examples=400, deadline=None, database=None)
    @given(texts, ARGUMENTS[kind])
    def agree(text: str, arguments: dict[str, Any]) -> None:
        ours = INSTRUCTIONS[kind]
        assert follows(ours, arguments, text) is theirs(reference, kind, arguments, text)
        loosely = any(theirs(reference, kind, arguments, form) for form in reference_forms(text))
        assert follows(ours, arguments, text, loose=True) is loosely

    agree()


def reference_forms(text: str) -> list[str]:
    """The eight forms of the loose score as the paper lists them, spelled out."""
    first, _, rest = text.partition("\n")
    head, _, _ = text.rpartition("\n")
    inner = rest.rpartition("\n")[0]
    forms = [text, rest.strip(), head.strip(), inner.strip()]
    assert first is not None
    return [*forms, *(form.replace("*", "") for form in forms)]


@given(TEXTS)
def test_the_loose_forms_are_eight(text: str) -> None:
    assert sorted(loose_forms(text)) == sorted(reference_forms(text))


SENTENCES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["We", "saw", "Anna", "today", "there", "good"]), min_size=3, max_size=6),
        st.sampled_from([".", "!", "?"]),
    ).map(lambda parts: " ".join(parts[0]).capitalize() + parts[1]),
    min_size=1,
    max_size=6,
)


def test_sentences_agree_with_the_reference(reference: Any) -> None:
    kind = "length_constraints:number_sentences"

    @settings(max_examples=200, deadline=None, database=None)
    @given(SENTENCES, st.integers(1, 6), RELATIONS)
    def agree(parts: list[str], number: int, relation: str) -> None:
        arguments = {"num_sentences": number, "relation": relation}
        text = " ".join(parts)
        assert len(sentences(text)) == len(parts)
        assert follows(INSTRUCTIONS[kind], arguments, text) is theirs(reference, kind, arguments, text)

    agree()


def test_capital_words_agree_with_the_reference(reference: Any) -> None:
    kind = "change_case:capital_word_frequency"
    plain = st.lists(
        st.sampled_from(["WOW", "Wow", "WELL-KNOWN", "A", "x", "B2B", "12", "I"]), min_size=1, max_size=8
    )

    @settings(max_examples=200, deadline=None, database=None)
    @given(plain, st.sampled_from(["", ".", "!"]), SMALL, RELATIONS)
    def agree(parts: list[str], end: str, number: int, relation: str) -> None:
        arguments = {"capital_frequency": number, "capital_relation": relation}
        text = " ".join(parts) + end
        assert follows(INSTRUCTIONS[kind], arguments, text) is theirs(reference, kind, arguments, text)

    agree()


PROSE = {
    "en": "The weather was pleasant this morning, so we walked along the river before breakfast.",
    "de": "Das Wetter war heute Morgen angenehm, deshalb gingen wir vor dem Frühstück am Fluss spazieren.",
    "fr": "Il faisait beau ce matin, nous avons donc marché le long de la rivière avant le petit déjeuner.",
    "es": "El tiempo era agradable esta mañana, así que caminamos junto al río antes del desayuno.",
    "it": "Stamattina il tempo era piacevole, quindi abbiamo passeggiato lungo il fiume prima di colazione.",
    "ru": "Сегодня утром была хорошая погода, поэтому мы прогулялись вдоль реки перед завтраком.",
    "hi": "आज सुबह मौसम सुहावना था, इसलिए हम नाश्ते से पहले नदी के किनारे टहलने गए।",
    "ar": "كان الطقس لطيفا هذا الصباح، لذلك مشينا على طول النهر قبل الإفطار.",
    "ko": "오늘 아침 날씨가 좋아서 우리는 아침 식사 전에 강을 따라 걸었습니다.",
    "ja": "今朝は天気が良かったので、朝食の前に川沿いを散歩しました。",
}


@pytest.mark.parametrize("language", sorted(PROSE))
def test_languages_agree_with_the_reference(language: str, reference: Any) -> None:
    for asked in PROSE:
        arguments = {"language": asked}
        kind = "language:response_language"
        ours = follows(INSTRUCTIONS[kind], arguments, PROSE[language])
        assert ours is theirs(reference, kind, arguments, PROSE[language]) is (asked == language)


@pytest.mark.parametrize("text", [PROSE["en"], PROSE["en"].lower(), PROSE["de"].lower(), PROSE["ja"]])
def test_lower_case_english_agrees_with_the_reference(text: str, reference: Any) -> None:
    kind = "change_case:english_lowercase"
    assert follows(INSTRUCTIONS[kind], {}, text) is theirs(reference, kind, {}, text)


def test_capitals_are_english_capitals() -> None:
    """Not compared: the reference's detector does not know words in capitals, ours ignores case."""
    kind = INSTRUCTIONS["change_case:english_capital"]
    assert follows(kind, {}, PROSE["en"].upper())
    assert not follows(kind, {}, PROSE["en"])
    assert not follows(kind, {}, PROSE["es"].upper())


def test_a_text_without_words_is_of_no_language() -> None:
    assert detect_language("12, 13!") is None
    assert not follows(INSTRUCTIONS["language:response_language"], {"language": "en"}, "12, 13!")
    assert detect_language("\ud800 this is a whole English sentence all the same") == "en"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("One", 1), ("One. Two.", 2), ("Mr. Smith and Dr. No left at 5 p.m. on Friday.", 1),
        ("J. R. R. Tolkien wrote it. We read it.", 2), ("It is 3.50 euros. Fine.", 2), ("Wait... what?", 1),
        ("“Stop!” she said. He stopped.", 2), ("1. Wash it.\n\n2. Dry it.", 2), ("Really?! Yes.", 2),
        ("今日は。明日は！", 2), ("A title\n\nA sentence.", 2), ("See e.g. the list, i.e. all of it.", 1),
    ],
)  # fmt: skip
def test_sentences_are_counted_as_a_reader_would(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def case(id: str, arguments: dict[str, Any], **options: Any) -> Case:
    check = {"type": "instruction", "id": id, "arguments": arguments, **options}
    return Case("c", (Message("user", "?"),), checks=(check,))


@pytest.mark.parametrize(
    ("id", "arguments", "problem"),
    [
        ("keywords:exist", {}, r"expected .*keywords:existence"),
        ("keywords:existence", {}, "'keywords' is missing"),
        ("punctuation:no_comma", {"x": 1}, "unknown field"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"},
            "nothing can follow it",
        ),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}, 'expected "less than"'),
        ("language:response_language", {"language": "klingon"}, "'klingon' is no language"),
    ],
)
def test_wrong_arguments_are_refused(id: str, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        compile_checks(case(id, arguments))


def test_null_arguments_are_as_good_as_absent() -> None:
    compile_checks(case("punctuation:no_comma", {"num_words": None}))


@pytest.mark.parametrize(
    ("id", "arguments", "expected"),
    [
        ("punctuation:no_comma", {}, Outcome.INVALID),
        ("keywords:existence", {"keywords": ["cut"]}, Outcome.PASSED),
        ("keywords:existence", {"keywords": ["end"]}, Outcome.MISSED),
        ("length_constraints:number_words", {"num_words": 9, "relation": "less than"}, Outcome.INVALID),
        ("length_constraints:number_words", {"num_words": 2, "relation": "at least"}, Outcome.PASSED),
    ],
)
def test_an_answer_cut_off_is_judged_as_far_as_it_goes(id: str, arguments: Any, expected: Outcome) -> None:
    assert score(case(id, arguments), Response("it was cut", finish_reason="length")).outcome is expected


@pytest.mark.parametrize("kind", sorted(ARGUMENTS))
def test_huge_answers_end(kind: str) -> None:
    arguments = {
        name: {"type": 3}.get("type") if schema.get("type") == "integer" else value_of(schema)
        for name, schema in INSTRUCTIONS[kind].arguments.items()
    }
    for text in ("[" * 200_000, "*" * 200_000, "<<" * 100_000, "\n" * 200_000 + "x", "a " * 100_000):
        follows(INSTRUCTIONS[kind], arguments, text)


def value_of(schema: Mapping[str, Any]) -> Any:
    if schema["type"] != "string":
        return ["a"] if schema["type"] == "array" else 3
    return schema["enum"][0] if "enum" in schema else "a"
