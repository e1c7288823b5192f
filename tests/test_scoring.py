from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Case, Message, Outcome, Response, Score, ToolCall
from harness.errors import ConfigurationError, InferenceError, MissingDependencyError, ScoringError
from harness.files.read_json import InvalidJsonError
from harness.scoring import (
    CheckFailed,
    CheckType,
    InvalidOutput,
    Scorer,
    check,
    check_types,
    checks,
    declare_check,
    find_refusal,
    score,
    without_thought,
)
from harness.scoring.built_in import BUILT_IN
from harness.scoring.check_type import declared_by, declared_in
from harness.scoring.checks.parameters import COUNT, FLAG
from harness.scoring.registry import check_type, compile_checks
from harness.scoring.selftest import case_faults, example_case
from harness.scoring.text.json_text import difference, extract_json
from harness.scoring.text.number_text import last_number, parse_number

PASSED, MISSED, INVALID = Outcome.PASSED, Outcome.MISSED, Outcome.INVALID


PLUGIN = """
from harness.cases import Score
from harness.scoring import CheckType, declare_check

@declare_check("count_a", parameters={"n": {"type": "integer", "minimum": 0}})
def count_a(n):
    return lambda case, response: Score.passed() if response.text.count("a") == n else Score.missed("other")

SAME = CheckType("same_a", count_a, {"n": {"type": "integer", "minimum": 0}}, ("n",))
NEITHER = {}
"""


def case(*checks: dict[str, Any], target: Any = None, **fields: Any) -> Case:
    return Case("c", (Message("user", "?"),), target=target, checks=checks, **fields)


