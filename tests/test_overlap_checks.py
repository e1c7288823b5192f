from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import save_model

from harness.cases import Case, Message, Outcome, Response
from harness.errors import ConfigurationError, MissingDependencyError, ScoringError
from harness.scoring import score
from harness.scoring.checks.overlap_checks import token_f1
from harness.scoring.registry import compile_checks

PASSED, MISSED, INVALID = Outcome.PASSED, Outcome.MISSED, Outcome.INVALID
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund."


def case(check: dict[str, Any], target: Any = None) -> Case:
    return Case("c", (Message("user", "?"),), target=target, checks=(check,))


def value(check: dict[str, Any], text: str) -> float:
    return score(case(check), Response(text)).value


@pytest.mark.parametrize(
    ("reference", "answer", "expected"),
    [
        ("the cat sat", "The cat sat!", 1.0),
        ("the cat sat down", "a cat", 0.5),
        ("to be or not to be", "to be", 0.5),
        ("the", "a", 0.0),
        ("the", "The", 1.0),
        ("-5", "5", 0.0),
        ("3.14", "314", 0.0),
        ("退款需要三天", "退款需要三天。", 1.0),
        ("the", "cat", 0.0),
        ("cat", "", 0.0),
        ("кот сидел", "кот", 2 / 3),
        ("\ud800 cat", "cat", 2 / 3),
    ],
)
def test_token_f1_is_squads(reference: str, answer: str, expected: float) -> None:
    assert token_f1(reference, answer) == pytest.approx(expected)


@given(st.text(), st.text())
def test_token_f1_is_symmetric_and_1_for_equals(one: str, other: str) -> None:
    assert token_f1(one, one) == 1.0
    assert token_f1(one, other) == token_f1(other, one)
    assert 0.0 <= token_f1(one, other) <= 1.0


@pytest.mark.needs("rouge_score", "sacrebleu")
@pytest.mark.parametrize("kind", ["rouge", "bleu", "chrf", "token_f1", "overlap"])
@pytest.mark.parametrize("reference", ["The quick brown fox jumps over it.", GERMAN])
def test_the_reference_itself_scores_1_and_nothing_of_it_0(kind: str, reference: str) -> None:
    check = {"type": kind, "value": reference, "at_least": 0.5}
    assert value(check, reference) == pytest.approx(1.0)
    assert value(check, "zzz yyy www vvv qqq") < 0.1
    assert 0.2 < value(check, reference[: len(reference) // 2]) < 0.9


def test_rouge_is_what_rouge_score_says() -> None:
    rouge = pytest.importorskip("rouge_score.rouge_scorer")
    one, other = "the cat sat on the mat", "on the mat the cat is sitting"
    for metric in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        for stem in (True, False):
            expected = rouge.RougeScorer([metric], use_stemmer=stem).score(one, other)[metric].fmeasure
            check = {"type": "rouge", "value": one, "at_least": 0.01, "metric": metric, "stem": stem}
            assert value(check, other) == pytest.approx(expected)


def test_bleu_and_chrf_are_what_sacrebleu_says() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    references, answer = ["the cat sat on the mat", "a cat was on the mat"], "the cat was on a mat"
    bleu = sacrebleu.sentence_bleu(answer, references, use_effective_order=True).score / 100
    chrf = sacrebleu.sentence_chrf(answer, references, word_order=2).score / 100
    assert value({"type": "bleu", "value": references, "at_least": 0.1}, answer) == pytest.approx(bleu)
    check = {"type": "chrf", "value": references, "at_least": 0.1, "word_order": 2}
    assert value(check, answer) == pytest.approx(chrf)


def test_a_measure_is_kept_whether_it_passes_or_not() -> None:
    check = {"type": "token_f1", "value": "one two three four", "at_least": 0.6}
    low, high = (score(case(check), Response(text)) for text in ("one two", "one two three"))
    assert (low.outcome, low.value) == (PASSED, pytest.approx(2 / 3))
    assert (high.outcome, high.value) == (PASSED, pytest.approx(6 / 7))
    strict = score(case(check | {"at_least": 0.9}), Response("one two three"))
    assert (strict.outcome, strict.value) == (MISSED, pytest.approx(6 / 7))
    assert strict.explanation == "token_f1: token F1 0.857, at least 0.9 is needed"


@pytest.mark.needs("rouge_score")
def test_the_target_is_the_reference() -> None:
    asked = case({"type": "rouge", "at_least": 0.5}, target="a b c")
    assert score(asked, Response("a b c")).value == pytest.approx(1.0)


@pytest.mark.needs("rouge_score", "sacrebleu")
@pytest.mark.parametrize("kind", ["rouge", "bleu", "chrf", "token_f1", "overlap", "length_ratio"])
@pytest.mark.parametrize(
    "text",
    ["\ud800", "\u202emirrored", "a" * 100_000, "word " * 5_000, "你好，世界", "\x00", "مرحبا بالعالم", "“”"],
)
def test_any_text_is_measured(kind: str, text: str) -> None:
    check = {"type": kind, "value": "the reference of four words", "at_least": 0.5}
    assert 0.0 <= value(check, text) <= 1.0


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("one two three", "stop", PASSED), ("one", "stop", MISSED), ("1 2 3 4 5 6 7 8 9", "stop", MISSED),
        ("one two three", "length", INVALID), ("1 2 3 4 5 6 7 8 9", "length", MISSED), ("", "stop", INVALID),
    ],
)  # fmt: skip
def test_length_is_a_ratio_of_words(text: str, finish: str, expected: Outcome) -> None:
    asked = case({"type": "length_ratio", "value": "a b c d"})
    assert score(asked, Response(text, finish_reason=finish)).outcome is expected


