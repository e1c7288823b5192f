"""Answer from a file of recorded outputs: offline batches, other people's systems, published outputs.

A row is `{"id": case id, "output": text}`, or carries the prompt instead: `{"input": …}` or
`{"messages": […]}`. Rows with one id are its samples 0, 1, 2 … in the order of the file. An `output` that is
a list holds the answers to the turns of a multi-turn case; one that is null says that there was no answer.
Optional: `finish_reason`, `latency_ms`, `usage`, `tool_calls`, `model`. Other keys are left alone.

A file is read and checked as a whole before anything runs. Once it has answered, a mark in the state folder
says that a file of these bytes is sound; a rerun, which finds the answers in the cache, then only hashes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from harness.cases import Request, Response, ToolCall, content_digest
from harness.errors import CheckpointError
from harness.file_digest import file_sha256
from harness.protocols import BackendOptions, Checkpoint
from harness.registry import did_you_mean
from harness.strict_json import read_jsonl

from .finish_reason import FINISH_REASONS, normalise
from .tool_calls import read_call

__all__ = ["ReplayBackend"]

_READER = 1
"""Version of the rules that a file is read by; a mark that others left says nothing."""
_OTHER_NAMES_OF_OUTPUT = ("completion", "response", "answer", "generation", "prediction", "text")
_USAGE_NAMES = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "completion_tokens": ("completion_tokens", "output_tokens"),
}


@dataclass(frozen=True)
class _Row:
    """One recorded answer (several texts for a multi-turn case), and the prompt it was given to."""

    line: int
    texts: tuple[str, ...] | None
    response: Response
    case_id: str | None
    prompt: str | None


@dataclass(frozen=True)
class _Recording:
    """A file's rows by case id, and those without one by prompt."""

    path: Path
    fingerprint: str
    by_case: Mapping[str, tuple[_Row, ...]]
    by_prompt: Mapping[str, _Row] = field(default_factory=dict)


class ReplayBackend:
    """Serves recorded outputs; asks no model and needs no network."""

    ARGUMENTS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: BackendOptions) -> None:
        self._root = options.root
        self._marks = options.state / "replay"
        self._recordings: dict[str, _Recording] = {}

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Check the whole file, unless it was sound before; its sha256 is the fingerprint.

        Raises:
            CheckpointError: It is missing, or a row is malformed (file and line).
        """
        path = self._locate(name)
        fingerprint = self._known(path)
        if fingerprint is None:
            recording = _read(path)
            fingerprint = recording.fingerprint
            self._recordings[fingerprint] = recording
        return Checkpoint(
            spec=spec,
            name=path.stem,
            backend="replay",
            location=str(path),
            fingerprint=fingerprint,
            path=path,
            keyed_by_case=True,
        )

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Look every request up by its case id, then by its prompt.

        Raises:
            CheckpointError: The file is not the one that was resolved.
        """
        recording = self._recordings.get(checkpoint.fingerprint)
        if recording is None:
            recording = _read(Path(checkpoint.location))
            if recording.fingerprint != checkpoint.fingerprint:
                raise CheckpointError(f"{checkpoint.location}: changed since this session started; run again")
            self._recordings[recording.fingerprint] = recording
        for index, request in enumerate(requests):
            yield index, _answer(recording, request)
        with contextlib.suppress(OSError):  # then the next session reads the file again
            self._marks.mkdir(parents=True, exist_ok=True)
            self._mark(checkpoint.fingerprint).touch()

    def _known(self, path: Path) -> str | None:
        """Return the fingerprint of a file that was read before, by this session or another."""
        try:
            fingerprint = file_sha256(path)
        except OSError:
            return None  # reading it says why
        recording = self._recordings.get(fingerprint)
        is_known = self._mark(fingerprint).exists() or (recording is not None and recording.path == path)
        return fingerprint if is_known else None

    def _mark(self, fingerprint: str) -> Path:
        return self._marks / f"{fingerprint}.v{_READER}"

    def close(self) -> None:
        """Forget the rows."""
        self._recordings.clear()

    def _locate(self, name: str) -> Path:
        typed = Path(name).expanduser()
        looked = list(dict.fromkeys((self._root / typed, Path.cwd() / typed)))
        for candidate in looked:
            if candidate.is_file():
                return candidate.resolve()
        if any(candidate.exists() for candidate in looked):
            raise CheckpointError(f"replay/{name}: expected a JSON Lines file, found something else")
        where = " and ".join(str(candidate) for candidate in looked)
        raise CheckpointError(f"replay/{name}: no such file; looked at {where}")


