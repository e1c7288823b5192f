from __future__ import annotations

import contextlib
import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared_data

from harness.cases import Case, Message, Outcome, Response, ToolCall
from harness.scoring import score
from harness.scoring.checks.tool_calls_check import expected_from_bfcl
from harness.scoring.text.tool_call_text import MalformedCallError, calls_in_text

PASSED, MISSED, INVALID = Outcome.PASSED, Outcome.MISSED, Outcome.INVALID
Calls = list[dict[str, Any]]


def outcome(case: Case, calls: Calls) -> Outcome:
    """Score structured calls, and see that their text in three notations is scored alike."""
    made = tuple(ToolCall(call["name"], call["arguments"]) for call in calls)
    result = score(case, Response("", finish_reason="tool_calls", tool_calls=made)).outcome
    tagged = "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
    python = ", ".join(
        f"{call['name']}({', '.join(f'{k}={v!r}' for k, v in call['arguments'].items())})" for call in calls
    )
    for text in (tagged, json.dumps(calls), f"[{python}]"):
        if calls:
            assert score(case, Response(text)).outcome is result, text
    return result


def items() -> Iterator[tuple[dict[str, Any], Case, Calls]]:
    with (shared_data("bfcl") / "items.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            item = json.loads(line)
            tools = tuple(
                {"type": "function", "function": {"name": one["name"], "parameters": one["json_schema"]}}
                for one in item["function"]
            )
            check = {"type": "tool_calls", "calls": expected_from_bfcl(item["possible_answer"])}
            case = Case(item["id"], (Message("user", "?"),), checks=(check,), tools=tools)
            calls = [
                {"name": name, "arguments": arguments}
                for call in item["canonical_call"]
                for name, arguments in call.items()
            ]
            yield item, case, calls


# --- corruptions: each returns the corrupted calls, or None where it does not apply ---------------------


def _schema(item: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one["json_schema"] for one in item["function"] if one["name"] == name)


def _optional(item: dict[str, Any], call: dict[str, Any], name: str) -> bool:
    return "" in item["possible_answer"][0][call["name"]][name]


def wrong_name(item: Any, call: Any) -> Any:
    return call | {"name": call["name"] + "_v2"}


def other_function(item: Any, call: Any) -> Any:
    other = [one["name"] for one in item["function"] if one["name"] != call["name"]]
    return call | {"name": other[0]} if other else None


def missing_argument(item: Any, call: Any) -> Any:
    needed = [name for name in call["arguments"] if not _optional(item, call, name)]
    return _without(call, needed[0]) if needed else None


def no_arguments(item: Any, call: Any) -> Any:
    return call | {"arguments": {}} if any(not _optional(item, call, n) for n in call["arguments"]) else None


def extra_argument(item: Any, call: Any) -> Any:
    return _with(call, "verbose_mode_x", True)


def renamed_argument(item: Any, call: Any) -> Any:
    name = next(iter(call["arguments"]), None)
    return None if name is None else _with(_without(call, name), name + "_", call["arguments"][name])


def number_as_text(item: Any, call: Any) -> Any:
    return _first(call, lambda v: str(v) if _is_number(v) else None)


def text_as_number(item: Any, call: Any) -> Any:
    return _first(call, lambda v: 17 if isinstance(v, str) else None)


def integer_as_float(item: Any, call: Any) -> Any:
    properties = _schema(item, call["name"])["properties"]
    for name, value in call["arguments"].items():
        if properties[name].get("type") == "integer" and isinstance(value, int):
            return _with(call, name, float(value))
    return None


def wrong_value(item: Any, call: Any) -> Any:
    def other(value: Any) -> Any:
        if isinstance(value, bool):
            return None  # its other value may be acceptable
        if _is_number(value):
            return value + 12345
        if isinstance(value, str):
            return value + " qzx"
        return [*value, value[0]] if isinstance(value, list) and value else None

    return _first(call, other)


def null_value(item: Any, call: Any) -> Any:
    return _first(call, lambda v: None, always=True)


def other_order(item: Any, call: Any) -> Any:
    """Of the items of an array, which is a value like any other."""
    allowed = item["possible_answer"][0][call["name"]]
    for name, value in call["arguments"].items():
        if isinstance(value, list) and value != value[::-1] and value[::-1] not in allowed[name]:
            return _with(call, name, value[::-1])
    return None


CORRUPTIONS: list[Callable[[Any, Any], Any]] = [
    wrong_name, other_function, missing_argument, no_arguments, extra_argument, renamed_argument,
    number_as_text, text_as_number, integer_as_float, wrong_value, null_value, other_order,
]  # fmt: skip


# Of the 200 calls, how many each corruption applies to: the others offer one function, have no argument of
# that type, no array whose other order is wrong, or (wrong_value) only booleans.
APPLIED = {
    "wrong_name": 200, "other_function": 66, "missing_argument": 200, "no_arguments": 200,
    "extra_argument": 200, "renamed_argument": 200, "number_as_text": 125, "text_as_number": 141,
    "integer_as_float": 120, "wrong_value": 199, "null_value": 200, "other_order": 25,
}  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _with(call: Any, name: str, value: Any) -> Any:
    return call | {"arguments": {**call["arguments"], name: value}}


def _without(call: Any, name: str) -> Any:
    return call | {"arguments": {key: value for key, value in call["arguments"].items() if key != name}}


def _first(call: Any, change: Callable[[Any], Any], *, always: bool = False) -> Any:
    for name, value in call["arguments"].items():
        other = change(value)
        if other is not None or always:
            return _with(call, name, other)
    return None


def test_every_canonical_call_of_bfcl_scores_1() -> None:
    known = json.loads((shared_data("bfcl") / "canonical_call_schema_failures.json").read_text())
    wrong = [item["id"] for item, case, calls in items() if outcome(case, calls) is not PASSED]
    assert wrong == known


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda one: one.__name__)
def test_every_corrupted_call_of_bfcl_scores_0(corrupt: Callable[[Any, Any], Any]) -> None:
    applied, passed = 0, []
    for item, case, calls in items():
        for index in range(len(calls)):
            changed = corrupt(item, copy.deepcopy(calls[index]))
            if changed is None:
                continue
            applied += 1
            if outcome(case, [*calls[:index], changed, *calls[index + 1 :]]) is PASSED:
                passed.append(item["id"])
    assert passed == []
    assert applied == APPLIED[corrupt.__name__]