@pytest.mark.needs("rouge_score", "sacrebleu")
@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ({"type": "overlap", "value": "one", "n": 2, "at_least": 0.5}, "fewer than 2 words"),
        ({"type": "length_ratio", "value": "!"}, "has no word"),
        ({"type": "length_ratio", "value": "a", "at_least": 3}, "more than at_most"),
        ({"type": "rouge", "value": "a"}, "'at_least' is missing"),
        ({"type": "rouge", "value": "a", "at_least": 0}, "at_least: 0 is less than or equal"),
        ({"type": "semantic_similarity", "value": "a", "model": "/nowhere", "at_least": 0.5}, "no directory"),
    ],
)
def test_wrong_parameters_are_refused(check: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        compile_checks(case(check))


@pytest.mark.needs("transformers")
@pytest.mark.parametrize(
    ("package", "check"),
    [
        ("rouge_score", {"type": "rouge", "value": "a", "at_least": 0.5}),
        ("sacrebleu", {"type": "bleu", "value": "a", "at_least": 0.5}),
        ("sacrebleu", {"type": "chrf", "value": "a", "at_least": 0.5}),
        ("rapidfuzz", {"type": "fuzzy", "value": "a"}),
        ("py3langid", {"type": "instruction", "id": "change_case:english_capital"}),
        ("transformers", {"type": "semantic_similarity", "value": "a", "model": ".", "at_least": 0.5}),
    ],
)
def test_a_missing_package_is_said_with_its_command(
    package: str, check: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else real(name))
    from harness.scoring.registry import _built

    _built.cache_clear()
    extra = "hf" if package == "transformers" else "text"
    message = rf"{package} is not installed: run  pip install 'checkpoint-harness\[{extra}\]'"
    with pytest.raises(MissingDependencyError, match=message):
        compile_checks(case(check))


def test_checking_without_these_checks_imports_none_of_their_packages() -> None:
    code = (
        "import sys; from harness.scoring.registry import check_types; check_types();"
        "print({'rouge_score', 'sacrebleu', 'rapidfuzz', 'py3langid', 'torch', 'nltk'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return save_model(tmp_path_factory.mktemp("encoder"))


def test_similarity_is_a_cosine_of_embeddings(encoder: Path) -> None:
    from harness.scoring.checks.semantic_check import similarity

    check = {"type": "semantic_similarity", "value": "the red box", "model": str(encoder), "at_least": 0.99}
    assert value(check, "the red box") == pytest.approx(1.0)
    other = value(check, "please help with seven")
    assert 0.0 <= other < 0.99
    near = similarity(str(encoder), "the red box", "please help with seven")
    assert max(near, 0.0) == pytest.approx(other)
    assert similarity(str(encoder), "please help with seven", "the red box") == pytest.approx(near)
    assert 0.0 <= value(check, "\ud800 " + "long " * 5_000) <= 1.0


def test_the_pooling_that_the_model_names_is_used(encoder: Path, tmp_path: Path) -> None:
    import shutil

    from harness.scoring.checks.semantic_check import similarity

    copy = Path(shutil.copytree(encoder, tmp_path / "cls"))
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    one, other = "red box now", "red item now"
    assert similarity(str(copy), one, other) == pytest.approx(1.0)  # causal: the first state sees itself only
    assert similarity(str(encoder), one, other) < 0.999


def test_a_damaged_encoder_is_an_error(encoder: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(encoder, tmp_path / "damaged"))
    (copy / "model.safetensors").unlink()
    with pytest.raises(ScoringError, match="cannot be loaded"):
        value({"type": "semantic_similarity", "value": "a", "model": str(copy), "at_least": 0.5}, "b")
