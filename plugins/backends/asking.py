"""Ask a served model many things at once, and never wait for one of them longer than was said.

The waiting happens on an event loop in a thread of its own: whoever takes the answers may be slow, or sit
inside another event loop (a notebook), and no deadline notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any
from weakref import WeakSet

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_before_delay

from harness.cases import Request, Response, content_digest
from harness.errors import UsageError

__all__ = ["Ask", "Connect", "Patience", "RejectedError", "UnavailableError", "UnreadableError", "ask_all"]

Ask = Callable[[Request], Awaitable[Response]]
"""One attempt at one request.

Raises `UnavailableError`, `UnreadableError`, `RejectedError`, or a `UsageError` for them all."""

Connect = Callable[[], AbstractAsyncContextManager[Ask]]
"""Opens a connection pool on the running event loop."""

_LONGEST_WAIT_S = 30.0
_OUTAGE_AFTER = 10  # requests in a row without an answer, or two rounds of all that are in flight


class RejectedError(Exception):
    """The server refuses this very request; asking again changes nothing."""


class UnavailableError(Exception):
    """The server gave no usable answer; another attempt may.

    Args:
        detail: Why, in one line.
        retry_after: Seconds that the server asks to wait, if it does.
        lasting: Whether another attempt is pointless (a spent quota).
    """

    def __init__(self, detail: str, *, retry_after: float | None = None, lasting: bool = False) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.lasting = lasting


class UnreadableError(Exception):
    """An answer came, and something in it is not understood.

    It is not asked for again: that would draw until an answer can be read, and which can be depends on what
    the model says.
    """


@dataclass(frozen=True)
class Patience:
    """How long and how often a request is tried.

    Attributes:
        attempt_s: Most seconds until one attempt's answer is complete; a body that drips in is no excuse.
        deadline_s: Most seconds for a request, all attempts and the waits between them together.
        retries: Attempts after the first.
        first_wait_s: Seconds before the first retry; doubled each time, up to 30, unless the server says.
    """

    attempt_s: float = 120.0
    deadline_s: float = 300.0
    retries: int = 4
    first_wait_s: float = 0.5


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that can close whatever was opened on it.

    A request that is cancelled while its connection opens leaves that connection to nobody: no pool of the
    SDK's knows of it yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opened: WeakSet[asyncio.Transport] = WeakSet()

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(*args, **options)
        self._opened.add(transport)
        return transport, protocol

    async def close_connections(self) -> None:
        for transport in list(self._opened):
            transport.abort()
        await asyncio.sleep(0)  # sockets are closed in the loop's next round


class _Outage:
    """Counts requests without a usable answer since the last with one."""

    def __init__(self, concurrency: int) -> None:
        self._limit = max(_OUTAGE_AFTER, 2 * concurrency)
        self._failures = 0
        self._reason = ""

    def failed(self, reason: str) -> None:
        self._failures += 1
        self._reason = reason

    def over(self) -> None:
        self._failures = 0

    @property
    def verdict(self) -> str | None:
        """Why nothing more is asked, once that is so."""
        if self._failures < self._limit:
            return None
        return f"not asked, the {self._failures} requests before it got no usable answer: {self._reason}"


def ask_all(
    connect: Connect, requests: Sequence[Request], *, concurrency: int, patience: Patience
) -> Iterator[tuple[int, Response]]:
    """Yield (index, response) as each request is answered, `concurrency` of them in flight at a time.

    A request without an answer yields a response whose finish reason is `error`. When nothing at all comes
    back any more, what is left is not asked.

    Raises:
        UsageError: The server refuses whatever is asked; requests in flight are abandoned.
    """
    if not requests:
        return
    answers: SimpleQueue[tuple[int, Response] | None] = SimpleQueue()
    loop = _Loop()
    work = loop.create_task(_work(connect, requests, min(concurrency, len(requests)), patience, answers))
    thread = threading.Thread(target=_drive, args=(loop, work, answers), name="harness-asking", daemon=True)
    thread.start()
    try:
        while (answer := answers.get()) is not None:
            yield answer
        work.result()
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nothing left to cancel
            loop.call_soon_threadsafe(work.cancel)
        thread.join()
        if not work.cancelled():
            work.exception()  # seen, whether or not the caller was still there to be told


def _drive(loop: _Loop, work: asyncio.Task[None], answers: SimpleQueue[None]) -> None:
    try:
        loop.run_until_complete(asyncio.wait({work}))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.run_until_complete(loop.close_connections())
    finally:
        loop.close()
        answers.put(None)


async def _work(
    connect: Connect,
    requests: Sequence[Request],
    concurrency: int,
    patience: Patience,
    answers: SimpleQueue[tuple[int, Response] | None],
) -> None:
    outage = _Outage(concurrency)
    waiting = iter(enumerate(requests))

    async def work(ask: Ask) -> None:
        for index, request in waiting:
            answers.put((index, await _answer(ask, request, patience, outage)))

    async with connect() as ask:
        workers = [asyncio.create_task(work(ask)) for _ in range(max(1, concurrency))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _answer(ask: Ask, request: Request, patience: Patience, outage: _Outage) -> Response:
    if outage.verdict is not None:
        return Response("", "error", detail=outage.verdict)
    try:
        response = await _persist(ask, request, patience)
    except (UnavailableError, UnreadableError) as error:
        outage.failed(str(error))
        return Response("", "error", detail=str(error))
    except RejectedError as error:
        outage.over()
        return Response("", "error", detail=str(error))
    outage.over()
    return response


async def _persist(ask: Ask, request: Request, patience: Patience) -> Response:
    """Try until there is an answer, the retries are used up, or the next would start past the deadline."""
    started = time.monotonic()

    async def attempt() -> Response:
        limit = min(patience.attempt_s, patience.deadline_s - (time.monotonic() - started))
        try:
            return await asyncio.wait_for(ask(request), limit)
        except asyncio.TimeoutError:
            raise UnavailableError(f"no complete answer within {limit:.3g} s") from None
        except (UnavailableError, UnreadableError, RejectedError, UsageError):
            raise
        except Exception as error:  # a connection lost in the middle of a body is no error of the SDK's
            raise UnavailableError(f"the request failed: {type(error).__name__}") from None

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, UnavailableError) and error.retry_after is not None:
            return error.retry_after
        doubled = min(_LONGEST_WAIT_S, patience.first_wait_s * 2.0 ** (state.attempt_number - 1))
        return doubled * _spread(request, state.attempt_number)

    retrying = AsyncRetrying(
        stop=stop_after_attempt(patience.retries + 1) | stop_before_delay(patience.deadline_s),
        wait=pause,
        retry=retry_if_exception(lambda error: isinstance(error, UnavailableError) and not error.lasting),
        reraise=True,
    )
    return await retrying(attempt)


def _spread(request: Request, attempt: int) -> float:
    """Return a factor in [0.5, 1) that keeps requests that failed together from coming back together."""
    return 0.5 + int(content_digest([request.as_dict(), attempt])[:8], 16) / 2**33
