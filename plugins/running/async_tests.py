"""Tests that are coroutines: whichever plugin runs them, what they say becomes the result of their round."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Generator
from typing import Any

import pytest

from ..session.item import harness_item_of, is_ours

__all__ = ["AsyncTests"]


class AsyncTests:
    """Puts our reading of an outcome around each coroutine, inside of whatever runs it.

    Outside of it, a runner's own complaint (that nobody runs coroutines, say) would look like a miss.
    """

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        """Let a coroutine of ours run inside of what keeps its result."""
        function = pyfuncitem.obj
        if (
            not is_ours(pyfuncitem)
            or harness_item_of(pyfuncitem).suite is None
            or not inspect.iscoroutinefunction(function)
        ):
            return (yield)
        from .round_result import end_call, keep_miss, keep_return, prepare

        @functools.wraps(function)
        async def judged(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            try:
                prepare(pyfuncitem)
                returned = await function(*args, **kwargs)
            except pytest.xfail.Exception:
                raise
            except (AssertionError, pytest.fail.Exception) as error:
                keep_miss(pyfuncitem, error)
            else:
                keep_return(pyfuncitem, returned)
            finally:
                end_call(pyfuncitem)

        pyfuncitem.obj = judged
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function