def _answer(recording: _Recording, request: Request) -> Response:
    name = recording.path.name
    asked = f"case {request.case_id!r}" if request.case_id is not None else "this prompt"
    samples = recording.by_case.get(request.case_id or "")
    if samples is None:
        found = next((row for key in _lookup_keys(request) if (row := recording.by_prompt.get(key))), None)
        samples = () if found is None else (found,)
    if not samples:
        return _no_answer(f"no recorded output for {asked} in {name}")
    if request.sample >= len(samples):
        return _no_answer(
            f"{name} has {len(samples)} of the samples of {asked}, number {request.sample + 1} is missing"
        )
    row = samples[request.sample]
    if row.texts is None:
        return _no_answer(f"the recorded output for {asked} is null ({name}:{row.line})")
    turn = _turn(row.texts, request)
    if row.case_id is not None and row.prompt is not None and row.prompt not in _prompts(request, turn):
        return _no_answer(f"the output recorded for {asked} answers another prompt ({name}:{row.line})")
    if turn == len(row.texts):
        return _no_answer(f"{asked} asks for turn {turn + 1}, {name}:{row.line} has {turn}")
    if turn < len(row.texts) - 1:  # how the row ended is said of its last turn
        return Response(row.texts[turn], model=row.response.model)
    return replace(row.response, text=row.texts[turn])


def _no_answer(detail: str) -> Response:
    return Response("", "error", detail=detail)


def _turn(texts: Sequence[str], request: Request) -> int:
    """Return how many of the recorded answers the conversation already holds, as its latest replies."""
    replies = [message.content if message.role == "assistant" else None for message in request.messages]
    for turn in range(len(texts), 0, -1):
        if len(replies) > 2 * turn and tuple(replies[-2 * turn :: 2]) == tuple(texts[:turn]):
            return turn
    return 0


def _prompts(request: Request, turn: int) -> tuple[str, ...]:
    """Return how a row may name the prompt that opened this conversation."""
    opening = request.messages[: len(request.messages) - 2 * turn]
    asked = [message.content for message in opening if message.role == "user"]
    keys = [_messages_key([message.as_dict() for message in opening])]
    return (*keys, _input_key(asked[-1])) if asked else tuple(keys)


def _lookup_keys(request: Request) -> Iterator[str]:
    """Yield the prompt keys that may answer a request.

    An `input` alone answers only a conversation that is nothing but this input (and a system message):
    the same last words after another history ask something else.
    """
    yield _messages_key([message.as_dict() for message in request.messages])
    spoken = [message for message in request.messages if message.role != "system"]
    if len(spoken) == 1 and spoken[0].role == "user":
        yield _input_key(spoken[0].content)


def _messages_key(messages: list[dict[str, Any]]) -> str:
    return content_digest({"messages": messages})


def _input_key(text: str) -> str:
    return content_digest({"input": text})


def _read(path: Path) -> _Recording:
    digest = hashlib.sha256()
    by_case: dict[str, list[_Row]] = {}
    by_prompt: dict[str, _Row] = {}
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
    return _Recording(
        path, digest.hexdigest(), {case: tuple(rows) for case, rows in by_case.items()}, by_prompt
    )


def _row(raw: Mapping[str, Any], path: Path, line: int) -> _Row:
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
    return _Row(line, texts, response, case_id, prompt)


def _prompt(raw: Mapping[str, Any], path: Path, line: int) -> str | None:
    text, messages = raw.get("input"), raw.get("messages")
    if text is not None and messages is not None:
        _fail("has both `input` and `messages`; keep one", path, line)
    if text is not None:
        if not isinstance(text, str):
            _fail("`input` must be a string; a conversation goes into `messages`", path, line)
        return _input_key(text)
    if messages is None:
        return None
    if not isinstance(messages, list) or not messages:
        _fail("`messages` must be a list of {role, content} objects", path, line)
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            _fail(f"`messages[{number}]` must have a `role` and a `content`, both strings", path, line)
    return _messages_key(messages)


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
