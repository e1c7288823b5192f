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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from harness.cases import Request, Response
from harness.errors import CheckpointError
from harness.files.digest import file_sha256
from harness.protocols import BackendOptions, Checkpoint

from .recording import Recording, input_key, messages_key, read_recording

__all__ = ["ReplayBackend"]

_READER = 2
"""Version of the rules that a file is read by; a mark that others left says nothing."""


class ReplayBackend:
    """Serves recorded outputs; asks no model and needs no network."""

    ARGUMENTS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: BackendOptions) -> None:
        self._root = options.root
        self._marks = options.state / "replay"
        self._recordings: dict[str, Recording] = {}

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Check the whole file, unless it was sound before; its sha256 is the fingerprint.

        Raises:
            CheckpointError: It is missing, or a row is malformed (file and line).
        """
        path = self._locate(name)
        fingerprint = self._known(path)
        if fingerprint is None:
            recording = read_recording(path)
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
            recording = read_recording(Path(checkpoint.location))
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


def _answer(recording: Recording, request: Request) -> Response:
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
    keys = [messages_key([message.as_dict() for message in opening])]
    return (*keys, input_key(asked[-1])) if asked else tuple(keys)


def _lookup_keys(request: Request) -> Iterator[str]:
    """Yield the prompt keys that may answer a request.

    An `input` alone answers only a conversation that is nothing but this input (and a system message):
    the same last words after another history ask something else.
    """
    yield messages_key([message.as_dict() for message in request.messages])
    spoken = [message for message in request.messages if message.role != "system"]
    if len(spoken) == 1 and spoken[0].role == "user":
        yield input_key(spoken[0].content)
