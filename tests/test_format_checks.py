from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Case, Message, Outcome, Response
from harness.errors import ConfigurationError, ScoringError
from harness.files.read_json import InvalidJsonError
from harness.scoring import score
from harness.scoring.checks.json_fields import parse_path
from harness.scoring.checks.table_checks import csv_rows, markdown_tables
from harness.scoring.checks.xml_check import InvalidXmlError, elements_of
from harness.scoring.registry import compile_checks
from harness.scoring.text.fences import fenced_blocks, outside_fences
from harness.scoring.text.json_text import find_json

PASSED, MISSED, INVALID = Outcome.PASSED, Outcome.MISSED, Outcome.INVALID


def case(check: dict[str, Any]) -> Case:
    return Case("c", (Message("user", "?"),), checks=(check,))


def result(check: dict[str, Any], text: str, finish: str = "stop") -> Any:
    return score(case(check), Response(text, finish_reason=finish))


# --- fences ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```py\nx\n```", [("py", "x", True)]),
        ("~~~ Python 3\nx\n~~~", [("python", "x", True)]),
        ("````md\n```\nx\n```\n````", [("md", "```\nx\n```", True)]),
        ("```\nx", [("", "x", False)]),
        ("```\nx\n~~~\n```", [("", "x\n~~~", True)]),
        ("- item\n  ```\n  x\n   y\n  ```", [("", "x\n y", True)]),
        ("a ``` b", []),
        ("``` a`b\n", []),
        ("```\n```", [("", "", True)]),
    ],
)
def test_fences_are_read_as_commonmark_does(text: str, blocks: list[tuple[str, str, bool]]) -> None:
    assert [(one.language, one.content, one.closed) for one in fenced_blocks(text)] == blocks


@given(st.text(alphabet="`~ab \n"))
def test_what_is_in_no_block_is_outside(text: str) -> None:
    inside = sum(block.end - block.start for block in fenced_blocks(text))
    assert len(outside_fences(text).splitlines()) <= len(text.splitlines()) - inside
    assert not any(block.closed for block in fenced_blocks(outside_fences(text))) or inside


# --- JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"a": 1}', "strict"),
        ("3", "strict"),
        ('Here:\n~~~json\n{"a": 1}\n~~~', "fenced"),
        ('The result is {"a": "]}\\""} as asked.', "embedded"),
        ("As in [3], it is [1, 2].", "embedded"),
        ('An {unfinished and {"a": {"b": []}} here', "embedded"),
    ],
)
def test_the_strictest_form_of_json_is_found(text: str, form: str) -> None:
    assert find_json(text)[1] == form
    forms = ["strict", "fenced", "embedded"]
    for allowed in forms:
        outcome = result({"type": "json", "form": allowed}, text).outcome
        assert outcome is (PASSED if forms.index(form) <= forms.index(allowed) else INVALID)


@pytest.mark.parametrize("text", ["{} and {}", "{", "[1]", "none", "[[[[", '{"a": NaN} ok', "{'a': 1} there"])
def test_json_that_is_not_there_or_not_alone_is_invalid(text: str) -> None:
    with pytest.raises(InvalidJsonError):
        find_json("see " + text)


def test_forms_can_be_worth_less() -> None:
    check = {"type": "json", "form": "embedded", "credit": {"fenced": 0.8, "embedded": 0.5}}
    assert result(check, "{}").value == 1.0
    assert result(check, "```\n{}\n```").value == 0.8
    assert result(check, "It is {}.").value == 0.5
    assert result(check, "It is {}.").outcome is PASSED


def test_prose_full_of_brackets_ends_soon() -> None:
    started = time.perf_counter()
    for text in ("[" * 300_000, '{"' * 100_000, "x" + '["a",' * 60_000, "say " + '"[' * 100_000):
        with pytest.raises(InvalidJsonError):
            find_json(text)
    assert time.perf_counter() - started < 30


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_object_is_found_in_prose(value: Any) -> None:
    wrapped = {"value": value}
    assert find_json(f"Well: {json.dumps(wrapped)} (done)")[0] == wrapped
    assert find_json(f"Well: {json.dumps(wrapped, ensure_ascii=False, indent=1)}")[0] == wrapped