def outcome(text: str, *checks: dict[str, Any], target: Any = None, finish: str = "stop") -> Outcome:
    return score(case(*checks, target=target), Response(text, finish_reason=finish)).outcome


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ({"type": "equals", "value": "Paris"}, " Paris\n", PASSED),
        ({"type": "equals", "value": "Paris"}, "paris", MISSED),
        ({"type": "equals", "value": "Paris", "normalize": []}, "Paris ", MISSED),
        ({"type": "equals", "value": "a b", "normalize": ["casefold", "whitespace"]}, " A\n B", PASSED),
        ({"type": "equals", "value": "its me", "normalize": ["punctuation", "casefold"]}, "It’s me!", PASSED),
        ({"type": "equals", "value": "caf\u00e9"}, "cafe\u0301", PASSED),
        ({"type": "one_of", "values": ["yes", "no"]}, "no", PASSED),
        ({"type": "one_of", "values": ["yes", "no"]}, "no.", MISSED),
        ({"type": "contains", "value": "refund"}, "a refund.", PASSED),
        ({"type": "contains", "value": "refund"}, "a Refund.", MISSED),
        ({"type": "contains", "value": "refund", "ignore_case": True}, "a Refund.", PASSED),
        ({"type": "contains", "value": "no", "whole_words": True}, "I know", MISSED),
        ({"type": "contains", "value": "no", "whole_words": True}, "oh, no!", PASSED),
        ({"type": "contains", "value": "a.c"}, "abc", MISSED),
        ({"type": "contains_all", "values": ["a", "b"]}, "b and a", PASSED),
        ({"type": "contains_all", "values": ["a", "x"]}, "b and a", MISSED),
        ({"type": "contains_any", "values": ["x", "a"]}, "b and a", PASSED),
        ({"type": "contains_any", "values": ["x", "y"]}, "b and a", MISSED),
        ({"type": "not_contains", "values": ["x"]}, "b and a", PASSED),
        ({"type": "not_contains", "values": ["x", "a"]}, "b and a", MISSED),
        ({"type": "starts_with", "value": "Dear"}, "\n Dear all", PASSED),
        ({"type": "starts_with", "value": "dear", "ignore_case": True}, "Dear all", PASSED),
        ({"type": "starts_with", "value": "Dear"}, "Oh dear", MISSED),
        ({"type": "ends_with", "value": "Bye."}, "Well. Bye. \n", PASSED),
        ({"type": "ends_with", "value": "Bye."}, "Bye. Well.", MISSED),
        ({"type": "max_length", "words": 3}, "one two three", PASSED),
        ({"type": "max_length", "words": 3}, "one two three four", MISSED),
        ({"type": "max_length", "characters": 3, "lines": 1}, " abc ", PASSED),
        ({"type": "max_length", "characters": 30, "lines": 1}, "a\n\nb", MISSED),
        ({"type": "min_length", "words": 2}, "one", MISSED),
        ({"type": "min_length", "lines": 2}, "one\ntwo", PASSED),
        ({"type": "regex", "pattern": "^[0-9]+$"}, " 42 ", PASSED),
        ({"type": "regex", "pattern": "[0-9]+"}, "a 42", PASSED),
        ({"type": "regex", "pattern": "[0-9]+", "match": "full"}, "a 42", MISSED),
        ({"type": "regex", "pattern": "^b$", "multiline": True}, "a\nb\nc", PASSED),
        ({"type": "regex", "pattern": "a.c", "dotall": True, "ignore_case": True}, "A\nC", PASSED),
        ({"type": "number", "value": 72}, "48 + 24 = 72.", PASSED),
        ({"type": "number", "value": 72}, "72 = 48 + 24", MISSED),
        ({"type": "number", "value": "1,234.5"}, "It is $1,234.50", PASSED),
        ({"type": "number", "value": 3.14, "tolerance": 0.01}, "3.15", PASSED),
        ({"type": "number", "value": 3.14, "tolerance": 0.01}, "3.16", MISSED),
        ({"type": "number", "value": 0.3}, "0.1 + 0.2 = 0.30", PASSED),
        ({"type": "number", "value": 18, "after": "####"}, "2 * 9 #### 18 (checked 3 times)", PASSED),
        ({"type": "number", "value": 18, "after": "####"}, "2 * 9 = 18", INVALID),
        ({"type": "number", "value": 5, "pattern": r"A: (\S+)"}, "A: 4, no: A: 5 of 9", PASSED),
        ({"type": "number", "value": 5, "pattern": r"A: (\S+)"}, "A: none", INVALID),
        ({"type": "number", "value": 5}, "five", PASSED),
        ({"type": "number", "value": 5}, "many", INVALID),
        ({"type": "number", "value": 5}, "9" * 5000, INVALID),
        ({"type": "json_schema", "schema": {"type": "array"}}, "[1]", PASSED),
        ({"type": "json_schema", "schema": {"type": "array"}}, "{}", MISSED),
        ({"type": "json_schema", "schema": {"type": "array"}}, "Here:\n```json\n[1]\n```\nDone.", PASSED),
        ({"type": "json_schema", "schema": {"type": "array"}, "strict": True}, "```json\n[1]\n```", INVALID),
        ({"type": "json_schema", "schema": {"type": "array"}}, "```\n[1]\n```\n```\n[2]\n```", INVALID),
        ({"type": "json_schema", "schema": {"type": "array"}}, "Sure! [1]", INVALID),
        ({"type": "json_schema", "schema": {}}, "[" * 100_000, INVALID),
        ({"type": "json_schema", "schema": {}}, "NaN", INVALID),
        ({"type": "json_schema", "schema": {}}, '{"a": 1, "a": 2}', INVALID),
        ({"type": "json_schema", "schema": {"type": "integer"}}, "9" * 5000, INVALID),
        ({"type": "json_schema", "schema": {"format": "date"}}, '"2026-02-30"', MISSED),
        ({"type": "json_schema", "schema": {"format": "date-time"}}, '"2026-02-28T10:00:00Z"', PASSED),
        ({"type": "json_schema", "schema": {"format": "date-time"}}, '"2026-02-31T10:00:00Z"', MISSED),
        ({"type": "json_schema", "schema": {"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False}}, '{"xy": null}', PASSED),  # noqa: E501
        ({"type": "json_schema", "schema": {"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False}}, '{"y": null}', MISSED),  # noqa: E501
        ({"type": "json_equals", "value": {"a": [1, 2]}}, '{"a": [1.0, 2]}', PASSED),
        ({"type": "json_equals", "value": {"a": 1}}, '{"a": true}', MISSED),
        ({"type": "json_equals", "value": {"a": 1}}, '{"a": 1, "b": 2}', MISSED),
        ({"type": "json_equals", "value": {"a": 1}, "extra_keys": True}, '{"a": 1, "b": 2}', PASSED),
        ({"type": "json_equals", "value": [1, 2]}, "[2, 1]", MISSED),
        ({"type": "json_equals", "value": [1, 2], "ignore_order": True}, "[2, 1]", PASSED),
        ({"type": "json_equals", "value": [1, 1, 2], "ignore_order": True}, "[2, 2, 1]", MISSED),
        ({"type": "json_equals", "value": 1}, "one", INVALID),
        ({"type": "refusal"}, "I'm sorry, but I can't help with that.", PASSED),
        ({"type": "refusal"}, "Sure, here is how.", MISSED),
        ({"type": "not_refusal"}, "I'm sorry, but I can't help with that.", MISSED),
        ({"type": "not_refusal"}, "Sure, here is how.", PASSED),
        ({"type": "allow_empty"}, "", PASSED),
        ({"type": "equals", "value": ""}, "", PASSED),
    ],
)  # fmt: skip
def test_each_check_type_decides(declared: dict[str, Any], text: str, expected: Outcome) -> None:
    assert outcome(text, declared) is expected


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("Paris", " Paris ", PASSED),
        ("Paris", "It is Paris", MISSED),
        (72, "so 72", PASSED),
        ({"a": 1}, '{"a": 1}', PASSED),
        ([1], "{}", MISSED),
        (True, "true", PASSED),
    ],
)
def test_a_case_without_checks_is_compared_with_its_target(target: Any, text: str, expected: Outcome) -> None:
    assert outcome(text, target=target) is expected


@pytest.mark.parametrize("kind", ["equals", "contains", "json_equals"])
def test_a_check_without_value_takes_the_target(kind: str) -> None:
    assert outcome('"x"', {"type": kind}, target='"x"' if kind != "json_equals" else "x") is PASSED


def test_a_case_with_neither_cannot_be_scored() -> None:
    with pytest.raises(ScoringError, match="case 'c' has no checks and no target"):
        score(case(), Response("x"))


def test_an_error_is_never_a_score() -> None:
    with pytest.raises(InferenceError, match="connection refused"):
        check(case(target="x"), Response("", finish_reason="error", detail="connection refused"))


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\ufeff", "\x00"])
def test_an_answer_that_cannot_be_seen_is_invalid(text: str) -> None:
    assert outcome(text, {"type": "not_contains", "values": ["x"]}) is INVALID
    assert outcome(text, {"type": "refusal"}) is INVALID
    assert outcome(text, {"type": "not_refusal"}) is INVALID


def test_why_an_answer_is_empty_is_said() -> None:
    asked = case(target="x")
    assert (
        score(asked, Response("", completion_tokens=9)).explanation
        == "empty answer (9 tokens, all of them special)"
    )
    withheld = Response("", finish_reason="content_filter")
    assert score(asked, withheld).outcome is INVALID
    assert score(case({"type": "refusal"}), withheld).outcome is PASSED
    assert score(case({"type": "not_refusal"}), withheld).outcome is MISSED
    assert (
        score(case({"type": "min_length", "words": 1}), Response("", tool_calls=(ToolCall("f", {}),))).outcome
        is MISSED
    )


def test_a_prompt_that_does_not_fit_is_invalid_with_both_lengths() -> None:
    result = score(
        case(target="x"), Response("", finish_reason="context_overflow", detail="5000 tokens, 4096 fit")
    )
    assert (result.outcome, result.explanation) == (INVALID, "5000 tokens, 4096 fit")


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ({"type": "contains", "value": "yes"}, "yes, bec", PASSED),
        ({"type": "contains", "value": "yes"}, "well, bec", MISSED),
        ({"type": "json_schema", "schema": {}}, '{"a": ', INVALID),
        ({"type": "number", "value": 12}, "so it is 12", INVALID),
        ({"type": "number", "value": 12}, "first 12 and then", INVALID),
        ({"type": "number", "value": 12, "after": "A:"}, "A: 12", INVALID),
        ({"type": "number", "value": 12, "after": "A:"}, "A: 12, bec", PASSED),
        ({"type": "max_length", "words": 9}, "one two", INVALID),
        ({"type": "max_length", "words": 1}, "one two", MISSED),
        ({"type": "ends_with", "value": "Bye."}, "Well", INVALID),
    ],
)
def test_an_answer_cut_off_is_judged_as_far_as_it_goes(declared: Any, text: str, expected: Outcome) -> None:
    assert outcome(text, declared, finish="length") is expected


