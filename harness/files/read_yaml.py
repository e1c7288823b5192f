"""Read YAML that people write by hand, without YAML's surprises, and remember the line of every value.

Ordinary loaders keep the last of two equal keys, turn `no` into False and `010` into 8, run tags, and let
nine nested aliases fill the memory. Here the text is read as YAML 1.2 (core schema) and each of these is an
error that names the line. Values come out as plain dicts, lists, strings, numbers, booleans and None.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import ConfigurationError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Document", "load_yaml", "parse_yaml"]

MAX_BYTES = 2**20
"""Largest document, in bytes."""
MAX_DEPTH = 32
"""Deepest nesting of mappings and lists."""
MAX_VALUES = 20_000
"""Most values in one document, counting those that aliases repeat."""

Key: TypeAlias = "tuple[str | int, ...]"

_SURROGATE = re.compile("[\ud800-\udfff]")
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,299})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OLD_BOOLEAN = re.compile(r"y|n|yes|no|on|off", re.IGNORECASE)
_NOT_DECIMAL = re.compile(r"[-+]?(?:0[0-9_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_ODD_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes:
        path: What it was read from, for messages.
        value: Its content: dicts, lists, strings, ints, floats, booleans, None.
        lines: Path of keys and indices from the top → one-based line of that key or item.
    """

    path: str
    value: Any
    lines: Mapping[Key, int]

    def line(self, key: Key) -> int:
        """Return the line of a value, or of the nearest thing around it that is there."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


@dataclass
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, Any] | list[Any]
    at: Key
    line: int
    key: str | None = None
    key_lines: dict[str, int] = field(default_factory=dict)


def load_yaml(path: str | Path) -> Document:
    """Read a YAML file strictly.

    Raises:
        ConfigurationError: Missing, too large, not UTF-8, or anything that `parse_yaml` refuses.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{path}: larger than {MAX_BYTES // 2**20} MiB, so this is no recipe")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8: save the file as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, path: str = "<yaml>") -> Document:
    """Parse one YAML document strictly.

    Raises:
        ConfigurationError: Not YAML, a key twice, a key that is no string, a spelling that YAML versions
            read differently (`no`, `010`, `1_000`), a tag, a merge key, an unknown alias, a number that is
            not finite, several documents, or more depth or values than the caps allow.
    """
    return _Reader(path).read(text)


class _Reader:
    """Builds plain values from parser events, so that depth is known before anything recurses."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: dict[Key, int] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._pending: list[tuple[str, int]] = []
        self._values = 0
        self._root: Any = None

    def read(self, text: str) -> Document:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        documents = 0
        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                line = event.start_mark.line + 1
                kind = type(event).__name__
                if kind == "DocumentStartEvent":
                    documents += 1
                    if documents > 1:
                        raise self._error(line, "a second document starts here: one file holds one document")
                elif kind in ("MappingStartEvent", "SequenceStartEvent", "ScalarEvent", "AliasEvent"):
                    self._on_value(kind, event, line)
                elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                    self._on_end()
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(str(error.problem or error.context or "not YAML").split())
            raise self._error(mark.line + 1 if mark is not None else 1, f"not YAML: {problem}") from error
        except YAMLError as error:
            raise self._error(1, f"not YAML: {' '.join(str(error).split())}") from error
        return Document(self._path, self._root, self._lines)

    def _on_value(self, kind: str, event: Any, line: int) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._on_key(parent, kind, event, line)
            return
        if _tag(event) is not None:
            named = f" (on {event.value!r})" if kind == "ScalarEvent" and event.value else ""
            raise self._error(line, f"the tag {_tag(event)} is not allowed{named}: write the plain value")
        if kind == "AliasEvent":
            self._place(self._aliased(event.anchor, line), line)
            return
        if kind == "ScalarEvent":
            self._count(1, line)
            value = self._scalar(event, line)
            self._place(value, line)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            return
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(line, f"nested more than {MAX_DEPTH} levels deep")
        self._count(1, line)
        container: dict[str, Any] | list[Any] = {} if kind == "MappingStartEvent" else []
        at = self._place(container, line)
        self._stack.append(_Open(container, at, line))
        self._pending.append((event.anchor, self._values))

    def _on_end(self) -> None:
        done = self._stack.pop()
        anchor, before = self._pending.pop()
        if anchor is not None:
            self._anchors[anchor] = (done.value, self._values - before + 1)

    def _on_key(self, parent: _Open, kind: str, event: Any, line: int) -> None:
        if kind != "ScalarEvent" or _tag(event) is not None:
            raise self._error(line, "a key must be a plain word")
        key = event.value
        if key == "<<" and event.style is None:
            raise self._error(line, "merge keys (<<) are not allowed: write the values out")
        if not isinstance(self._scalar(event, line), str):
            raise self._error(line, f"the key {key!r} is not a word: quote it")
        if key in parent.key_lines:
            raise self._error(line, f"the key {key!r} is already given in line {parent.key_lines[key]}")
        parent.key = key
        parent.key_lines[key] = line

    def _place(self, value: Any, line: int) -> Key:
        """Put a value where it belongs; return its place."""
        if not self._stack:
            self._root = value
            self._lines[()] = line
            return ()
        parent = self._stack[-1]
        if isinstance(parent.value, dict):
            key = parent.key
            assert key is not None
            at: Key = (*parent.at, key)
            parent.value[key] = value
            self._lines[at] = parent.key_lines[key]
            parent.key = None
        else:
            at = (*parent.at, len(parent.value))
            parent.value.append(value)
            self._lines[at] = line
        return at

    def _aliased(self, name: str, line: int) -> Any:
        if name not in self._anchors:
            raise self._error(line, f"the alias *{name} stands for nothing finished above it")
        value, size = self._anchors[name]
        self._count(size, line)
        return value

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._error(line, f"more than {MAX_VALUES} values (aliases counted in full)")

    def _scalar(self, event: Any, line: int) -> Any:
        text: str = event.value
        if _SURROGATE.search(text):
            raise self._error(line, "an unpaired surrogate escape is not text")
        if event.style is not None:  # quoted or block text is a string
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOLEAN.fullmatch(text):
            return text.lower() == "true"
        if _INTEGER.fullmatch(text):
            return int(text)
        if _OLD_BOOLEAN.fullmatch(text):
            meant = "true" if text.lower() in ("y", "yes", "on") else "false"
            raise self._error(
                line, f"{text} is a boolean to some YAML readers: write {meant}, or quote '{text}'"
            )
        if _NOT_FINITE.fullmatch(text):
            raise self._error(line, f"{text} is not a number that can be used here")
        if _NOT_DECIMAL.fullmatch(text):
            raise self._error(
                line, f"{text} is read as octal, hexadecimal or binary: write it in decimal, or quote it"
            )
        if _ODD_NUMBER.fullmatch(text):
            raise self._error(
                line, f"{text} is a number to some YAML readers: write plain digits, or quote it"
            )
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._error(line, f"{text} is too large for a float")
            return number
        return text

    def _error(self, line: int, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}:{line}: {message}")


def _tag(event: Any) -> str | None:
    """Return an event's explicit tag."""
    tag = getattr(event, "tag", None)
    return None if tag is None else str(tag)
