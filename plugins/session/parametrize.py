"""From a test function to its items: one per case × checkpoint, or per checkpoint without a suite."""

from __future__ import annotations

import unittest
from collections.abc import Iterable

import pytest

from harness.errors import ConfigurationError

from .code_digest import code_digest
from .item import HarnessItem, harness_item_of, is_ours, test_name
from .session import GateSession
from .suite import read_marker

__all__ = ["Parameters", "refuse_ungated"]


class Parameters:
    """The parameters of a session's test functions, and what is expected of each.

    Args:
        session: The gating session.
    """

    def __init__(self, session: GateSession) -> None:
        self._session = session
        self._named: dict[tuple[str, str], str] = {}
        self.expected: dict[tuple[str, str], int] = {}
        """(suite, test) → cases of the whole golden set."""
        self.code: dict[tuple[str, str], str] = {}
        """(suite, test) → digest of the test's code, where its source can be read."""

    def of(self, metafunc: pytest.Metafunc) -> tuple[list[HarnessItem], list[str]]:
        """Return the parameters of a test function's items, and their ids.

        Raises:
            UsageError: Its suite cannot be used, or its results could not be told from another test's.
        """
        candidates = self._session.candidates
        name, fixtures = test_name(metafunc.definition), frozenset(metafunc.fixturenames)
        mark = metafunc.definition.get_closest_marker("suite")
        if mark is None:
            free = [HarnessItem(checkpoint, name, fixtures) for checkpoint in candidates]
            return free, [checkpoint.name for checkpoint in candidates]
        suites = self._session.suites.get(read_marker(mark))
        if metafunc.definition.get_closest_marker("parametrize") is not None:
            raise _other_parameters(metafunc.definition.nodeid)
        node = metafunc.definition.nodeid
        for suite in suites:
            first = self._named.setdefault((suite.name, name), node)
            if first != node:
                raise ConfigurationError(
                    f"{first} and {node} have one name in the suite {suite.name!r}, by which their results "
                    "are joined with the baseline's: rename one, or give it a suite of its own, name='…'"
                )
            self.expected[(suite.name, name)] = suite.total
            if (digest := code_digest(metafunc.definition)) is not None:
                self.code[(suite.name, name)] = digest
        params = [
            HarnessItem(candidate, name, fixtures, suite, case)
            for suite in suites
            for candidate in candidates
            for case in suite.cases
        ]
        several = len(suites) > 1
        return params, [_item_id(param, several) for param in params]

    def refuse_repetitions(self, items: Iterable[pytest.Item]) -> None:
        """Refuse a case that would have several results under one name: the last would stand for all.

        Args:
            items: All that was collected, before any is deselected.

        Raises:
            ConfigurationError: A fixture with parameters makes several items of a case and checkpoint.
        """
        named: dict[int, str] = {}
        for item in items:
            if not is_ours(item) or harness_item_of(item).suite is None:
                continue
            if named.setdefault(id(harness_item_of(item)), item.nodeid) != item.nodeid:
                raise _other_parameters(item.nodeid.partition("[")[0])


def refuse_ungated(items: Iterable[pytest.Item]) -> None:
    """Refuse a suite of tests that get no parameters: they would run once, without a case, and gate nothing.

    Raises:
        ConfigurationError: A test with the mark is a method of `unittest.TestCase`, or no function at all.
    """
    for item in items:
        if item.get_closest_marker("suite") is None:
            continue
        of = getattr(item, "cls", None)
        if not isinstance(item, pytest.Function) or (of is not None and issubclass(of, unittest.TestCase)):
            raise ConfigurationError(
                f"{item.nodeid} is marked as a suite, and is no test that takes a case and a response "
                "(methods of unittest.TestCase take none): write a function, or a class without a base"
            )


def _other_parameters(test: str) -> ConfigurationError:
    return ConfigurationError(
        f"{test}: a test of a suite runs once per case and checkpoint, and has no other parameters: write a "
        "test for each of their values; several samples of every case are --epochs=K"
    )


def _item_id(param: HarnessItem, several: bool) -> str:
    assert param.case is not None
    assert param.suite is not None
    named = f"{param.case.id}-{param.checkpoint.name}"
    return f"{param.suite.name}-{named}" if several else named
