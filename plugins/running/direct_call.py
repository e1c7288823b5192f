"""The direct call: run a test that needs nothing but our fixtures without pytest's set-up and teardown of it.

pytest spends some 0.4 ms on each test, nearly all of it on what a suite over a golden set does not use:
fixture definitions, three phases, and a dozen hooks for each. A test that a `DirectCall` takes is called with
values made by us, inside pytest's capture of output and log, and ends with the reports that pytest would have
made of it. Whatever is out of the ordinary goes pytest's full way: `takes` says what that is. Nothing that a
test, its fixtures or a plugin can see of a run differs between the two ways, but its time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pytest

from harness.case_result import Role
from harness.cases import Score

from ..pytest_internals import (
    allows_direct_calls,
    argument_names,
    count_report_sections,
    fixture_definitions,
    forget_request,
    is_module_set_up,
    is_told_to_debuggers,
    log_capture,
    request_of,
)
from ..session.item import Round
from ..session.session import GateSession
from ..session.stash import SCORES
from . import fixtures
from .fixture_values import VALUES, Value
from .other_plugins import is_undisturbed, wants_every_phase
from .round_result import RESULT, RoundResult, begin, call_test, make_harmless
from .surroundings import Surroundings, forget_error, remember_error

__all__ = ["DirectCall", "Ran"]

Ran = tuple[list[pytest.TestReport], RoundResult]
"""Reports and result of one round."""

_EVALUATED = frozenset({"skip", "skipif", "xfail"})
"""Marks that pytest evaluates while it sets a test up."""
_OPTIONS = (
    "debug",
    "usepdb",
    "trace",
    "setupshow",
    "setuponly",
    "setupplan",
    "log_cli_level",
    "harness_full_protocol",
)
"""Options under which people want to see every phase."""
_OVERRIDDEN = frozenset({"runtest", "setup", "repr_failure", "reportinfo"})
"""Methods that a plugin may have replaced on an item of its own."""


class DirectCall:
    """Decides which tests are called directly, and calls them.

    Args:
        config: pytest's configuration.
        session: The gating session.
    """

    def __init__(self, config: pytest.Config, session: GateSession) -> None:
        self._config = config
        self._session = session
        shows_log = log_capture(config) is not None and config.getini("log_cli")
        self._wanted = allows_direct_calls(config) and not (
            shows_log or any(getattr(config.option, name, None) for name in _OPTIONS)
        )
        self._plugins = -1  # how many there were when the next three were found
        self._undisturbed: dict[pytest.Collector, bool] = {}
        self._every_phase = True
        self._around: Surroundings | None = None
        self._functions: dict[int, _Function] = {}

    # --- which -----------------------------------------------------------------------------------------

    def takes(self, item: pytest.Item, nextitem: pytest.Item | None) -> TypeGuard[pytest.Function]:
        """Whether an item can be called directly: nobody could tell but by the clock.

        Its module must be set up, and stay so for the next item: pytest itself sets modules up and tears them
        down, around the first and the last item of each. No plugin or conftest may implement a hook that is
        not called. The test is a plain function whose fixtures are all ours and not overridden, and neither
        it nor what holds it has a mark that pytest evaluates.
        """
        parent = item.parent
        if not self._wanted or nextitem is None or parent is None or nextitem.parent is not parent:
            return False
        if not is_module_set_up(item, parent):
            return False
        # Classes derived from these are other plugins', and set up and run as those see fit.
        if type(item) is not pytest.Function or type(parent) is not pytest.Module:
            return False
        if _is_evaluated(item) or not _OVERRIDDEN.isdisjoint(item.__dict__):
            return False
        around = self._look_at_plugins()
        undisturbed = self._undisturbed.get(parent)
        if undisturbed is None:
            undisturbed = self._undisturbed[parent] = is_undisturbed(item)
        return undisturbed and self._function(item).is_plainly(item.obj) and not around.is_troubled()

    def _look_at_plugins(self) -> Surroundings:
        """Return what plugins put around a call; look again when one has come or gone: a test may add one."""
        plugins = len(self._config.pluginmanager.list_name_plugin())
        if self._around is None or plugins != self._plugins:
            self._plugins = plugins
            self._undisturbed.clear()
            self._every_phase = wants_every_phase(self._config)
            self._around = Surroundings.of(self._config)
        return self._around

    def _function(self, item: pytest.Function) -> _Function:
        """Return what is known of an item's function, whose items share one list of fixtures."""
        known = self._functions.get(id(item.fixturenames))
        if known is None or known.count != len(item.fixturenames):
            known = self._functions[id(item.fixturenames)] = _Function.of(item)
        return known

    def place(self, item: pytest.Function) -> None:
        """Tell an item where it is, which pytest would look up in the source file for each anew."""
        known = self._function(item)
        if not known.place:
            known.place.append(item.location[:2])
        file, line = known.place[0]
        item.__dict__["location"] = (file, line, item.name)

    # --- how -------------------------------------------------------------------------------------------

    def run(self, item: pytest.Function, rounds: Sequence[Round]) -> list[Ran] | None:
        """Run all rounds of an item; None, and nothing has happened, if a fixture of ours has no value.

        The reports of a baseline's round that raised nothing are left out: nobody is shown them.
        """
        known, around = self._function(item), self._around
        assert around is not None  # the item was taken
        ran = []
        with around.around(item):
            prepared = self._prepared(item, rounds, known.values)
            if prepared is None:
                return None  # pytest says it best: as an error, or a skip, of the set-up
            for current, scores, values in prepared:
                begin(item, current, scores)
                if known.asks_for_request:
                    values["request"] = request_of(item)
                item.funcargs = values
                arguments = {name: values[name] for name in known.arguments}
                reports = self._call(item, arguments, around, shown=current.role is Role.CANDIDATE)
                ran.append((reports, item.stash[RESULT]))
        forget_request(item)
        return ran

    def _prepared(
        self, item: pytest.Function, rounds: Sequence[Round], needed: Sequence[tuple[str, Value]]
    ) -> list[tuple[Round, list[Score], dict[str, Any]]] | None:
        prepared = []
        for current in rounds:
            scores: list[Score] = []
            item.stash[SCORES] = scores
            try:
                values = {name: make(self._session, item, current) for name, make in needed}
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):
                return None
            prepared.append((current, scores, values))
        return prepared

    def _call(
        self, item: pytest.Function, arguments: dict[str, Any], around: Surroundings, *, shown: bool
    ) -> list[pytest.TestReport]:
        """Call the function once, and return the reports that pytest would make of it."""
        earlier = count_report_sections(item)

        def called() -> None:
            forget_error()
            try:
                call_test(item, arguments)
            except Exception as error:
                remember_error(error)
                raise
            around.check()

        try:
            call = around.call(called, "call")
        finally:
            around.keep_output(item)
        if call.excinfo is None:
            if not shown:
                return []
            report = pytest.TestReport.from_item_and_call(item, call)
            if report.sections or report.user_properties:
                make_harmless(report)
            return self._phases(report, earlier)
        phases = self._phases(_failure(item, call), earlier)
        late = around.call(around.check, "teardown")
        if late.excinfo is None:
            return phases
        before = phases[:-1] if self._every_phase else phases
        return [*before, _failure(item, late)]

    def _phases(self, call: pytest.TestReport, earlier: int) -> list[pytest.TestReport]:
        """Return the report of a call, between those of its set-up and teardown where anybody wants them.

        Args:
            call: The report.
            earlier: How many of its sections are those of earlier rounds.
        """
        if not self._every_phase:
            return [call]
        before, after = call.sections[:earlier], call.sections
        return [_uneventful(call, "setup", before), call, _uneventful(call, "teardown", after)]


