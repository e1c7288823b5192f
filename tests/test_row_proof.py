"""What is trained is what the row says, or the row is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data.training_rows import TrainingExample, read_rows
from harness.errors import TrainingDataError

pytest.importorskip("transformers", reason="training needs checkpoint-harness[train]")

from harness.train.chat_format import ChatFormat
from harness.train.masking import tokenize_rows
from harness.train.recipe import NewTokenizer
from harness.train.tokenizer import train_tokenizer

PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CALLING = (
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}"
    "{% for c in m.tool_calls or [] %}{{ '<tool_call>' }}"
    "{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}"
    "{{ '</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
DEAF = PLAIN.replace("{{ '<|im_start|>'", "{% if m.role != 'system' %}{{ '<|im_start|>'").replace(
    "'<|im_end|>\\n' }}{% endfor", "'<|im_end|>\\n' }}{% endif %}{% endfor"
)
ASK = {"role": "user", "content": "Is room 5 free?"}
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"room": {}}}},
}


def answer(content: str | None = "Yes.", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(arguments: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "look_up", "arguments": arguments}}]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(
        ["Is room 5 free? Yes. look_up"] * 3, NewTokenizer(vocab_size=300), context_length=256
    )


def rendered(tokenizer: Any, tmp_path: Path, row: dict[str, Any], template: str) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    file = read_rows(path, name="rows.jsonl")
    (made,) = tokenize_rows(ChatFormat(tokenizer, name="t.jinja", template=template), file.examples)
    text = tokenizer.decode([label for label in made.labels if label != -100], skip_special_tokens=False)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("row", "template", "field"),
    [
        ({"messages": [ASK, answer("", tool_calls=call({"room": 5}))]}, PLAIN, r"messages\[1\].tool_calls"),
        ({"messages": [ASK, answer("Yes.", tool_calls=call({}))]}, PLAIN, r"messages\[1\].tool_calls"),
        ({"messages": [ASK, answer()], "tools": [TOOL]}, PLAIN, r"tools\[0\]"),
        (
            {"messages": [{"role": "system", "content": "Be brief."}, ASK, answer()]},
            DEAF,
            r"messages\[0\].content",
        ),
        ({"messages": [{"role": "system", "content": ASK["content"]}, ASK, answer()]}, DEAF, "content"),
        ({"messages": [ASK, answer(reasoning_content="It is.")]}, PLAIN, "reasoning_content"),
        ({"messages": [{**ASK, "name": "Zoe"}, answer()]}, PLAIN, r"messages\[0\].name"),
    ],
)
def test_what_the_template_leaves_out_is_refused(
    tokenizer: Any, tmp_path: Path, row: dict[str, Any], template: str, field: str
) -> None:
    with pytest.raises(TrainingDataError, match=rf"rows\.jsonl:1: .*leaves out .*{field}"):
        rendered(tokenizer, tmp_path, row, template)


@pytest.mark.parametrize("arguments", [{"room": 5, "floor": None}, '{"room": 5, "floor": null}'])
def test_arguments_are_encoded_once(tokenizer: Any, tmp_path: Path, arguments: Any) -> None:
    row = {"messages": [ASK, answer(None, tool_calls=call(arguments))], "tools": [TOOL]}
    assert rendered(tokenizer, tmp_path, row, CALLING) == (
        '<tool_call>{"name": "look_up", "arguments": {"room": 5, "floor": null}}</tool_call><|im_end|>'
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"system": "Be brief."}, "'system'"),
        ({"history": [["a", "b"]]}, "'history'"),
        ({"label": False}, "label false"),
        ({"weight": 0}, "'weight'"),
        ({"images": ["a.png"]}, "'images'"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "'chat_template_kwargs'"),
        ({"rejected": "No."}, "'rejected'"),
    ],
)
def test_keys_that_would_have_no_effect_are_refused(
    tokenizer: Any, tmp_path: Path, more: dict[str, Any], problem: str
) -> None:
    row = {"prompt": "Is room 5 free?", "completion": "Yes."}
    assert rendered(tokenizer, tmp_path, row | {"label": True, "weight": 1, "system": None}, PLAIN)
    with pytest.raises(TrainingDataError, match=rf"rows\.jsonl:1: has .*{problem}"):
        rendered(tokenizer, tmp_path, row | more, PLAIN)


@pytest.mark.parametrize("arguments", ["{", "[1]", 3])
def test_arguments_that_are_no_object_are_refused(tokenizer: Any, tmp_path: Path, arguments: Any) -> None:
    row = {"messages": [ASK, answer("", tool_calls=call(arguments))]}
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:1: .*tool_calls\[0\].function.arguments"):
        rendered(tokenizer, tmp_path, row, CALLING)


def test_nulls_of_an_sdk_say_nothing(tokenizer: Any, tmp_path: Path) -> None:
    row = {"messages": [{**ASK, "name": None}, answer(refusal=None, audio=None, tool_calls=None)]}
    assert rendered(tokenizer, tmp_path, row, PLAIN) == "Yes.<|im_end|>"


def test_two_beginnings_are_refused(tokenizer: Any) -> None:
    example = TrainingExample((ASK, answer()), 0, "rows.jsonl", 3)
    chat = ChatFormat(tokenizer, name="t.jinja", template="{{ bos_token }}{{ bos_token }}" + PLAIN)
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:3: .*two BOS tokens"):
        list(tokenize_rows(chat, [example]))
