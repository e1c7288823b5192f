"""Exceptions in threads: a test whose check ran in one, and failed there, has shown nothing."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest

__all__ = ["THREAD_ERRORS", "ThreadErrors"]


class ThreadErrors:
    """What threads have raised since somebody last asked."""

    def __init__(self) -> None:
        self._raised: list[str] = []

    def watch(self) -> Callable[[], object]:
        """Listen from now on, before whoever listens already, and return what undoes that."""
        before = threading.excepthook

        def listen(args: threading.ExceptHookArgs) -> None:
            if args.exc_type is SystemExit:  # ends a thread, and is no error of it
                return
            name = "a thread" if args.thread is None else f"the thread {args.thread.name!r}"
            self._raised.append(f"an exception in {name}: {args.exc_type.__name__}: {args.exc_value}")
            before(args)

        threading.excepthook = listen
        return functools.partial(setattr, threading, "excepthook", before)

    def take(self) -> str | None:
        """Return the first of what was raised, and forget all of it; None if nothing was."""
        first = next(iter(self._raised), None)
        self._raised.clear()
        return first


THREAD_ERRORS: pytest.StashKey[ThreadErrors] = pytest.StashKey()