def test_check_asserts_and_keeps_the_score() -> None:
    asked = case({"type": "contains", "value": "a"}, {"type": "json_schema", "schema": {}})
    with pytest.raises(CheckFailed) as missed:
        check(asked, Response("b"))
    assert not isinstance(missed.value, InvalidOutput)
    assert isinstance(missed.value, AssertionError)
    assert missed.value.score.outcome is MISSED
    assert (
        str(missed.value)
        == "contains: does not contain 'a'; json_schema: not JSON: expecting value (column 1)"
    )
    with pytest.raises(InvalidOutput) as invalid:
        check(asked, Response("a"))
    assert invalid.value.score.outcome is INVALID
    assert check(asked, Response('"a"')).value == 1.0


def test_a_value_of_which_nothing_is_left_is_refused() -> None:
    declared = {"type": "equals", "value": "...", "normalize": ["punctuation"]}
    with pytest.raises(ConfigurationError, match="nothing is left of a value"):
        score(case(declared), Response("?!"))


@pytest.mark.parametrize(
    "mark", [" ", "\n", "a,", "a ", "1,", "(", "<", "[", "{", "|", "`", "- a\n", "I can't "]
)
def test_no_check_takes_long_over_one_mark_again_and_again(mark: str) -> None:
    text = f"x{mark * (20_000 // len(mark))}x"
    for kind in map(check_type, check_types()):
        if kind.name in ("python_tests", "no_pii", "no_secrets") or not kind.examples:
            continue  # one runs code, the others' libraries have limits of their own
        if kind.build.__module__.endswith("likelihood_checks"):
            continue
        began = time.process_time()  # of this process: others may keep the machine busy
        with contextlib.suppress(MissingDependencyError):
            score(example_case(kind, kind.examples[0]), Response(text))
        assert time.process_time() - began < 5, kind.name


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nHm, 5?\n</think>\n\n4", "4"),
        ("Hm, 5?\n</think>\n\n4", "4"),  # the template opened it
        ("<thinking>5</thinking><think>6</think> 4", "4"),
        ("<think>5", ""),
        ("4", "4"),
        ("Write <think>5</think> for that.", "Write <think>5</think> for that."),
        ("<think></think>" * 5000, ""),
        ("a < b", "a < b"),
    ],
)
def test_what_a_model_thinks_is_no_part_of_its_answer(text: str, answer: str) -> None:
    assert without_thought(text) == answer


