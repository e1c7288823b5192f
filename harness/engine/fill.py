"""Fill the response cache for a plan: group by checkpoint, ask in batches, commit as answers come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.cases import Response
from harness.engine.likelihoods import likelihood_refusal, verified
from harness.engine.plan import Plan, PlannedRequest
from harness.protocols import Backend, Checkpoint

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy, BaseFileLock

    from harness.engine.cache import ResponseCache

__all__ = ["FillReport", "Progress", "fill"]

_COMMIT_ROWS = 64
_COMMIT_SECONDS = 1.0
_UNTOLD_SECONDS = 1.0
"""How long a fill waits for another one without a word."""


class Progress(Protocol):
    """What a fill tells whoever watches it."""

    def begins(self, checkpoint: Checkpoint, wanted: int, reused: int) -> None:
        """Take in that a checkpoint is asked now, and how many answers of all the cache had."""
        ...

    def answered(self, checkpoint: Checkpoint, done: int, wanted: int, tokens: int) -> None:
        """Take in, after each commit, how many answers there are, are wanted, and their length in tokens."""
        ...

    def waits_for(self, lock: Path) -> None:
        """Take in that another process has held this lock for a second."""
        ...


@dataclass(frozen=True)
class FillReport:
    """What a fill did: requests wanted, found in the cache, generated now, and failed."""

    wanted: int = 0
    reused: int = 0
    generated: int = 0
    failed: int = 0

    def __add__(self, other: FillReport) -> FillReport:
        return FillReport(
            self.wanted + other.wanted,
            self.reused + other.reused,
            self.generated + other.generated,
            self.failed + other.failed,
        )


def fill(
    plan: Plan,
    cache: ResponseCache,
    backend_of: Callable[[Checkpoint], Backend],
    *,
    progress: Progress | None = None,
) -> tuple[FillReport, Mapping[str, Response]]:
    """Answer every planned request that the cache cannot, and return all answers by key.

    One process fills at a time, under a file lock beside the cache; the others wait and read. Answers are
    committed at least every 64 rows or every second, so that a kill loses what is in flight and no more.
    """
    keys = [planned.key for planned in plan]
    answers = cache.get_many(keys)
    missing = [key for key in keys if key not in answers]
    if not missing:
        return FillReport(wanted=len(keys), reused=len(keys)), answers
    from filelock import FileLock  # a rerun has nothing to fill

    with _acquired(FileLock(f"{cache.path}.lock"), progress):
        answers.update(cache.get_many(missing))  # another worker may have been first
        missing = [key for key in missing if key not in answers]
        report = FillReport(wanted=len(keys), reused=len(keys) - len(missing))
        for checkpoint, group in plan.by_checkpoint(missing):
            if progress is not None:
                progress.begins(checkpoint, len(group), report.reused)
            done = _fill_checkpoint(checkpoint, group, cache, backend_of(checkpoint), progress)
            answers.update(done)
            failed = sum(response.failed for response in done.values())
            report += FillReport(generated=len(done) - failed, failed=failed)
    return report, answers


def _acquired(lock: BaseFileLock, progress: Progress | None) -> AcquireReturnProxy[BaseFileLock]:
    """Wait for a lock, and say so when that takes longer than a moment."""
    from filelock import Timeout

    try:
        return lock.acquire(timeout=_UNTOLD_SECONDS)
    except Timeout:
        if progress is not None:
            progress.waits_for(Path(lock.lock_file))
        return lock.acquire()


def _fill_checkpoint(
    checkpoint: Checkpoint,
    group: list[PlannedRequest],
    cache: ResponseCache,
    backend: Backend,
    progress: Progress | None,
) -> dict[str, Response]:
    done: dict[str, Response] = {}
    pending: list[tuple[PlannedRequest, Response]] = []
    last_commit = time.monotonic()
    tokens = 0

    def commit() -> None:
        nonlocal last_commit
        cache.put_many(
            (planned.key, checkpoint.fingerprint, planned.request.as_dict(), response)
            for planned, response in pending
        )
        pending.clear()
        last_commit = time.monotonic()
        if progress is not None:
            progress.answered(checkpoint, len(done), len(group), tokens)

    try:
        for planned, response in _answers(checkpoint, group, backend):
            clean = _encodable(response)
            done[planned.key] = clean
            pending.append((planned, clean))
            tokens += clean.completion_tokens or 0
            if len(pending) >= _COMMIT_ROWS or time.monotonic() - last_commit >= _COMMIT_SECONDS:
                commit()
    finally:
        if pending:
            commit()
    silent = [planned for planned in group if planned.key not in done]
    for planned in silent:
        done[planned.key] = Response("", "error", detail=f"backend {checkpoint.backend} gave no answer")
        pending.append((planned, done[planned.key]))
    if pending:
        commit()
    return done


def _answers(
    checkpoint: Checkpoint, group: list[PlannedRequest], backend: Backend
) -> Iterator[tuple[PlannedRequest, Response]]:
    """Ask a backend what it can answer, and refuse the rest."""
    asked = []
    for planned in group:
        refused = likelihood_refusal(checkpoint, backend, planned.request)
        if refused is None:
            asked.append(planned)
        else:
            yield planned, refused
    if asked:
        for index, response in backend.generate(checkpoint, [planned.request for planned in asked]):
            yield asked[index], verified(checkpoint, asked[index].request, response)


def _encodable(response: Response) -> Response:
    """Replace lone surrogates: such text cannot be sent between processes, printed or stored."""
    if _is_encodable(response.text) and _is_encodable(response.detail or ""):
        return response
    fields = response.as_dict() | {
        "text": _replaced(response.text),
        "detail": None if response.detail is None else _replaced(response.detail),
    }
    return Response.from_dict(fields)


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _replaced(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