def test_the_path_of_the_first_schema_error_is_said() -> None:
    schema = {"properties": {"items": {"items": {"required": ["sku"]}}}}
    found = result({"type": "json_schema", "schema": schema}, '{"items": [{"sku": 1}, {}]}')
    assert found.explanation == "json_schema: items[1]: 'sku' is missing"


@pytest.mark.parametrize(
    ("path", "steps"),
    [("a", ("a",)), ("a.b[0][12].c", ("a", "b", 0, 12, "c")), ('["a.b"].c', ("a.b", "c")), ("[0]", (0,))],
)
def test_paths_are_read(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", [".a", "a..b", "a[", "a[x]", "a]", "a."])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is no path"):
        compile_checks(case({"type": "json_fields", "fields": {path: 1}}))


def test_fields_earn_their_share() -> None:
    check = {
        "type": "json_fields",
        "fields": {"a": 1, "b": "x", "c.d": True},
        "present": ["e"],
        "at_least": 0.75,
    }
    found = result(check, '{"a": 1, "b": "x", "c": {"d": true}}')
    assert (found.value, found.outcome) == (0.75, PASSED)
    assert found.explanation == "3 of 4 fields right, 0.75: e is missing"
    found = result(check, '{"a": true, "b": "X", "e": null, "c": []}')
    assert (found.value, found.outcome) == (0.25, MISSED)
    assert result(check, "nothing").outcome is INVALID


def test_fields_are_compared_within_a_tolerance_and_normalised() -> None:
    check = {"type": "json_fields", "fields": {"a": 1.0, "b": "Ann Lee"}, "tolerance": 0.01}
    check["normalize"] = ["casefold", "whitespace"]
    assert result(check, '{"a": 1.009, "b": "ann  lee"}').outcome is PASSED
    assert result(check, '{"a": 1.02, "b": "ann lee"}').outcome is MISSED
    assert result(check, '{"a": "1.0", "b": "ann lee"}').outcome is MISSED


# --- tables ----------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.text(alphabet='ab", \n;'), min_size=2, max_size=2), min_size=1, max_size=4))
def test_csv_that_was_written_is_read_back(rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    assert csv_rows(stream.getvalue()) == rows


@given(st.lists(st.lists(st.text(alphabet="ab|- :"), min_size=2, max_size=3), min_size=1, max_size=4))
def test_any_lines_are_tables_or_none(rows: list[list[str]]) -> None:
    for table in markdown_tables("\n".join("|".join(row) for row in rows)):
        assert len({len(row) for row in table}) == 1


def test_markdown_tables_are_read() -> None:
    text = "Intro\n\n| a | b |\n|---|:-:|\n| 1 | x \\| y |\n| 2 |\n\nand\n\nc | d\n-|-\n3 | 4 | 5"
    first = [["a", "b"], ["1", "x | y"], ["2", ""]]
    assert markdown_tables(text) == [first, [["c", "d"], ["3", "4"]]]
    assert markdown_tables("a | b\n--- | --- | ---\n1 | 2") == []


def test_huge_tables_end() -> None:
    for text in ("|" * 300_000, "a|b\n" + " " * 200_000 + "x-", "a|b\n" + "-|" * 100_000, '"' * 100_000):
        markdown_tables(text)
        result({"type": "csv"}, text)


@pytest.mark.parametrize(
    ("check", "text", "expected"),
    [
        ({"type": "csv", "rows": 1}, "a,b\n1,2", PASSED),
        ({"type": "csv", "max_rows": 0}, "a,b\n1,2", MISSED),
        ({"type": "csv"}, 'a,"b\n1,2', INVALID),
        ({"type": "csv"}, 'a,"b"c\n1,2', INVALID),
        ({"type": "csv", "columns": ["name"]}, "name\nAnn", PASSED),
        ({"type": "csv"}, "a,b\r\n1,2\r\n", PASSED),
        ({"type": "markdown_table"}, "a|b\n-|-\n1|2\n\nc|d\n-|-\n1|2", INVALID),
        ({"type": "markdown_table", "columns": ["A", "`B`"]}, "a|b\n-|-", MISSED),
        ({"type": "code_fence", "count": 0}, "no code", PASSED),
        ({"type": "code_fence", "language": "SQL"}, "```sql\nselect 1\n```", PASSED),
        ({"type": "yaml"}, "- a\n- b: 1", PASSED),
        ({"type": "yaml"}, "&a [*a, *a]", INVALID),
        ({"type": "yaml"}, "a: " + "[" * 5_000, INVALID),
        ({"type": "yaml", "schema": {"required": ["a"]}}, "```yml\na: 1\n```", PASSED),
        ({"type": "xml"}, "<a/>", PASSED),
        ({"type": "xml", "root": "a"}, "<ns:a xmlns:ns='x'/>", MISSED),
        ({"type": "xml"}, "<a>\ud800</a>", INVALID),
        ({"type": "xml"}, "<a/><b/>", INVALID),
        ({"type": "template", "template": "{a}-{b}"}, "x-y", PASSED),
        ({"type": "template", "template": "Hi {name}!"}, "Hi  Ann!", PASSED),
        ({"type": "template", "template": "Hi {name}!"}, "Hi Ann\nLee!", MISSED),
        ({"type": "template", "template": "مرحبا {name...}"}, "مرحبا يا صديقي\nالعزيز", PASSED),
    ],
)  # fmt: skip
def test_each_format_decides(check: dict[str, Any], text: str, expected: Outcome) -> None:
    assert result(check, text).outcome is expected


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"type": "csv"}, "a,b\n1,2"),
        ({"type": "markdown_table"}, "a|b\n-|-\n1|2"),
        ({"type": "yaml"}, "a: 1"),
        ({"type": "code_fence"}, "```\nx\n```"),
        ({"type": "template", "template": "a {b} c"}, "a x"),
        ({"type": "list", "values": ["a", "b"]}, "- a"),
        ({"type": "choice_letter", "value": "B"}, "B) Paris"),
    ],
)
def test_a_form_that_was_cut_off_is_not_known(check: dict[str, Any], text: str) -> None:
    assert result(check, text, finish="length").outcome is INVALID