def test_checks_and_refusals_read_what_stands_behind_a_thought() -> None:
    asked = case({"type": "equals", "value": "4"})
    assert score(asked, Response("<think>Or 5?</think>\n4")).outcome is PASSED
    assert score(asked, Response("<think>It is 4")).explanation == "a thought without an answer"
    cut = score(asked, Response("<think>It is 4", "length"))
    assert (cut.outcome, cut.explanation) == (INVALID, "a thought without an answer: it was cut off")
    assert find_refusal("<think>I can't help with that? I can.</think>Sure, here it is.") is None
    assert find_refusal("<think>Sure.</think>I can't help with that.")


@pytest.mark.parametrize(
    "declared",
    [
        {"type": "regex", "pattern": "(a|aa)+$"},
        {"type": "number", "value": 1, "pattern": "((?:a|aa)+)$"},
        {"type": "json_schema", "schema": {"pattern": "(a|aa)+$"}, "strict": False},
        {"type": "json_schema", "schema": {"propertyNames": {"pattern": "(a|aa)+$"}}},
    ],
)
def test_a_pattern_that_never_ends_is_an_error_and_no_hang(declared: dict[str, Any]) -> None:
    bad = "a" * 60 + "b"
    text = json.dumps(bad if "propertyNames" not in declared.get("schema", {}) else {bad: 1})
    started = time.perf_counter()
    with pytest.raises(ScoringError, match=r"\(a\|aa\)\+\$|\(\(\?:a"):
        score(case(declared), Response(bad if declared["type"] != "json_schema" else text))
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "pattern",
    [
        "((a{1000}){1000}){1000}",
        "(?:(?:x{9}){9999}){9999}",
        "[a-z]{1000}{1000}",
        "(" * 900 + ")" * 900,
        "a{9999999}",
    ],
)
def test_a_pattern_that_would_fill_the_memory_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=r"checks\[0\]: regex: "):
        compile_checks(case({"type": "regex", "pattern": pattern}))


