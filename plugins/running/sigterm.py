"""SIGTERM as an interruption, so that finished work is recorded and the exit code is 2."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable

__all__ = ["interrupt_on_sigterm"]


def interrupt_on_sigterm() -> Callable[[], object] | None:
    """Make SIGTERM an interruption, and return what undoes that; None where somebody else handles it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None
    before = signal.signal(signal.SIGTERM, _interrupt)
    return functools.partial(signal.signal, signal.SIGTERM, before)


def _interrupt(signum: int, frame: object) -> None:
    signal.signal(signum, signal.SIG_IGN)  # once is enough: a second would interrupt the keeping of the work
    raise KeyboardInterrupt(f"signal {signal.Signals(signum).name}")