@pytest.mark.parametrize("blanks", ["\n" * 50_000, " " * 50_000, " \n" * 25_000])
def test_a_run_of_blanks_is_no_match_and_no_error(blanks: str) -> None:
    check = {"type": "template", "template": "Subject: {subject}\n\n{body...}\nRegards, {sender}"}
    for text in (f"Subject: a{blanks}b", f"Subject: a\n\nb{blanks}c", f"Subject:{blanks}"):
        assert result(check, text).outcome is MISSED
    assert result(check, f"Subject: a{blanks}\nb{blanks}\nRegards, c").outcome is PASSED


def test_what_a_template_holds_is_kept() -> None:
    found = result(
        {"type": "template", "template": "Subject: {subject}\n{body...}"}, "Subject: Hello\n\na\nb"
    )
    assert json.loads(found.answer) == {"subject": "Hello", "body": "a\nb"}


@pytest.mark.parametrize(
    ("template", "patterns", "problem"),
    [
        ("{a} {a}", {}, "there twice"),
        ("{a}", {"b": "x"}, r"no placeholder \{b\}"),
        ("{a}", {"a": "("}, "not a regular expression"),
    ],
)
def test_a_wrong_template_is_refused(template: str, patterns: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        compile_checks(case({"type": "template", "template": template, "patterns": patterns}))


def test_a_template_that_backtracks_for_ever_is_an_error() -> None:
    check = {"type": "template", "template": "{a}{b}{c}{d}{e}{f}x", "patterns": {"a": "(a|aa)+"}}
    with pytest.raises(ScoringError, match="took longer"):
        result(check, "a" * 3_000 + "y")


# --- XML -------------------------------------------------------------------------------------------------

BOMB = (
    "<!DOCTYPE a ["
    + "".join(f'<!ENTITY x{i} "{f"&x{i - 1};" * 10 if i else "ha"}">' for i in range(10))
    + "]>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB + "<a>&x9;</a>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><a>&x;</a>',
        "<a>&undefined;</a>",
        "<a>" * 100_000,
        "<a b='1' b='2'/>",
        "",
        "\x00",
    ],
)
def test_xml_that_could_harm_is_invalid(text: str) -> None:
    with pytest.raises(InvalidXmlError):
        elements_of(text)


@given(st.text(alphabet="<>/a&;!?'\"= \n"))
def test_any_text_is_xml_or_not(text: str) -> None:
    try:
        names = elements_of(text)
    except InvalidXmlError:
        return
    assert names