@dataclass(frozen=True)
class _Function:
    """What all items of a test function have in common.

    Attributes:
        fixtures: The list that they share, by whose identity this is found.
        count: Its length.
        function: What is called.
        arguments: Names of its arguments.
        values: All fixtures that it needs, directly or through others: names, and what makes their values.
        asks_for_request: Whether one of them asks pytest for its request, as ours do.
        is_plain: Whether there is nothing about it but a function and our fixtures.
        place: File and line, once they have been looked up.
    """

    fixtures: list[str]
    count: int
    function: Callable[..., object]
    arguments: tuple[str, ...]
    values: tuple[tuple[str, Value], ...]
    asks_for_request: bool
    is_plain: bool
    place: list[tuple[str, int | None]]

    @classmethod
    def of(cls, item: pytest.Function) -> _Function:
        function, arguments = item.obj, tuple(argument_names(item))
        definitions = fixture_definitions(item) or {}
        # `request` is what our own fixtures ask for; a test that asks for it is none of these.
        is_ours = VALUES.keys() >= {*arguments} and all(
            name == "request" or (name in VALUES and all(map(_is_ours, definitions.get(name, [None]))))
            for name in item.fixturenames
        )
        is_plain = (
            is_ours
            and inspect.isfunction(function)
            and not inspect.iscoroutinefunction(function)
            and not inspect.isasyncgenfunction(function)
            and set(vars(function)) <= {"pytestmark"}
            and set(item.callspec.params) == {"harness_item"}
        )
        return cls(
            fixtures=item.fixturenames,
            count=len(item.fixturenames),
            function=function,
            arguments=arguments,
            values=tuple((name, VALUES[name]) for name in item.fixturenames if name in VALUES),
            asks_for_request="request" in item.fixturenames,
            is_plain=is_plain,
            place=[],
        )

    def is_plainly(self, function: object) -> bool:
        """Whether an item calls this very function, with nothing put around it, and it is a plain one."""
        return self.is_plain and function is self.function


def _failure(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    """Return the report of a phase that raised, as every plugin would have it, and let debuggers look."""
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if is_told_to_debuggers(call, report):
        item.ihook.pytest_exception_interact(node=item, call=call, report=report)
    return report


def _uneventful(call: pytest.TestReport, when: Any, sections: Iterable[tuple[str, str]]) -> pytest.TestReport:
    return pytest.TestReport(
        call.id,
        call.location,
        call.keywords,
        "passed",
        None,
        when,
        sections,
        start=call.start,
        stop=call.start,
        user_properties=call.user_properties,
    )


def _is_evaluated(item: pytest.Item) -> bool:
    """Whether an item, or what holds it, has a mark that pytest evaluates."""
    node: Any = item
    while node is not None:
        for mark in node.own_markers:
            if mark.name in _EVALUATED:
                return True
        node = node.parent
    return False


def _is_ours(fixture: Any) -> bool:
    return getattr(getattr(fixture, "func", None), "__module__", None) == fixtures.__name__
