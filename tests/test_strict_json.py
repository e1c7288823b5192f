from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CheckpointError, GoldenSetError, TrainingDataError
from harness.files.read_json import MAX_DEPTH, MAX_LINE_BYTES, InvalidJsonError, loads, read_json, read_jsonl

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**200), 10**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    return path


def rows(path: Path, **options: Any) -> list[tuple[int, dict[str, Any]]]:
    return list(read_jsonl(path, **options))


@given(json_values, st.booleans())
def test_whatever_json_writes_is_read_back(value: object, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only)) == value


@given(st.text(max_size=80))
def test_any_text_is_read_like_json_or_refused(text: str) -> None:
    try:
        value = loads(text)
    except InvalidJsonError:
        return
    assert value == json.loads(text)


@given(
    st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=6), st.sampled_from(["\n", "\r\n"])
)
def test_rows_come_back_with_their_line_numbers(tmp_path_factory: Any, written: list[Any], end: str) -> None:
    path = write(tmp_path_factory.mktemp("rows"), b"")
    path.write_bytes("".join(json.dumps(row) + end for row in written).encode())
    assert rows(path) == list(enumerate(written, start=1))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' appears twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' appears twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "'1e999' is too large for a float"),
        (b'{"a": ' + b"9" * 5000 + b"}", "an integer of 5000 digits"),
        (b'{"a": -' + b"9" * 5000 + b"}", "an integer of 5000 digits"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", f"nested more than {MAX_DEPTH} levels"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, f"nested more than {MAX_DEPTH} levels"),
        (b"[" * 100_000, f"nested more than {MAX_DEPTH} levels"),
        (b'{"a": "\\ud800"}', "an unpaired surrogate \\ud800"),
        (b'{"a": "caf\xe9"}', "not UTF-8: byte 0xe9 at offset 10"),
        (b'{"a": "x', "not JSON: unterminated string"),
        (b'{"a": 1} {"a": 2}', "not JSON: extra data"),
        (b"{'a': 1}", "not JSON: expecting property name"),
        (b'{"a": "\x00"}', "not JSON: invalid control character"),
        (b"[1]", "expected a JSON object, found an array"),
        (b"null", "expected a JSON object, found null"),
        (b"true", "expected a JSON object, found a boolean"),
        (b'"text"', "expected a JSON object, found a string"),
        (b"3", "expected a JSON object, found a number"),
    ],
)
def test_a_bad_line_is_an_error_at_its_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path, b'{"ok": 1}\n\n' + line + b'\n{"ok": 2}\n')
    with pytest.raises(GoldenSetError) as caught:
        rows(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert caught.value.line == 3


def test_a_file_cut_in_the_middle_of_a_row_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"ok": 1}\n{"id": "b", "inp')
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:2: not JSON.*it was cut off"):
        rows(path, error=TrainingDataError)


def test_a_last_line_without_newline_is_a_row(tmp_path: Path) -> None:
    assert rows(write(tmp_path, b'{"a": 1}\n{"b": 2}')) == [(1, {"a": 1}), (2, {"b": 2})]


def test_a_mark_and_crlf_are_skipped_unless_bytes_matter(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "x\xe2\x80\xa8y"}\r\n{"b": 2}\r\n')
    assert rows(path) == [(1, {"a": "x\u2028y"}), (2, {"b": 2})]
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:1: starts with a byte-order mark"):
        rows(path, exact=True)
    path.write_bytes(b'{"a": 1}\n{"b": 2}\r\n')
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:2: the line ends in CRLF.*gitattributes"):
        rows(path, exact=True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_named_not_guessed(tmp_path: Path, encoding: str) -> None:
    text = '{"a": "é"}\n' if encoding != "utf-16-be" else '\ufeff{"a": "é"}\n'
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:1: not UTF-8"):
        rows(write(tmp_path, text.encode(encoding)))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path, b"")
    with path.open("r+b") as stream:
        stream.truncate(MAX_LINE_BYTES * 64)  # sparse: 1 GiB of NUL bytes
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:1: the line is longer than 16 MiB"):
        rows(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoldenSetError, match=r"nowhere\.jsonl: no such file"):
        rows(tmp_path / "nowhere.jsonl")
    with pytest.raises(GoldenSetError, match="not a regular file"):
        rows(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GoldenSetError, match="not a regular file"):
        rows(tmp_path / "pipe")


def test_an_error_class_without_a_place_gets_it_in_its_message(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"rows\.jsonl:1: not JSON"):
        rows(write(tmp_path, b"nonsense\n"), error=CheckpointError)


def test_bad_lines_can_be_collected(tmp_path: Path) -> None:
    faults: list[Any] = []
    path = write(tmp_path, b'nonsense\n{"a": 1}\n[2]\n\xff\n{"b": 2}\n')
    assert rows(path, faults=faults) == [(2, {"a": 1}), (5, {"b": 2})]
    assert [fault.line for fault in faults] == [1, 3, 4]


def test_the_digest_covers_every_byte(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"b": 2}'
    digest = hashlib.sha256()
    rows(write(tmp_path, data), digest=digest)
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_reading_streams(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}\nnonsense\n')
    assert next(read_jsonl(path)) == (1, {"a": 1})


@pytest.mark.parametrize("text", ['"' + '\\"' * 200_000, '["\\' + "[" * 200_000, '["' + "\\\\" * 200_000])
def test_the_depth_check_is_linear(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidJsonError):
        loads(text + "[" * (MAX_DEPTH + 1))
    assert time.perf_counter() - started < 2


def test_nesting_ends_at_the_limit() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    loads(deepest)
    with pytest.raises(InvalidJsonError, match=f"nested more than {MAX_DEPTH} levels"):
        loads(f"[{deepest}]")
    loads("[[]]", max_depth=2)
    with pytest.raises(InvalidJsonError):
        loads('{"a": [[]]}', max_depth=2)


def test_brackets_in_strings_do_not_nest() -> None:
    assert loads(json.dumps(["[{" * 500])) == ["[{" * 500]


def test_surrogates_may_be_let_through() -> None:
    assert loads('"\\ud83d\\ude00"') == "😀"
    assert loads('"\\ud800"', surrogates=True) == "\ud800"


def test_a_document_names_the_line_of_its_error(tmp_path: Path) -> None:
    path = write(tmp_path, b'{\n  "a": 1,\n  "b": nope\n}\n')
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:3: not JSON: expecting value \(column 8\)"):
        read_json(path)
    path.write_bytes(b"[]")
    with pytest.raises(GoldenSetError, match="expected a JSON object, found an array"):
        read_json(path)
    path.write_bytes(b'{"a":\n "\xff"}')
    with pytest.raises(GoldenSetError, match=r"rows\.jsonl:2: not UTF-8"):
        read_json(path)
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}
    with pytest.raises(GoldenSetError, match="byte-order mark"):
        read_json(path, exact=True)