def test_one_call_too_many_or_none_scores_0() -> None:
    for _, case, calls in items():
        assert outcome(case, [*calls, calls[0]]) is MISSED
        assert score(case, Response("I would rather talk about it.")).outcome is MISSED


# --- what BFCL's open part does not have: parallel calls and irrelevance ---------------------------------


def case_of(expected: Any, **options: Any) -> Case:
    return Case("c", (Message("user", "?"),), checks=({"type": "tool_calls", "calls": expected, **options},))


PARALLEL = [
    {"name": "f", "arguments": {"x": [1, 2]}},
    {"name": "f", "arguments": {"x": [1]}},
    {"name": "g", "arguments": {"y": ["a"]}},
]


def test_parallel_calls_match_in_any_order() -> None:
    calls = [{"name": "f", "arguments": {"x": 1}}, {"name": "f", "arguments": {"x": 2}}]
    calls.append({"name": "g", "arguments": {"y": "A"}})
    for order in itertools.permutations(calls):
        assert outcome(case_of(PARALLEL), list(order)) is PASSED
    ordered = case_of([PARALLEL[1], PARALLEL[0], PARALLEL[2]], ordered=True)
    assert outcome(ordered, calls) is PASSED
    assert outcome(ordered, [calls[2], *calls[:2]]) is MISSED
    assert outcome(case_of(PARALLEL), [calls[1], calls[1], calls[2]]) is MISSED
    assert outcome(case_of(PARALLEL), calls[:2]) is MISSED


def test_irrelevance_is_scored() -> None:
    silent = case_of([])
    assert score(silent, Response("None of the functions helps here.")).outcome is PASSED
    assert outcome(silent, [{"name": "f", "arguments": {}}]) is MISSED
    assert score(silent, Response("")).outcome is INVALID


