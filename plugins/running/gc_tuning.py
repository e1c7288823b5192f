"""When Python looks for garbage in a session that gates.

A session of ten thousand cases makes some million objects that live until it ends. Looking through all of
them every few thousand new ones takes a tenth of the time of the whole session, and finds nothing. Taking
them apart one by one as the process ends, a moment before the system takes back its memory, takes as much.
"""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path

import pytest

__all__ = ["collect_rarely", "keep_what_is_there", "search_after_the_verdict"]

_COLLECTING = (1_000_000, 20, 50)
_RUNNING = (250_000, 20, 50)
"""Tests and backends may leave garbage behind that holds much; what collects them does not."""
_COMMANDS = frozenset({"pytest", "py.test", "pytest.exe", "py.test.exe"})


def collect_rarely(config: pytest.Config) -> None:
    """Look for garbage less often until the session has ended; never where it is switched off."""
    before = gc.get_threshold()
    if before[0] and before[0] < _RUNNING[0]:
        gc.set_threshold(*_COLLECTING)
        config.add_cleanup(lambda: gc.set_threshold(*before))
    if gc.get_freeze_count() == 0:
        config.add_cleanup(gc.unfreeze)
        config.pluginmanager.register(_Searched(), "harness-searched")
        if _is_pytests_own_process():
            # By then pytest has collected what tests left behind, and what lies in no cycle goes as ever.
            atexit.unregister(gc.freeze)
            atexit.register(gc.freeze)


def keep_what_is_there() -> None:
    """Leave what is there now, such as a session's items, out of searches until the session has ended."""
    gc.freeze()
    if gc.get_threshold() == _COLLECTING:
        gc.set_threshold(*_RUNNING)
    gc.collect(0)  # finds nothing, and lets Python count what is new from here


def search_after_the_verdict() -> None:
    """Look rarely again once the tests are over: deciding leaves none, and pytest soon looks for it all."""
    if gc.get_threshold() == _RUNNING:
        gc.set_threshold(*_COLLECTING)


class _Searched:
    """Leaves out of pytest's last search, moments after the one before it, what that one has found in use."""

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        gc.freeze()


def _is_pytests_own_process() -> bool:
    """Whether the process is `pytest` or `python -m pytest`, and not a program that calls `pytest.main`."""
    path = Path(getattr(sys.modules.get("__main__"), "__file__", None) or "")
    return path.name in _COMMANDS or path == Path(pytest.__file__).with_name("__main__.py")
