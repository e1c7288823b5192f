"""The text that is made of an answer's tokens, and where a stop string ends it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers", reason="decoding needs checkpoint-harness[hf]")

from harness.inference.answer_text import AnswerText
from harness.inference.generation import _before_stop
from harness.inference.stop_strings import StopFinder

SPECIAL = [
    "[TOOL_CALLS]",
    "[THINK]",
    "[/THINK]",
    "<|channel|>",
    "<|message|>",
    "<|end|>",
    "<|image|>",
    "</s>",
]
WORDS = ["f", "Rome", "Paris", "---"]


def tokenizer(special: list[str]) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<unk>", *special, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>")
    made.add_special_tokens({"additional_special_tokens": special[:-1]})
    return made


def ids(made: Any, *words: str) -> list[int]:
    return [int(made.convert_tokens_to_ids(word)) for word in words]


def test_marks_of_calls_and_thoughts_are_kept_and_other_special_tokens_are_not() -> None:
    made = tokenizer(SPECIAL)
    text = AnswerText(made).decode(ids(made, "<|image|>", "[TOOL_CALLS]", "f", "</s>"))
    assert "[TOOL_CALLS]" in text
    assert "image" not in text
    assert "</s>" not in text
    assert AnswerText(made).decode(ids(made, "<|image|>", "f")) == "f"


def test_the_end_of_a_turn_is_no_mark_where_there_are_no_channels() -> None:
    made = tokenizer(["<|end|>", "</s>"])
    assert AnswerText(made).decode(ids(made, "Rome", "<|end|>")) == "Rome"


def test_a_stop_string_within_a_thought_ends_nothing() -> None:
    made = tokenizer(SPECIAL)
    stops = StopFinder(made)
    thought = ids(made, "[THINK]", "Paris", "---")
    assert not stops.completed(thought, ("---",))
    answer = [*thought, *ids(made, "[/THINK]", "Rome")]
    assert not stops.completed(answer, ("---",))
    assert stops.completed([*answer, *ids(made, "---")], ("---",))
    assert stops.completed(ids(made, "Rome", "---"), ("---",))
    assert not stops.completed(ids(made, "Rome", "---"), ("---",), opened=True)


def test_an_answer_is_cut_at_its_own_stop_string() -> None:
    assert _before_stop("<think>a---b</think>Rome---x", ["---"], opened=False) == "<think>a---b</think>Rome"
    assert _before_stop("a---b", ["---"], opened=True) == "a---b"
    assert _before_stop("a---b", ["---"], opened=False) == "a"
