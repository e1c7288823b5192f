"""Read JSON and JSON Lines that others wrote, and refuse what the standard library lets through.

`json.loads` keeps the last of two equal keys, reads `NaN`, turns `1e999` into infinity, dies of a
`RecursionError` on deep nesting and spends minutes on an integer of a million digits. Golden sets,
recorded outputs and training data decide verdicts, so here each of these is an error that names the
file and the line.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

from harness.errors import GoldenSetError, HarnessError, LocatedError

__all__ = [
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MAX_INTEGER_DIGITS",
    "MAX_LINE_BYTES",
    "InvalidJsonError",
    "loads",
    "read_json",
    "read_jsonl",
]

MAX_LINE_BYTES = 16 * 2**20
"""Longest line of a JSON Lines file, in bytes."""
MAX_DOCUMENT_BYTES = 64 * 2**20
"""Largest JSON document that is read as a whole, in bytes."""
MAX_DEPTH = 128
"""Deepest nesting of arrays and objects."""
MAX_INTEGER_DIGITS = 300
"""Longest integer; anything shorter still fits a float."""

_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class InvalidJsonError(ValueError):
    """A text is not the JSON that is accepted here.

    Attributes:
        reason: What is wrong, as a phrase.
        line: One-based line within the text, where known.
        column: One-based column within that line, where known.
    """

    def __init__(self, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        self.reason = reason
        self.line = line
        self.column = column
        super().__init__(reason if column is None else f"{reason} (column {column})")


class Digest(Protocol):
    """What `hashlib.sha256()` returns, as far as it is needed here."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...


def loads(text: str, *, max_depth: int = MAX_DEPTH, surrogates: bool = False) -> Any:
    """Parse one JSON text strictly.

    Args:
        text: The whole text.
        max_depth: Deepest nesting that is accepted.
        surrogates: Whether strings may hold unpaired surrogates, which no UTF-8 file can store.

    Raises:
        InvalidJsonError: Not JSON, a key twice in one object, a number that is not finite, an integer
            of more than `MAX_INTEGER_DIGITS` digits, nesting too deep, or an unpaired surrogate.
    """
    _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as problem:
        reason = problem.msg[:1].lower() + problem.msg[1:]
        raise InvalidJsonError(f"not JSON: {reason}", line=problem.lineno, column=problem.colno) from None
    except RecursionError:
        raise InvalidJsonError(f"nested more than {max_depth} levels deep") from None
    if not surrogates and _SURROGATE_ESCAPE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as problem:
            half = problem.object[problem.start]
            raise InvalidJsonError(f"an unpaired surrogate \\u{ord(half):04x} is not text") from None
    return value


