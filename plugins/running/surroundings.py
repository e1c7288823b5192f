"""What pytest puts around a test's call: capture of output and log, errors from threads and destructors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ..pytest_internals import (
    captured_output,
    error_checks,
    is_silent,
    log_capture,
    log_catcher,
    raised_through,
)

__all__ = ["Surroundings", "forget_error", "remember_error"]

_CURRENT_TEST = "PYTEST_CURRENT_TEST"


@dataclass(frozen=True)
class Surroundings:
    """What a session's plugins, as they are now, put around a call.

    Attributes:
        config: pytest's configuration.
        capture: pytest's capture of output, if it captures.
        logging: pytest's capture of the log, if it captures that.
        catching_logs: What hands to it all that is logged inside a block.
        checks: What raises or warns of errors in threads and destructors.
        troubles: The errors that they have not told yet.
        reraise: What ends the session rather than the test.
    """

    config: pytest.Config
    capture: Any
    logging: Any
    catching_logs: Callable[..., Any]
    checks: tuple[Callable[[pytest.Config], None], ...]
    troubles: tuple[Collection[Any], ...]
    reraise: tuple[type[BaseException], ...]

    @classmethod
    def of(cls, config: pytest.Config) -> Surroundings:
        """Return what a session's plugins put around a call; pytest must allow direct calls."""
        checks = error_checks(config)
        return cls(
            config=config,
            capture=captured_output(config),
            logging=log_capture(config),
            catching_logs=log_catcher(),
            checks=tuple(check for check, _ in checks),
            troubles=tuple(untold for _, untold in checks),
            reraise=raised_through(config),
        )

    def is_troubled(self) -> bool:
        """Whether a thread or destructor raised something that nobody was told of."""
        return any(self.troubles)

    @contextmanager
    def around(self, item: pytest.Item) -> Iterator[None]:
        """Capture while an item runs, and say in the environment that it does."""
        os.environ[_CURRENT_TEST] = f"{item.nodeid} (call)".replace("\x00", "(null)")
        if self.capture is not None:
            self.capture.resume_global_capture()
        try:
            if self.logging is None:
                yield
            else:
                with self.catching_logs(self.logging.report_handler, level=self.logging.log_level) as handler:
                    handler.reset()
                    yield
        finally:
            if self.capture is not None:
                self.capture.suspend_global_capture(in_=False)
            os.environ.pop(_CURRENT_TEST, None)

    def call(self, call: Callable[[], None], when: Any) -> pytest.CallInfo[None]:
        """Call, and tell what it raised and how long it took."""
        return pytest.CallInfo.from_call(call, when=when, reraise=self.reraise)

    def check(self) -> None:
        """Warn of, or raise, the errors of threads and destructors."""
        if self.is_troubled():
            for check in self.checks:
                check(self.config)

    def keep_output(self, item: pytest.Item) -> None:
        """Put what was written and logged into an item's report."""
        if self.capture is not None and not is_silent(self.capture):
            out, err = self.capture.read_global_capture()
            item.add_report_section("call", "stdout", out)
            item.add_report_section("call", "stderr", err)
        if self.logging is not None:
            handler = self.logging.report_handler
            if log := handler.stream.getvalue().strip():
                item.add_report_section("call", "log", log)
                handler.reset()


def remember_error(error: Exception) -> None:
    """Keep what a test raised where pytest does, for a debugger to find it after the session."""
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error


def forget_error() -> None:
    """Drop what the test before raised."""
    if "last_value" in vars(sys):  # `hasattr` would raise an error of its own, and drop that
        del sys.last_type, sys.last_value, sys.last_traceback
        if sys.version_info >= (3, 12):
            del sys.last_exc
