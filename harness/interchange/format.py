"""What a format of another tool is, and what reading and writing them has in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cases import Case, Sampling
from harness.errors import GoldenSetError
from harness.files.read_json import read_jsonl

__all__ = ["Format", "Row", "as_id", "input_of", "jsonl_rows", "only_text", "target_texts"]

Row = dict[str, Any]
_OF_MESSAGES = frozenset({"content", "id", "metadata", "role", "source"})
"""What messages may hold: what they say, and what says something of them."""
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Format:
    """A format that golden sets come from and go to.

    Attributes:
        name: What the command line calls it.
        description: Which tool's, and which file.
        suffixes: Of its files; the first is the usual one.
        read: Yields rows of `cases.jsonl` from a file, given `options` by name. Raises `GoldenSetError` with
            file and line.
        write: Returns the text of a file with these cases. Raises `GoldenSetError` for a case that the
            format cannot carry. None for a benchmark, which is only read.
        options: What `read` takes beside the file.
        licence: SPDX expression of the benchmark's texts.
        sampling: What its cases want of max_tokens.
        sampling_of: Returns what a manifest says of the sampling that a file asks for; None where files say
            nothing of it.
        write_files: Returns the texts of several files by path, given cases, the path of the first and the
            set's sampling; for a format that is not one file.
        rubric: How a judge grades its answers, where no check can: criteria that end on what the scale of 1
            to 10 means.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    read: Callable[..., Iterator[Row]]
    write: Callable[[Sequence[Case]], str] | None = None
    options: tuple[str, ...] = ()
    licence: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    rubric: str | None = None
    sampling_of: Callable[[Path], Mapping[str, Any]] | None = None
    write_files: Callable[[Sequence[Case], Path, Sampling], Mapping[Path, str]] | None = None


def jsonl_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (line, object) of a JSON Lines file; faults name file and line."""
    yield from read_jsonl(path, error=GoldenSetError)


def as_id(value: Any, fallback: str) -> str:
    """Return an id that golden sets accept: the value's text, other characters as `-`; else the fallback."""
    text = "" if value is None or isinstance(value, (dict, list)) else str(value)
    clean = _NOT_IN_ID.sub("-", text).strip("-._:")[:128]
    return clean or fallback


def input_of(value: Any, path: Path, line: int) -> Row:
    """Return the fields of a row for an input that is a string or a list of messages.

    Raises:
        GoldenSetError: It is neither.
    """
    if isinstance(value, str) and value:
        return {"input": value}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        messages = []
        for item in value:
            role, content = item.get("role"), item.get("content")
            if not isinstance(role, str) or not isinstance(content, str):
                raise GoldenSetError(
                    "a message needs a role and a text content (pictures are not read)", path=path, line=line
                )
            other = [key for key in item if key not in _OF_MESSAGES and item[key] not in (None, "", [], {})]
            if other:
                raise GoldenSetError(f"`{other[0]}` of a message is not read", path=path, line=line)
            messages.append({"role": role, "content": content})
        return {"messages": messages}
    raise GoldenSetError(
        "the input must be a text or a list of messages, and not empty", path=path, line=line
    )


def target_texts(case: Case) -> list[str]:
    """Return the answers that a case's target names, as texts: none, one, or each of a list."""
    if case.target is None:
        return []
    values: Iterable[Any] = case.target if isinstance(case.target, list) else [case.target]
    return [value if isinstance(value, str) else _spelt(value) for value in values]


def only_text(case: Case, format_name: str, *, choices: bool = False, checks: bool = False) -> None:
    """Refuse a case that a format of plain questions cannot carry.

    Args:
        case: The case.
        format_name: The format, for the message.
        choices: Whether it carries continuations.
        checks: Whether it carries checks other than that the answer is the target.

    Raises:
        GoldenSetError: It has further turns, tools, continuations or checks; one line that names the case.
    """
    has = {
        "further user turns": bool(case.turns),
        "tools": bool(case.tools),
        "continuations": bool(case.continuations) and not choices,
        "choices with prompts of their own": choices
        and any(one.prompt is not None for one in case.continuations),
        "checks": not checks and not all(_is_of_target(check, case) for check in case.checks),
    }
    if found := [what for what, there in has.items() if there]:
        raise GoldenSetError(
            f"case {case.id} has {' and '.join(found)}, which {format_name} files cannot carry: "
            "leave it out, or export as harness"
        )


def _is_of_target(check: Mapping[str, Any], case: Case) -> bool:
    """Whether a check says no more than that the answer is the case's target."""
    if check["type"] not in ("choice", "equals", "one_of"):
        return False
    wanted = check.get("value", check.get("values", check.get("target", case.target)))
    return bool(wanted == case.target or wanted == [case.target])


def _spelt(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