def read_json(
    path: str | Path, *, error: type[HarnessError] = GoldenSetError, exact: bool = False
) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: A regular file of at most `MAX_DOCUMENT_BYTES`.
        error: Class of the errors raised; a `LocatedError` is given `path` and `line`.
        exact: Refuse a byte-order mark, which is skipped otherwise.

    Raises:
        HarnessError: Of class `error`: missing, unreadable, not UTF-8, or not an object in strict JSON.
    """
    with _open(path, error) as stream:
        data = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        _fail(error, f"larger than {MAX_DOCUMENT_BYTES // 2**20} MiB", path)
    text = _decode(_without_mark(data, path, error, exact), path, None, error)
    try:
        value = loads(text)
    except InvalidJsonError as problem:
        _fail(error, str(problem), path, problem.line)
    if not isinstance(value, dict):
        _fail(error, f"expected a JSON object, found {_kind(value)}", path, 1)
    return value


def read_jsonl(
    path: str | Path,
    *,
    error: type[HarnessError] = GoldenSetError,
    exact: bool = False,
    digest: Digest | None = None,
    faults: list[HarnessError] | None = None,
    surrogates: bool = False,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (one-based line number, object) for each row of a JSON Lines file, one row in memory at a time.

    Blank lines are skipped. Lines end at LF only: separators such as U+2028 belong to the text.

    Args:
        path: A regular file in UTF-8.
        error: Class of the errors raised; a `LocatedError` is given `path` and `line`.
        exact: Refuse a byte-order mark and CRLF line ends, for a file whose bytes are hashed. They are
            skipped otherwise: nothing is lost.
        digest: Updated with every byte of the file, marks and line ends included.
        faults: Collects the errors of bad lines, which are then skipped. Without it the first one is raised.
        surrogates: Whether strings may hold unpaired surrogates, as a model's output can.

    Raises:
        HarnessError: Of class `error`, at the line that is wrong: not UTF-8, cut off, too long, or not an
            object in strict JSON. A missing file is an error at the first `next`.
    """
    with _open(path, error) as stream:
        number = 0
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                _fail(error, f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB", path, number)
            if digest is not None:
                digest.update(raw)
            try:
                row = _row(raw, path, number, error, exact, surrogates)
            except error as fault:
                if faults is None:
                    raise
                faults.append(fault)
            else:
                if row is not None:
                    yield number, row


def _row(
    raw: bytes, path: str | Path, number: int, error: type[HarnessError], exact: bool, surrogates: bool
) -> dict[str, Any] | None:
    """Parse one line of a JSON Lines file; None for a blank one."""
    line = _without_mark(raw, path, error, exact) if number == 1 else raw
    if exact and line.endswith(b"\r\n"):
        advice = "convert it to LF, and add `*.jsonl text eol=lf` to .gitattributes"
        _fail(error, f"the line ends in CRLF: {advice}", path, number)
    text = _decode(line, path, number, error)
    if not text.strip(" \t\r\n"):
        return None
    try:
        value = loads(text.rstrip("\r\n"), surrogates=surrogates)
    except InvalidJsonError as problem:
        cut = "" if raw.endswith(b"\n") else "; the file ends in the middle of this line: it was cut off"
        _fail(error, f"{problem}{cut}", path, number)
    if not isinstance(value, dict):
        _fail(error, f"expected a JSON object, found {_kind(value)}", path, number)
    return value


def _open(path: str | Path, error: type[HarnessError]) -> BinaryIO:
    """Open a regular file; a pipe or device would hang or never end."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            _fail(error, "not a regular file", path)
        return Path(path).open("rb")
    except FileNotFoundError:
        _fail(error, "no such file", path)
    except OSError as problem:
        _fail(error, f"cannot be read: {problem.strerror or problem}", path)


def _without_mark(data: bytes, path: str | Path, error: type[HarnessError], exact: bool) -> bytes:
    """Return the bytes after a UTF-8 byte-order mark; refuse what another encoding's mark announces."""
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # a UTF-32 mark starts with, or fails as, these
        if data.startswith(mark):
            _fail(error, "not UTF-8 but UTF-16 or UTF-32: save it as UTF-8", path, 1)
    if not data.startswith(codecs.BOM_UTF8):
        return data
    if exact:
        _fail(error, "starts with a byte-order mark: save it as UTF-8 without BOM", path, 1)
    return data[len(codecs.BOM_UTF8) :]


def _decode(data: bytes, path: str | Path, line: int | None, error: type[HarnessError]) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        if line is None:
            line = data.count(b"\n", 0, problem.start) + 1
        byte = data[problem.start]
        _fail(error, f"not UTF-8: byte 0x{byte:02x} at offset {problem.start}: save it as UTF-8", path, line)


def _fail(error: type[HarnessError], message: str, path: str | Path, line: int | None = None) -> NoReturn:
    if issubclass(error, LocatedError):
        raise error(message, path=path, line=line)
    raise error(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


def _check_depth(text: str, limit: int) -> None:
    """Refuse deep nesting before the parser recurses into it; linear in the text."""
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        character = token.group()
        if character in "[{":
            depth += 1
            if depth > limit:
                line = text.count("\n", 0, token.start()) + 1
                raise InvalidJsonError(f"nested more than {limit} levels deep", line=line)
        elif character in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidJsonError(f"the key {_short(key)} appears twice in one object")
            seen.add(key)
    return value


def _integer(digits: str) -> int:
    length = len(digits.lstrip("-"))
    if length > MAX_INTEGER_DIGITS:
        raise InvalidJsonError(f"an integer of {length} digits (at most {MAX_INTEGER_DIGITS})")
    return int(digits)


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise InvalidJsonError(f"the number {_short(literal)} is too large for a float")
    return value


def _constant(literal: str) -> NoReturn:
    raise InvalidJsonError(f"{literal} is not JSON: write null, or leave the key out")


def _short(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def _kind(value: object) -> str:
    """Name a JSON value's type in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "a number"


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_constant
)
