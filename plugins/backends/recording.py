"""A file of recorded outputs: its rows, checked, and what each of them answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from harness.cases import Response, ToolCall, content_digest
from harness.errors import CheckpointError
from harness.files.read_json import read_jsonl
from harness.registry import did_you_mean

from .finish_reason import FINISH_REASONS, normalise
from .tool_calls import read_call

__all__ = ["RecordedRow", "Recording", "input_key", "messages_key", "read_recording"]

_OTHER_NAMES_OF_OUTPUT = ("completion", "response", "answer", "generation", "prediction", "text")
_USAGE_NAMES = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
}


@dataclass(frozen=True)
class RecordedRow:
    """One recorded answer (several texts for a multi-turn case), and the prompt it was given to."""

    line: int
    texts: tuple[str, ...] | None
    response: Response
    case_id: str | None
    prompt: str | None


@dataclass(frozen=True)
class Recording:
    """A file's rows by case id, and those without one by prompt."""

    path: Path
    fingerprint: str
    by_case: Mapping[str, tuple[RecordedRow, ...]]
    by_prompt: Mapping[str, RecordedRow] = field(default_factory=dict)


def messages_key(messages: list[dict[str, Any]]) -> str:
    """Return what a conversation is found by."""
    return content_digest({"messages": messages})


def input_key(text: str) -> str:
    """Return what a single question is found by."""
    return content_digest({"input": text})


def read_recording(path: Path) -> Recording:
    """Read a file of recorded outputs and check it as a whole.

    Raises:
        CheckpointError: It is missing or holds nothing, or a row is malformed (file and line).
    """
    digest = hashlib.sha256()
    by_case: dict[str, list[RecordedRow]] = {}
    by_prompt: dict[str, RecordedRow] = {}
    for line, raw in read_jsonl(path, error=CheckpointError, digest=digest, surrogates=True):
        row = _row(raw, path, line)
        if row.case_id is not None:
            by_case.setdefault(row.case_id, []).append(row)
        elif row.prompt is not None:
            first = by_prompt.setdefault(row.prompt, row)
            if first is not row and replace(first, line=line) != row:
                _fail(
                    f"the same prompt as line {first.line} with another output; "
                    "give samples of one case its `id`",
                    path,
                    line,
                )
    if not by_case and not by_prompt:
        raise CheckpointError(f"{path}: holds no recorded outputs")
    return Recording(
        path, digest.hexdigest(), {case: tuple(rows) for case, rows in by_case.items()}, by_prompt
    )


def _row(raw: Mapping[str, Any], path: Path, line: int) -> RecordedRow:
    case_id = raw.get("id")
    if case_id is not None and (not isinstance(case_id, str) or not case_id):
        _fail(f"`id` must be the case's id, a non-empty string, not {case_id!r:.40}", path, line)
    prompt = _prompt(raw, path, line)
    if case_id is None and prompt is None:
        _fail("needs `id`, `input` or `messages`, to say which case it answers", path, line)
    if "output" not in raw:
        other = next((name for name in _OTHER_NAMES_OF_OUTPUT if name in raw), None)
        hint = f"; is it what you call {other!r}? Rename it" if other else ""
        _fail(f"has no `output`{hint}", path, line)
    calls = _tool_calls(raw.get("tool_calls"), path, line)
    texts = _texts(raw["output"], path, line)
    reason = _finish_reason(raw.get("finish_reason"), path, line) or ("tool_calls" if calls else "stop")
    if reason == "error":
        texts = None
    model = raw.get("model")
    response = Response(
        text="",
        finish_reason=reason,
        detail="recorded with its finish_reason"
        if reason in ("context_overflow", "content_filter")
        else None,
        prompt_tokens=_tokens(raw, "prompt_tokens", path, line),
        completion_tokens=_tokens(raw, "completion_tokens", path, line),
        latency_ms=_latency(raw.get("latency_ms"), path, line),
        tool_calls=calls,
        model=model if isinstance(model, str) else None,
    )
    return RecordedRow(line, texts, response, case_id, prompt)


def _prompt(raw: Mapping[str, Any], path: Path, line: int) -> str | None:
    text, messages = raw.get("input"), raw.get("messages")
    if text is not None and messages is not None:
        _fail("has both `input` and `messages`; keep one", path, line)
    if text is not None:
        if not isinstance(text, str):
            _fail("`input` must be a string; a conversation goes into `messages`", path, line)
        return input_key(text)
    if messages is None:
        return None
    if not isinstance(messages, list) or not messages:
        _fail("`messages` must be a list of {role, content} objects", path, line)
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            _fail(f"`messages[{number}]` must have a `role` and a `content`, both strings", path, line)
    return messages_key(messages)


def _texts(output: Any, path: Path, line: int) -> tuple[str, ...] | None:
    if output is None:
        return None
    texts = output if isinstance(output, list) else [output]
    if not texts or not all(isinstance(text, str) for text in texts):
        _fail("`output` must be a string, a list of strings (one a turn) or null", path, line)
    return tuple(texts)


def _finish_reason(value: Any, path: Path, line: int) -> str | None:
    if value is None:
        return None
    reason = normalise(value) if isinstance(value, str) else None
    if reason is None:
        hint = did_you_mean(str(value), FINISH_REASONS)
        _fail(
            f"`finish_reason` must be one of {', '.join(FINISH_REASONS)}, not {value!r:.40}{hint}", path, line
        )
    return reason


def _tokens(raw: Mapping[str, Any], name: str, path: Path, line: int) -> int | None:
    usage = raw.get("usage")
    if usage is None:
        return None
    if not isinstance(usage, dict):
        _fail('`usage` must be an object such as {"prompt_tokens": 9, "completion_tokens": 5}', path, line)
    for key in _USAGE_NAMES[name]:
        value = usage.get(key)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
                _fail(f"`usage.{key}` must be a whole number of tokens", path, line)
            return int(value)
    return None


def _latency(value: Any, path: Path, line: int) -> float | None:
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < 0
    ):
        _fail("`latency_ms` must be a number of milliseconds, ≥ 0", path, line)
    return float(value)


def _tool_calls(value: Any, path: Path, line: int) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        _fail("`tool_calls` must be a list", path, line)
    calls: list[ToolCall] = []
    for number, entry in enumerate(value):
        call: Any = entry.get("function", entry) if isinstance(entry, dict) else None
        if not isinstance(call, dict):
            _fail(f"`tool_calls[{number}]` must be an object with `name` and `arguments`", path, line)
        read = read_call(call.get("name"), call.get("arguments"), entry.get("id"))
        if isinstance(read, str):
            _fail(f"`tool_calls[{number}]`: {read}", path, line)
        calls.append(read)
    return tuple(calls)


def _fail(message: str, path: Path, line: int) -> NoReturn:
    raise CheckpointError(f"{path}:{line}: {message}")