@pytest.mark.parametrize(
    ("allowed", "value", "passes"),
    [
        ([4], 4, True), ([4], 4.0, False), ([4.0], 4, True), ([True], 1, False), ([1], True, False),
        (["San Francisco, CA"], "san francisco CA", True), (["it's"], 'it"s', True), (["a"], 1, False),
        ([[1, 2]], [1, 2], True), ([[1, 2]], [2, 1], False), ([[1, 2]], [1], False), ([None], None, True),
        ([{"a": [1, 2], "b": ["", 3]}], {"a": 2}, True), ([{"a": [1]}], {"a": 1, "c": 1}, False),
        ([{"a": [1]}], {}, False), ([[{"a": [1]}]], [{"a": 1}], True),
        ([{"a": [1]}], {"a": 2}, False), ([{"a": 1}], {"a": 2}, False),
    ],
)  # fmt: skip
def test_values_are_compared_as_bfcl_does(allowed: list[Any], value: Any, passes: bool) -> None:
    case = case_of([{"name": "f", "arguments": {"x": allowed}}])
    made = (ToolCall("f", {"x": value}),)
    assert (score(case, Response("", tool_calls=made)).outcome is PASSED) is passes


def test_strings_can_be_compared_exactly() -> None:
    case = case_of([{"name": "f", "arguments": {"x": ["A-1"]}}], exact=True)
    assert outcome(case, [{"name": "f", "arguments": {"x": "A-1"}}]) is PASSED
    assert outcome(case, [{"name": "f", "arguments": {"x": "a1"}}]) is MISSED


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Just text.", []),
        ("", []),
        ('{"a": 1}', []),
        ("[1, 2]", []),
        ("print('hi') and more", []),
        ("x = f(a=1)", []),
        ('[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]', ["f"]),
        ('<|python_tag|>{"name": "f", "parameters": {}}', ["f"]),
        ('{"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}', ["f"]),
        ("Let me look.\n```json\n{\"name\": \"f\", \"arguments\": {}}\n```", ["f"]),
        ("```tool_code\nf(a=1)\n```", ["f"]),
        ("[a.f(x=1, y=[1, 2], z={'k': None}), g()]", ["a.f", "g"]),
        ("f(a=1)\ng(b=true)", ["f", "g"]),
        ('Sure.\n<tool_call>{"name": "f"}</tool_call> <tool_call>{"name": "g"}</tool_call>', ["f", "g"]),
        ("See config(deep) for (more)", []),
    ],
)  # fmt: skip
def test_calls_are_read_from_text(text: str, names: list[str]) -> None:
    assert [call.name for call in calls_in_text(text)] == names


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "f", "arguments": {"a": 1}',
        "<tool_call>not json</tool_call>",
        '<tool_call>{"arguments": {}}</tool_call>',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": {"a": 1',
        '{"name": "f", "arguments": {"a": NaN}}',
        "f(1)",
        "f(**{'a': 1})",
        "f(a=__import__('os'))",
        "f(a=1 + 1)",
        "f(a={1, 2})",
        "f(a=b'x')",
        "f(a=1e999)",
        f"f(a=0x{'f' * 5000})",
        r"f(a='\ud800')",
        f"f(a={'[' * 50}{']' * 50})",
        '<tool_call>{"name": "f", "arguments": {"a": 1, "a": 2}}</tool_call>',
    ],
)
def test_a_call_that_cannot_be_read_is_invalid(text: str) -> None:
    with pytest.raises(MalformedCallError):
        calls_in_text(text)
    assert score(case_of([{"name": "f"}]), Response(text)).outcome is INVALID


def test_huge_and_deep_texts_end() -> None:
    for text in (
        "f(a=" + "[" * 15_000,
        "f(" * 9_000,
        "[" * 100_000,
        "<tool_call>" * 5_000,
        "f(a='" + "x" * 10**6,
    ):
        try:
            calls_in_text(text)
        except MalformedCallError:
            continue


literals = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8})?", fullmatch=True).filter(lambda n: _parses(f"{n}()"))


def _parses(text: str) -> bool:
    try:
        compile(text, "x", "eval")
    except SyntaxError:
        return False
    return True


@given(
    st.lists(
        st.tuples(names, st.dictionaries(st.sampled_from(["a", "b_c"]), literals)), min_size=1, max_size=3
    )
)
def test_what_is_written_in_python_is_read_back(calls: list[tuple[str, dict[str, Any]]]) -> None:
    text = ", ".join(f"{name}({', '.join(f'{k}={v!r}' for k, v in args.items())})" for name, args in calls)
    found = calls_in_text(f"[{text}]")
    assert [(call.name, call.arguments) for call in found] == calls


@given(st.text() | st.text(alphabet="<>tool_cal/{}[]()\"':=,f1 \n"))
def test_any_text_has_calls_or_none_or_malformed_ones(text: str) -> None:
    with contextlib.suppress(MalformedCallError):
        calls_in_text(text)
