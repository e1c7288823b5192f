"""Strict YAML: every surprise of ordinary loaders is an error with its line."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigurationError
from harness.files.read_yaml import MAX_BYTES, load_yaml, parse_yaml


def test_plain_values_keep_their_types_and_lines() -> None:
    document = parse_yaml("a: 1\nb: [x, 0.5, 1e-3, -2]\nc: 'no'\nd: &x {e: true}\nf: *x\ng: |\n  text\nh:\n")
    assert document.value == {
        "a": 1,
        "b": ["x", 0.5, 0.001, -2],
        "c": "no",
        "d": {"e": True},
        "f": {"e": True},
        "g": "text\n",
        "h": None,
    }
    assert document.line(("b", 2)) == 2
    assert document.line(("d", "e")) == 4
    assert document.line(("h", "nothing", "there")) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r":3: the key 'a' is already given in line 1"),
        ("a:\n  b: no", r":2: no is a boolean to some YAML readers: write false, or quote 'no'"),
        ("a: On", r":1: On is a boolean"),
        ("a: 010", r":1: 010 is read as octal"),
        ("a: 0x1F", r":1: 0x1F is read as octal, hexadecimal"),
        ("a: 1_000", r":1: 1_000 is a number to some"),
        ("a: 1:30", r":1: 1:30 is a number to some"),
        ("a: .nan", r":1: \.nan is not a number"),
        ("a: -.inf", r":1: -\.inf is not a number"),
        ("a: 1e999", r":1: 1e999 is too large"),
        ("a: !!python/object/apply:os.system [echo]", r":1: the tag .* is not allowed"),
        ("a: !env HOME", r":1: the tag !env is not allowed"),
        ("a: &a {b: 1}\nc:\n  <<: *a", r":3: merge keys"),
        ("a: &a [*a]", r":1: the alias \*a stands for nothing finished"),
        ("1: a", r":1: the key '1' is not a word"),
        ("? [a]\n: b", r":1: a key must be a plain word"),
        ("a: 1\n---\nb: 2", r":2: a second document"),
        ("a: 1\n\tb: 2", r":2: not YAML"),
        ("a: [1, 2", r":1: not YAML"),
        ("a: b: c", r":1: not YAML"),
        ('a: "\\ud800"', r":1: an unpaired surrogate"),
    ],
)
def test_surprises_are_errors_with_their_line(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_yaml(text)


def test_depth_is_capped_before_anything_recurses() -> None:
    with pytest.raises(ConfigurationError, match="nested more than"):
        parse_yaml("[" * 100_000)
    with pytest.raises(ConfigurationError, match="nested more than"):
        parse_yaml("".join("  " * depth + f"k{depth}:\n" for depth in range(60)))


def test_a_billion_laughs_are_counted_not_built() -> None:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    with pytest.raises(ConfigurationError, match="more than 20000 values"):
        parse_yaml("\n".join(lines))


def test_files_too_large_or_not_utf8_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_text("a: " + "x" * MAX_BYTES)
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        load_yaml(large)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml:2: not UTF-8"):
        load_yaml(latin)
    marked = tmp_path / "marked.yaml"
    marked.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert load_yaml(marked).value == {"a": 1, "b": 2}
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_yaml(tmp_path / "absent.yaml")


WORDS = st.text(st.characters(codec="ascii", min_codepoint=32), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_json_is_read_as_json(value: object) -> None:
    assert parse_yaml(json.dumps(value)).value == value


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_yaml(text)