@pytest.mark.parametrize(
    "pattern", [r"\d{3}-\d{4}", r"[(]{2,}\{9\}", r"(?P<y>\d{4})-(\d\d){1,2}", r"[]{]{3}", "a{,5}b{"]
)
def test_usual_patterns_are_accepted(pattern: str) -> None:
    compile_checks(case({"type": "regex", "pattern": pattern}))


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"type": "max_length"}, "max_length: should be non-empty|max_length: is empty"),
        (
            {"type": "number", "value": 1, "after": "A", "pattern": "(1)"},
            "give one of `after`, `pattern` and `unit`",
        ),
        ({"type": "number", "value": 1, "pattern": "1"}, "needs exactly one group"),
        ({"type": "number", "value": True}, "value: expected number or string, found true"),
        ({"type": "json_schema", "schema": {"format": "hostname"}}, "format 'hostname' is not checked here"),
        ({"type": "json_schema", "schema": {"$ref": "#/$defs/x"}}, r"refers to '/\$defs/x'"),
        ({"type": "json_schema", "schema": {"pattern": "("}}, "not a regular expression|is not a 'regex'"),
        ({"type": "equals", "value": "x", "normalize": ["lower"]}, 'normalize\\[0\\]: expected "articles"'),
        ({"type": 3}, "has no `type`"),
    ],
)
def test_bad_parameters_are_refused_when_the_check_is_built(declared: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        compile_checks(case(declared))


def test_a_schema_never_reaches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for schema in ({"$ref": "http://127.0.0.1:9/s"}, {"$id": "http://127.0.0.1:9/", "$ref": "#x"}):
        with pytest.raises(ConfigurationError):
            compile_checks(case({"type": "json_schema", "schema": schema}))


def test_a_foreign_check_that_breaks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.scoring import registry

    def raising() -> Any:
        def scorer(case: Case, response: Response) -> Score:
            raise KeyError("oops")

        return scorer

    kinds = {
        "raises": CheckType("raises", raising),
        "returns": CheckType("returns", lambda: lambda case, response: 1.0),  # type: ignore[arg-type, return-value]
        "nan": CheckType("nan", lambda: lambda case, response: Score(float("nan"), PASSED)),
        "graded": CheckType("graded", lambda: lambda case, response: Score(0.25, PASSED)),
    }
    monkeypatch.setattr(registry, "_BUILT_IN", {**registry._BUILT_IN, **kinds})
    registry.check_type.cache_clear()
    for name, message in (
        ("raises", "raised KeyError"),
        ("returns", "returned float"),
        ("nan", "finite number"),
    ):
        with pytest.raises(ScoringError, match=message):
            score(case({"type": name}), Response("x"))
    assert score(case({"type": "graded"}, {"type": "contains", "value": "x"}), Response("x")).value == 0.25


SCRIPT = """
from harness.cases import Case, Message, Response
from harness.scoring import check_types, score
from harness.scoring.registry import check_problems

def case(name, **parameters):
    return Case("c", (Message("user", "?"),), checks=({"type": name, **parameters},))

for name in ("count_a", "same_a"):
    assert name in check_types()
    asked = case(name, n=2)
    assert [str(score(asked, Response(text)).outcome) for text in ("aa", "a")] == ["passed", "missed"]
    print(*check_problems(case(name)), *check_problems(case(name, n=-1)))
print(*check_problems(case("neither")))
"""


ENTRIES = "count_a = acme_checks:count_a\nsame_a = acme_checks:SAME\nneither = acme_checks:NEITHER\n"


def test_an_installed_package_adds_its_check_type(tmp_path: Path) -> None:
    (tmp_path / "acme_checks.py").write_text(PLUGIN)
    metadata = tmp_path / "acme_checks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-checks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[harness.checks]\n" + ENTRIES)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.stderr == ""
    for name in ("count_a", "same_a"):
        assert f"{name}: 'n' is missing" in done.stdout
        assert f"{name}: n: -1 is less than the minimum of 0" in done.stdout
    assert "is a dict: neither a factory under @declare_check nor a CheckType" in done.stdout


def test_check_types_are_listed() -> None:
    assert {"equals", "json_schema", "number", "refusal", "regex"} <= set(check_types())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-12", -12), ("−7", -7), ("-$12", -12), ("$ 12.50", 12.5), ("1,234,567.89", 1234567.89),
        ("x-3", 3), ("10-3", 3), ("1e3", 1000), (".5", 0.5), ("3.", 3), ("5%", 5), ("**42**", 42),
        ("a = -3", -3), ("$18/day", 18), ("A4", None), ("_42_", 42), ("", None), ("is ...42", 42),
    ],
)  # fmt: skip
def test_the_last_number_is_read(text: str, value: float | None) -> None:
    found = last_number(text)
    assert (None if found is None else float(found[0])) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12))
def test_written_numbers_are_read_back(value: Any) -> None:
    assert parse_number(f"{value:,}") == value
    assert parse_number(str(value)) == value


@given(st.text())
def test_any_text_has_a_last_number_or_none(text: str) -> None:
    last_number(text)


