from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Message, Sampling
from harness.errors import GoldenSetError
from harness.files.json_schema import compile_predicate, packaged_schema, violations
from harness.golden_sets.read import find_golden, golden_names, load_golden, read_golden_cases, versions

GOOD = {"id": "a", "input": "What is 1 + 1?", "target": "2"}


def checks(*declared: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a case with these checks."""
    return {"id": "b", "input": "x", "checks": list(declared), **fields}


def write_set(
    root: Path, *rows: Any, name: str = "sums", version: int = 1, manifest: dict[str, Any] | None = None
) -> Path:
    folder = root / name / f"v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, (bytes, str)) else json.dumps(row) for row in rows]
    data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    (folder / "cases.jsonl").write_bytes(data)
    if manifest is not None:
        stated = {"schema_version": 1, "name": name, "version": version, **manifest}
        (folder / "manifest.json").write_text(json.dumps(stated))
    return folder


def error_of(root: Path, name: str = "sums") -> str:
    with pytest.raises(GoldenSetError) as caught:
        load_golden(name, roots=[root])
    return str(caught.value)


def test_a_set_is_read_with_its_cases_and_defaults(tmp_path: Path) -> None:
    row = {
        "id": "refund-017:a.b",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
                ],
            },
            {"role": "tool", "content": "7", "tool_call_id": "1"},
        ],
        "target": {"a": 1},
        "checks": [{"type": "contains", "value": "x"}],
        "tags": ["lang:en", "hard"],
        "cluster": "C1",
        "must_pass": True,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "accepts": ["x"],
        "rejects": ["y"],
        "metadata": {"any": [1]},
    }
    turns = {"id": "t", "turns": ["one", "two", "three"]}
    folder = write_set(
        tmp_path,
        row,
        turns,
        manifest={"sampling": {"max_tokens": 9, "stop": ["\n"]}, "licence": "Apache-2.0"},
    )
    golden = load_golden("sums", roots=[tmp_path])
    assert (golden.label, len(golden), golden.locked, golden.path) == ("sums/v1", 2, False, folder)
    assert golden.digest == hashlib.sha256((folder / "cases.jsonl").read_bytes()).hexdigest()
    assert golden.sampling == Sampling(max_tokens=9, stop=("\n",))
    first, second = golden
    assert first.messages[1].tool_calls[0].arguments == {"x": 1}
    assert first.messages[2] == Message("tool", "7", tool_call_id="1")
    assert (first.cluster, first.must_pass, first.tags) == ("C1", True, ("lang:en", "hard"))
    assert (second.messages, second.turns) == ((Message("user", "one"),), ("two", "three"))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": "b"}, "expected one of input, messages and turns, found none of them"),
        ({**GOOD, "id": "b", "turns": ["x"]}, "found input and turns"),
        ({**GOOD, "id": "b", "chekcs": []}, 'unknown field "chekcs" (did you mean "checks"?)'),
        ({"id": "b", "prompt": "x"}, 'unknown field "prompt" (did you mean "input"?)'),
        ({"input": "x"}, "'id' is missing"),
        ({**GOOD, "id": "../b"}, "id: expected an id of letters"),
        ({**GOOD, "id": "b\n"}, "id: expected an id of letters"),
        ({**GOOD, "id": 7}, "id: expected string, found 7"),
        ({"id": "b", "input": ""}, "input: is empty"),
        ({"id": "b", "messages": []}, "messages: is empty"),
        ({"id": "b", "messages": [{"role": "usr", "content": "x"}]}, 'messages[0].role: expected "system"'),
        ({"id": "b", "messages": [{"role": "assistant", "content": "x"}]}, "the last one must be the user's"),
        ({**GOOD, "id": "b", "tags": ["x", "x"]}, "tags: holds the same item twice"),
        ({**GOOD, "id": "b", "must_pass": "yes"}, 'must_pass: expected boolean, found "yes"'),
        (checks({"type": "contain"}), "checks[0]: unknown check type 'contain' (did you mean 'contains'?)"),
        (checks({"value": "x"}), "checks[0]: 'type' is missing"),
        (checks({"type": "contains_any"}), "checks[0]: contains_any: 'values' is missing"),
        (checks({"type": "contains", "vlaue": "x"}), 'unknown field "vlaue" (did you mean "value"?)'),
        (
            checks({"type": "refusal"}, {"type": "regex", "pattern": "("}),
            "checks[1]: regex: '(' is not a regular expression",
        ),
        (checks({"type": "number"}), "checks[0]: number needs `value`, or the case a `target`"),
        (checks({"type": "number"}, target="a lot"), "value: 'a lot' is not a number"),
        (checks({"type": "json_schema", "schema": {"type": "objekt"}}), "not a JSON Schema"),
        (checks({"type": "json_schema", "schema": {"$ref": "http://[::1]/"}}), "leaves the schema"),
        (checks({"type": "json_schema", "schema": {"$ref": "#"}}), "leads in a circle"),
        ({**GOOD, "id": "a"}, "the id 'a' is taken by line 1"),
        ("nonsense", "not JSON"),
        ('{"id": "b", "input": "x", "id": "c"}', "the key 'id' appears twice"),
        ('{"id": "b", "input": "x", "target": NaN}', "NaN is not JSON"),
        (b'{"id": "b", "input": "\xff"}', "not UTF-8"),
        ('{"id": "b", "metadata": ' + '{"a":' * 100_000 + "1" + "}" * 100_001, "nested more than"),
        ('{"id": "b", "input": "x", "target": ' + "9" * 5000 + "}", "an integer of 5000 digits"),
        ('{"id": "b", "input": "x"}\r', "ends in CRLF"),
        ("[]", "expected a JSON object, found an array"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: Any, problem: str) -> None:
    folder = write_set(tmp_path, GOOD, "", row)
    message = error_of(tmp_path)
    assert message.startswith(f"{folder / 'cases.jsonl'}:3: ")
    assert problem in message
    assert "\n" not in message


def test_a_mark_at_the_start_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert re.search(r"cases\.jsonl:1: starts with a byte-order mark", error_of(tmp_path))


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_set(tmp_path, GOOD, {**GOOD, "id": "b"}) / "cases.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert re.search(r"cases\.jsonl:2: not JSON.*it was cut off", error_of(tmp_path))


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    rows = [GOOD, {"id": "b"}, "nonsense", *({"id": f"c{index}"} for index in range(30))]
    folder = write_set(tmp_path, *rows)
    lines = error_of(tmp_path).splitlines()
    assert len(lines) == 21
    for number, line in enumerate(lines[:20], start=2):
        assert line.startswith(f"{folder / 'cases.jsonl'}:{number}: ")
    assert lines[-1] == "… and 12 more"


@pytest.mark.parametrize("rows", [(), ("", "  ")])
def test_an_empty_set_is_refused(tmp_path: Path, rows: tuple[str, ...]) -> None:
    write_set(tmp_path, *rows)
    assert "holds no case" in error_of(tmp_path)


def test_the_newest_version_is_the_highest_number(tmp_path: Path) -> None:
    for version in (1, 2, 9, 10):
        write_set(tmp_path, {**GOOD, "id": f"v{version}"}, version=version)
    assert versions(tmp_path / "sums") == [1, 2, 9, 10]
    assert load_golden("sums", roots=[tmp_path]).version == 10
    assert load_golden("sums/v9", roots=[tmp_path]).cases[0].id == "v9"
    assert "has no version v3; it has v1, v2, v9, v10" in error_of(tmp_path, "sums/v3")


@pytest.mark.parametrize(
    "name", ["", "../sums", "sums/../x", "/etc", "sums/v0", "sums/v01", "sums/1", "a/b/c", ".x", "sums\n"]
)
def test_a_name_cannot_leave_the_roots(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, GOOD)
    assert "names no golden set" in error_of(tmp_path / "sums", name)


def test_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "elsewhere", GOOD)
    root = tmp_path / "golden"
    (root / "sums").mkdir(parents=True)
    (root / "sums" / "v1").symlink_to(folder)
    assert "a link leads out of" in error_of(root)
    (root / "sums" / "v1").unlink()
    (root / "sums" / "v1").mkdir()
    (root / "sums" / "v1" / "cases.jsonl").symlink_to(folder / "cases.jsonl")
    assert "a link leads out of" in error_of(root)


def test_what_is_missing_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    write_set(tmp_path, GOOD, name="refunds")
    assert "(did you mean 'refunds'?)" in error_of(tmp_path, "refund")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "cases.jsonl").write_text("{}")
    assert "move its cases.jsonl to v1/" in error_of(tmp_path, "flat")
    (tmp_path / "zeros" / "v01").mkdir(parents=True)
    assert "without leading zeros" in error_of(tmp_path, "zeros")
    (tmp_path / "hollow" / "v1").mkdir(parents=True)
    assert "cases.jsonl: no such file" in error_of(tmp_path, "hollow")


def test_the_first_root_that_has_a_set_decides(tmp_path: Path) -> None:
    write_set(tmp_path / "one", GOOD)
    write_set(tmp_path / "two", GOOD, version=2)
    write_set(tmp_path / "two", GOOD, name="other")
    roots = [tmp_path / "none", tmp_path / "one", tmp_path / "two"]
    assert find_golden("sums", roots=roots) == tmp_path / "one" / "sums" / "v1"
    assert {"other", "sums"} <= set(golden_names(roots))


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ({"licens": "MIT"}, 'unknown field "licens" (did you mean "licence"?)'),
        ({"sampling": {"temperature": -1}}, "sampling.temperature: -1 is less than the minimum of 0"),
        ({"sha256": "xyz"}, 'sha256: expected 64 lower-case hex digits, found "xyz"'),
        ({"version": 2}, "is the manifest of sums/v2, not of sums/v1"),
        ({"name": "other"}, "is the manifest of other/v1, not of sums/v1"),
        ({"schema_version": 2}, "schema_version: 2 is greater than the maximum of 1"),
        ({"cases": 2}, "says 2 cases, found 1"),
        ({"sha256": "0" * 64}, "sums/v1 is locked and was edited since: release the edit"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, manifest: dict[str, Any], problem: str) -> None:
    write_set(tmp_path, GOOD, manifest=manifest)
    assert problem in error_of(tmp_path)


def test_an_edit_of_a_locked_set_names_the_command(tmp_path: Path) -> None:
    folder = write_set(tmp_path, GOOD)
    digest = hashlib.sha256((folder / "cases.jsonl").read_bytes()).hexdigest()
    write_set(tmp_path, GOOD, manifest={"sha256": digest, "cases": 1})
    assert load_golden("sums", roots=[tmp_path]).locked
    path = folder / "cases.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"2"', b'"3"'))
    assert "`harness golden release sums`" in error_of(tmp_path)


def test_cases_stream(tmp_path: Path) -> None:
    folder = write_set(tmp_path, GOOD, "nonsense")
    stream = read_golden_cases(folder)
    assert next(stream).id == "a"
    with pytest.raises(GoldenSetError):
        next(stream)


fields = st.dictionaries(
    st.sampled_from(
        ["id", "input", "target", "checks", "tags", "cluster", "must_pass", "messages", "tools", "x"]
    ),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 2),
        st.text(max_size=3),
        st.lists(st.sampled_from(["a", "b"]), max_size=3),
        st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "x"]), "content": st.text(max_size=2)})
        ),
        st.lists(st.fixed_dictionaries({"type": st.text(max_size=2)}), max_size=2),
        st.fixed_dictionaries({"max_tokens": st.integers(-1, 1), "top_p": st.floats(-1, 2)}),
    ),
)


@given(fields, st.sampled_from(["case", "golden_manifest"]))
def test_what_the_quick_path_accepts_the_schema_accepts(row: dict[str, Any], name: str) -> None:
    schema = packaged_schema(name)
    if compile_predicate(schema)(row):
        assert violations(schema, row) == []


@pytest.mark.parametrize("name", ["case", "golden_manifest"])
def test_the_quick_path_covers_our_schemas(name: str) -> None:
    good = {"case": GOOD, "golden_manifest": {"schema_version": 1, "name": "x", "version": 1}}[name]
    assert compile_predicate(packaged_schema(name))(good)
