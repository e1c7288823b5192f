"""Every notation of calls that a local model may answer in, and what must never pass for "no call"."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest

from harness.cases import Case, Message, Outcome, Response
from harness.scoring import score
from harness.scoring.checks.tool_call_match import ExpectedCall, call_difference
from harness.scoring.text.tool_call_text import MalformedCallError, ToolCall, calls_in_text

PASSED, MISSED, INVALID = Outcome.PASSED, Outcome.MISSED, Outcome.INVALID


def tool(name: str, required: tuple[str, ...] = (), **types: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = (
    tool("book_room", ("hotel",), hotel="string", nights="integer", view="boolean", extras="array"),
    tool("ping"),
)
ARGUMENTS: dict[str, Any] = {"hotel": "Zur Post", "nights": 2}
JSON = json.dumps(ARGUMENTS)
CALL = json.dumps({"name": "book_room", "arguments": ARGUMENTS})
PYTHON = "book_room(hotel='Zur Post', nights=2)"
TAGS = (
    "<function=book_room>\n<parameter=hotel>\nZur Post\n</parameter>\n"
    "<parameter=nights>\n2\n</parameter>\n</function>"
)
INVOKE = (
    '<invoke name="book_room"><parameter name="hotel">Zur Post</parameter>'
    '<parameter name="nights">2</parameter></invoke>'
)
KEYS = (
    "<arg_key>hotel</arg_key>\n<arg_value>Zur Post</arg_value>\n"
    "<arg_key>nights</arg_key>\n<arg_value>2</arg_value>"
)

FORMATS = {
    "hermes": f"<tool_call>\n{CALL}\n</tool_call>",
    "hermes after words": f"I will book it.\n<tool_call>{CALL}</tool_call><|im_end|>",
    "qwen3-coder": f"<tool_call>\n{TAGS}\n</tool_call>",
    "seed-oss": f"<seed:tool_call>{TAGS}</seed:tool_call>",
    "llama function tag": f"<function=book_room>{JSON}</function>",
    "llama python tag": f"<|python_tag|>{CALL.replace('arguments', 'parameters')}<|eom_id|>",
    "llama json alone": CALL.replace("arguments", "parameters"),
    "llama pythonic": f"[{PYTHON}]",
    "llama 4": f"<|python_start|>[{PYTHON}]<|python_end|><|eot|>".replace("<|eot|>", ""),
    "built-in tool": "<|python_tag|>book_room.call(hotel='Zur Post', nights=2)",
    "mistral v3": f"[TOOL_CALLS][{CALL}]</s>",
    "mistral v11": f"Sure.[TOOL_CALLS]book_room{JSON}",
    "mistral v11 args": f"[TOOL_CALLS]book_room[ARGS]{JSON}",
    "mistral v13 id": f"[TOOL_CALLS]book_room[CALL_ID]123456789[ARGS]{JSON}",
    "deepseek v3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>book_room\n"
    f"```json\n{JSON}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
    "deepseek v3.1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>book_room<｜tool▁sep｜>"
    f"{JSON}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek v3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="book_room">\n'
    '<｜DSML｜parameter name="hotel" string="true">Zur Post</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="nights" string="false">2</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.book_room:0"
    f"<|tool_call_argument_begin|>{JSON}<|tool_call_end|><|tool_calls_section_end|>",
    "glm 4.5": f"<tool_call>book_room\n{KEYS}\n</tool_call>",
    "glm 4.7": f"<tool_call>book_room{KEYS}</tool_call>",
    "glm 4": f"book_room\n{JSON}<|observation|>",
    "minimax m1": f"<tool_calls>\n{CALL}\n</tool_calls>",
    "minimax m2": f"<minimax:tool_call>\n{INVOKE}\n</minimax:tool_call>",
    "harmony": "<|channel|>commentary to=functions.book_room <|constrain|>json<|message|>"
    + JSON
    + "<|call|>",
    "harmony recipient first": "<|start|>assistant to=functions.book_room"
    f"<|channel|>commentary json<|message|>{JSON}",
    "lfm2": f"<|tool_call_start|>[{PYTHON}]<|tool_call_end|>Done.",
    "gemma 3": f"```tool_code\nprint({PYTHON})\n```",
    "gemma 4": '<|tool_call>call:book_room{hotel:<|"|>Zur Post<|"|>,nights:2}<tool_call|>',
    "functiongemma": "<start_function_call>call:book_room{hotel:<escape>Zur Post<escape>"
    ",nights:<escape>2<escape>}"
    "<end_function_call>",
    "cohere 7": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "book_room", "parameters": '
    f"{JSON}}}]<|END_ACTION|>",
    "cohere action": f'Action: ```json\n[{{"tool_name": "book_room", "parameters": {JSON}}}]\n```',
    "granite 3": f"<|tool_call|>[{CALL}]",
    "granite 3.1": f"<tool_call>[{CALL}]",
    "granite 20b": f"<function_call>{CALL}",
    "phi 4 mini": f"functools[{CALL}]",
    "phi 4 mini marks": f"<|tool_call|>[{CALL}]<|/tool_call|>",
    "xlam": f"[{CALL}]",
    "xlam fenced": f"```json\n[{CALL}]\n```",
    "nemotron": f"<TOOLCALL>[{CALL}]</TOOLCALL>",
    "internlm": f"<|action_start|><|plugin|>\n{CALL}<|action_end|>",
    "olmo": f"<function_calls>\n{PYTHON}\n</function_calls>",
    "apertus": f'<|tools_prefix|>[{{"book_room": {JSON}}}]<|tools_suffix|>',
    "functionary": f">>>book_room\n{JSON}",
    "step": "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>"
    '<steptml:invoke name="book_room">'
    '<steptml:parameter name="hotel">Zur Post</steptml:parameter>'
    '<steptml:parameter name="nights">2</steptml:parameter></steptml:invoke>'
    "<｜tool_call_end｜><｜tool_calls_end｜>",
}


def case_of(*calls: dict[str, Any]) -> Case:
    checks = ({"type": "tool_calls", "calls": list(calls)},)
    return Case("c", (Message("user", "?"),), checks=checks, tools=TOOLS)


WANTED = {"name": "book_room", "arguments": {"hotel": ["Zur Post"], "nights": [2]}}


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_a_call_is_read_in_every_familys_notation(text: str) -> None:
    assert calls_in_text(text, TOOLS) == (ToolCall("book_room", ARGUMENTS),)
    assert score(case_of(WANTED), Response(text)).outcome is PASSED
    assert score(case_of(), Response(text)).outcome is MISSED


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_a_call_that_is_cut_off_is_never_no_call(text: str) -> None:
    for end in range(len(text) * 2 // 3, len(text)):
        outcome = score(case_of(), Response(text[:end])).outcome
        assert outcome is not PASSED, text[:end]


@pytest.mark.parametrize(
    "text",
    [
        f"I will call it: {CALL}",
        '{"tool": "book_room", "args": {"hotel": "Zur Post"}}',
        '{"book_room": {"hotel": "Zur Post"}}',
        JSON,
        "Action: book_room\nAction Input: Zur Post",
        "I run book_room(hotel='Zur Post') now.",
        "Let me call ping() first.",
        "```python\nroom = book_room(hotel='Zur Post')\n```",
        "<book_room><hotel>Zur Post</hotel></book_room>",
        "<tool_call>",
        "</tool_call>",
        "<|tool_call_begin|>functions.book_room:0<|tool_call_argument_begin|>{}",
        "<|tool_calls_section_begin|><|tool_call_begin|>call_1<|tool_call_argument_begin|>{}<|tool_call_end|>",
        "<tool_call><function=book_room><parameter=hotel>Zur Post</function></tool_call>",
        "<tool_call>book_room<arg_key>hotel</arg_key></tool_call>",
        "<function=book_room><parameter=hotel>A</parameter><parameter=hotel>B</parameter></function>",
        "<function=book_room><parameter=hotel>A</parameter> and so on</function>",
        '<|tool_call>call:book_room{hotel:<|"|>Zur Post}<tool_call|>',
        "[TOOL_CALLS]book_room",
        f"<tool_call>{CALL}</tool_call> and then <tool_call>",
        f'<tool_call>{{"name": "a", "tool_name": "b", "arguments": {JSON}}}</tool_call>',
        f'{{"name": "book_room", "arguments": {JSON}, "parameters": {{}}}}',
        "commentary to=functions.book_roomjson{}",
    ],
)
def test_what_looks_like_a_call_and_is_not_read_is_invalid(text: str) -> None:
    with pytest.raises(MalformedCallError):
        calls_in_text(text, TOOLS)
    assert score(case_of(), Response(text)).outcome is INVALID


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny.",
        "I cannot book a room: book_room(hotel) needs the hotel's name, and I have no `ping`.",
        "The function f(x) = 2x grows; (see below) {1, 2}.",
        '{"answer": "none of the tools fits"}',
        "<b>No</b>, there is no such hotel.",
        "A tool would not help here, and neither would a call to the hotel.",
    ],
)
def test_prose_makes_no_call(text: str) -> None:
    assert calls_in_text(text, TOOLS) == ()
    assert score(case_of(), Response(text)).outcome is PASSED


def test_two_calls_are_read_in_every_notation_that_repeats_itself() -> None:
    for name in (
        "hermes",
        "qwen3-coder",
        "glm 4.5",
        "mistral v11",
        "kimi",
        "harmony",
        "gemma 4",
        "granite 20b",
    ):
        assert len(calls_in_text(FORMATS[name] * 2, TOOLS)) == 2, name
    assert len(calls_in_text(f"{CALL}; {CALL}", TOOLS)) == 2
    assert len(calls_in_text(f"<|python_tag|>{CALL}; {CALL}", TOOLS)) == 2
    assert len(calls_in_text(f"<tool_calls>\n{CALL}\n{CALL}\n</tool_calls>", TOOLS)) == 2


@pytest.mark.parametrize(
    "mark",
    [
        " ", "\n", "<", "[", "{", "to=functions.x ", "commentary ", "Action: ", "functools ", "ping(",
        "ping ", "<|im_end|>", "<tool_call>", "<function=", '<invoke name="a">', "<|tool_call>call:a{ ",
        "[TOOL_CALLS]a", "1,", "a-", "a.", "a@",
    ],
)  # fmt: skip
def test_one_mark_again_and_again_takes_no_time(mark: str) -> None:
    repeated = mark * (20_000 // len(mark))
    began = time.process_time()  # of this process: others may keep the machine busy
    for text in (f"x{repeated}x", repeated, f"<|tool_call>call:a{{{repeated}", f"to=functions.x{repeated}"):
        with contextlib.suppress(MalformedCallError):
            calls_in_text(text, TOOLS)
    call_difference(ExpectedCall("f", {"a": [repeated]}), ToolCall("f", {"a": f"{repeated}x"}))
    assert time.process_time() - began < 5


def test_arguments_in_tags_have_the_types_of_the_schema() -> None:
    def read(key: str, value: str) -> Any:
        text = f"<function=book_room><parameter={key}>{value}</parameter></function>"
        return calls_in_text(text, TOOLS)[0].arguments[key]

    assert read("hotel", "12") == "12"
    assert read("hotel", "\n  two\nlines\n") == "  two\nlines"
    assert read("nights", " 2 ") == 2
    assert read("nights", "two") == "two"
    assert read("view", "True") is True
    assert read("view", "false") is False
    assert read("extras", "['a', 1]") == ["a", 1]
    assert read("extras", '["a", {"b": null}]') == ["a", {"b": None}]
    assert read("unknown", "3") == 3
    assert read("unknown", "three") == "three"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"), ("-5", "5"), ("1e-5", "1e5"), ("2024-1-11", "2024-11-1"), ("10.0.1.1", "10.01.1"),
        ("10^3", "103"), ("a/b", "ab"), ("x*y", "xy"), ("1,5", "15"), ("1 5", "15"), ("A-", "A"),
        (".5", "5"), ("$1.00", "$100"), ("-rf", "rf"), ("j.d@x.org", "jd@x.org"), (",", "."), ("", ","),
    ],
)  # fmt: skip
def test_marks_that_mean_something_are_compared(one: str, other: str) -> None:
    assert call_difference(ExpectedCall("f", {"a": [one]}), ToolCall("f", {"a": other})) is not None
    assert call_difference(ExpectedCall("f", {"a": [other]}), ToolCall("f", {"a": one})) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"), ("San Francisco, CA", "san francisco CA"), ("New-York", "New York"),
        ("U.S.A.", "USA"), ("Dr. No", "dr no"), ("Caf\u00e9", "Cafe\u0301"), ("it's", 'it"s'),
    ],
)  # fmt: skip
def test_marks_that_only_separate_are_not(one: str, other: str) -> None:
    assert call_difference(ExpectedCall("f", {"a": [one]}), ToolCall("f", {"a": other})) is None


def test_exact_and_json_compare_the_composed_form_of_texts() -> None:
    exact = ExpectedCall("f", {"a": ["Caf\u00e9"]}, exact=True)
    assert call_difference(exact, ToolCall("f", {"a": "Cafe\u0301"})) is None
    check = {"type": "json_equals", "value": {"caf\u00e9": "\u00fc"}}
    case = Case("c", (Message("user", "?"),), checks=(check,))
    assert score(case, Response('{"cafe\u0301": "u\u0308"}')).outcome is PASSED
    assert score(case, Response('{"cafe": "u"}')).outcome is MISSED