values = st.recursive(
    st.integers(-3, 3) | st.booleans() | st.none() | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y"]), inner),
    max_leaves=8,
)


@given(values)
def test_json_equals_itself_in_any_order(value: Any) -> None:
    def turned(item: Any) -> Any:
        if isinstance(item, list):
            return [turned(part) for part in reversed(item)]
        return {key: turned(part) for key, part in item.items()} if isinstance(item, dict) else item

    assert difference(value, value) is None
    assert difference(value, turned(value), ignore_order=True) is None


@given(values, values)
def test_json_differs_where_its_spelling_does(one: Any, two: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (difference(one, two) is None) is same


def test_matching_in_any_order_finds_the_only_assignment() -> None:
    expected = [{"a": 1}, {"a": 1, "b": 2}]
    assert (
        difference(expected, [{"a": 1, "b": 2}, {"a": 1, "c": 3}], ignore_order=True, extra_keys=True) is None
    )
    lacking = difference(expected, [{"a": 1}, {"a": 1}], ignore_order=True, extra_keys=True)
    assert lacking == 'the value lacks {"a": 1, "b": 2}'


def test_the_place_of_a_difference_is_named() -> None:
    assert (
        difference({"items": [{"sku": "A"}]}, {"items": [{"sku": "B"}]})
        == 'items[0].sku is "B", expected "A"'
    )


def test_an_unfinished_block_is_no_json() -> None:
    with pytest.raises(InvalidJsonError, match="found 0 finished blocks"):
        extract_json("```json\n{}")


def test_a_case_tests_its_own_checks() -> None:
    good = case({"type": "contains", "value": "x"}, accepts=("x",), rejects=("y", ""))
    assert case_faults(good) == []
    bad = case({"type": "contains", "value": "x"}, accepts=("y",), rejects=("xy",))
    assert case_faults(bad) == [
        "accepts[0] is missed: contains: does not contain 'x'",
        "rejects[0] passes: 'xy'",
    ]


def test_every_check_is_found_by_the_name_that_it_declares() -> None:
    """What is read from the text of the modules is what importing them declares."""
    declared = {
        name: f"harness.scoring.checks.{module.name}"
        for module in pkgutil.iter_modules(checks.__path__)
        for name in declared_in(importlib.import_module(f"harness.scoring.checks.{module.name}").__name__)
    }
    assert dict(BUILT_IN.homes) == declared
    assert {name: kind.name for name, kind in BUILT_IN.items()} == {name: name for name in declared}


@pytest.mark.parametrize(
    ("parameters", "strangers"),
    [
        ({"least": COUNT}, "most"),
        ({"least": COUNT, "most": COUNT, "odd": FLAG}, "odd"),
        (None, "least, most"),
    ],
)
def test_a_check_declares_the_parameters_that_it_takes(parameters: Any, strangers: str) -> None:
    def bounded(least: int, most: int = 9) -> Scorer:
        return lambda case, response: Score.passed()

    with pytest.raises(
        ValueError, match=f"'bounded': its factory and its `parameters` differ in {strangers}$"
    ):
        declare_check("bounded", parameters=parameters)(bounded)
    assert declared_by(bounded) is None


def test_what_has_no_default_must_be_given() -> None:
    @declare_check("bounded", parameters={"least": COUNT, "most": COUNT})
    def bounded(least: int, most: int = 9) -> Scorer:
        return lambda case, response: Score.passed()

    kind = declared_by(bounded)
    assert kind is not None
    assert (kind.name, kind.required, kind.build) == ("bounded", ("least",), bounded)

    def limited(least: int, most: int = 9) -> Scorer:
        return bounded(least, most)

    with pytest.raises(ValueError, match="declares the check 'bounded' twice"):
        declare_check("bounded", parameters=kind.parameters)(limited)


def test_a_module_of_checks_may_be_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a session within this process, which puts `sys.modules` back when it ends."""
    (tmp_path / "acme_again.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    first = importlib.import_module("acme_again")
    del sys.modules["acme_again"]
    second = importlib.import_module("acme_again")
    assert first.count_a is not second.count_a
    kind = declared_by(second.count_a)
    assert kind is not None
    assert kind.build is second.count_a


def test_scoring_imports_only_the_check_types_that_are_asked_for() -> None:
    used = "from harness import Case, Response, check; check(Case('c', (), target='x'), Response('x'))"
    loaded = (
        "import sys; print(*sorted(name for name in sys.modules if name.endswith(('_check', '_checks'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{used}; {loaded}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["harness.scoring.checks.text_checks"]
