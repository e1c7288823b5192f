"""The direct call: run a test that needs nothing but our fixtures without pytest's set-up and teardown of it.

pytest spends some 0.4 ms on each test, nearly all of it on what a suite over a golden set does not use:
fixture definitions, three phases, and a dozen hooks for each. A test that a `DirectCall` takes is called with
values made by us, inside pytest's capture of output and log, and ends with the reports that pytest would have
made of it. Whatever is out of the ordinary goes pytest's full way: `takes` says what that is. Nothing that a
test, its fixtures or a plugin can see of a run differs between the two ways, but its time.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pytest
from _pytest.logging import catching_logs
from _pytest.runner import check_interactive_exception, get_reraise_exceptions
from _pytest.threadexception import collect_thread_exception
from _pytest.unraisableexception import collect_unraisable

from harness.cases import Score

from . import fixtures
from .fixtures import SCORES
from .round_result import RESULT, RoundResult, begin, call_test, make_harmless
from .session import GateSession, Round
from .values import VALUES

__all__ = ["DirectCall", "Ran"]

Ran = tuple[list[pytest.TestReport], RoundResult]
"""Reports and result of one round."""

_EVALUATED = frozenset({"skip", "skipif", "xfail"})
"""Marks that pytest evaluates while it sets a test up."""
_SKIPPED_HOOKS = (
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_pyfunc_call",
    "pytest_fixture_setup",
    "pytest_fixture_post_finalizer",
)
"""What a direct call does not call: no plugin may wait for it."""
_NOT_CONCERNED = ("anyio.pytest_plugin", "_hypothesis_pytestplugin", "harness.plugins.")
"""Plugins whose hooks of that kind do nothing for a plain function without a decorator of theirs."""
_OPTIONS = (
    "usepdb",
    "trace",
    "setupshow",
    "setuponly",
    "setupplan",
    "log_cli_level",
    "harness_full_protocol",
)
"""Options under which people want to see every phase."""


class DirectCall:
    """Decides which tests are called directly, and calls them.

    Args:
        config: pytest's configuration.
        session: The gating session.
    """

    def __init__(self, config: pytest.Config, session: GateSession) -> None:
        self._config = config
        self._session = session
        self._wanted = not (
            any(getattr(config.option, name, None) for name in _OPTIONS) or config.getini("log_cli")
        )
        self._parents: dict[pytest.Collector, bool] = {}
        self._functions: dict[int, _Function] = {}
        self._every_phase: bool | None = None  # conftest files may still be read when this is made
        self._surroundings: _Surroundings | None = None

    # --- which -----------------------------------------------------------------------------------------

    def takes(self, item: pytest.Item, nextitem: pytest.Item | None) -> TypeGuard[pytest.Function]:
        """Whether an item can be called directly: nobody could tell but by the clock.

        Its module must be set up, and stay so for the next item: pytest itself sets modules up and tears them
        down, around the first and the last item of each. No plugin or conftest may implement a hook that is
        not called. The test is a plain function whose fixtures are all ours and not overridden, and it has
        no mark that pytest evaluates.
        """
        parent = item.parent
        if not self._wanted or parent is None or nextitem is None or nextitem.parent is not parent:
            return False
        stack = item.session._setupstate.stack
        if not stack or next(reversed(stack)) is not parent:
            return False
        if not isinstance(item, pytest.Function) or not _EVALUATED.isdisjoint(
            mark.name for mark in item.own_markers
        ):
            return False
        undisturbed = self._parents.get(parent)
        if undisturbed is None:
            undisturbed = self._parents[parent] = isinstance(parent, pytest.Module) and _is_undisturbed(item)
        return undisturbed and self._function(item).is_plain

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
        """Run all rounds of an item; None, and nothing has happened, if a fixture of ours has no value."""
        wanted = self._function(item).arguments
        prepared: list[tuple[Round, list[Score], dict[str, Any]]] = []
        for current in rounds:
            scores: list[Score] = []
            item.stash[SCORES] = scores
            try:
                values = {name: VALUES[name](self._session, item, current) for name in wanted}
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):
                return None  # pytest says it best: as an error, or a skip, of the set-up
            prepared.append((current, scores, values))
        around = self._surroundings = self._surroundings or _Surroundings.of(self._config)
        ran = []
        with around.item(item):
            for current, scores, values in prepared:
                begin(item, current, scores)
                reports = self._call(item, values, around)
                ran.append((reports, item.stash[RESULT]))
        return ran

    def _call(
        self, item: pytest.Function, values: Mapping[str, Any], around: _Surroundings
    ) -> list[pytest.TestReport]:
        """Call the function once, and return the reports that pytest would make of it."""
        call = pytest.CallInfo.from_call(
            lambda: around.call(item, values), when="call", reraise=around.reraise
        )
        around.keep_output(item)
        if call.excinfo is None:
            report = pytest.TestReport.from_item_and_call(item, call)
            if report.sections:
                make_harmless(report)
            return self._phases(report)
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        if check_interactive_exception(call, report):
            item.ihook.pytest_exception_interact(node=item, call=call, report=report)
        late = pytest.CallInfo.from_call(around.check, when="teardown", reraise=around.reraise)
        if late.excinfo is None:
            return self._phases(report)
        return [
            *self._phases(report)[:-1],
            report,
            item.ihook.pytest_runtest_makereport(item=item, call=late),
        ]

    def _phases(self, call: pytest.TestReport) -> list[pytest.TestReport]:
        """Return the report of a call, between those of its set-up and teardown where anybody wants them."""
        if self._every_phase is None:
            self._every_phase = _wants_every_phase(self._config)
        if not self._every_phase:
            return [call]
        return [_uneventful(call, "setup", ()), call, _uneventful(call, "teardown", call.sections)]


@dataclass(frozen=True)
class _Function:
    """What all items of a test function have in common."""

    fixtures: list[str]
    count: int
    arguments: tuple[str, ...]
    is_plain: bool
    place: list[tuple[str, int | None]]

    @classmethod
    def of(cls, item: pytest.Function) -> _Function:
        info, function = item._fixtureinfo, item.obj
        # `request` is what our own fixtures ask for; a test that asks for it is none of these.
        is_ours = VALUES.keys() >= {*info.argnames} and all(
            name == "request"
            or (name in VALUES and all(map(_is_ours, info.name2fixturedefs.get(name, [None]))))
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
        return cls(item.fixturenames, len(item.fixturenames), tuple(info.argnames), is_plain, [])


@dataclass(frozen=True)
class _Surroundings:
    """What pytest puts around a call: capture of output and log, and errors from threads and destructors."""

    capture: Any
    logging: Any
    checks: tuple[Callable[[pytest.Config], None], ...]
    config: pytest.Config
    reraise: tuple[type[BaseException], ...]

    @classmethod
    def of(cls, config: pytest.Config) -> _Surroundings:
        plugins = config.pluginmanager
        checks = {"unraisableexception": collect_unraisable, "threadexception": collect_thread_exception}
        return cls(
            capture=plugins.get_plugin("capturemanager"),
            logging=plugins.get_plugin("logging-plugin"),
            checks=tuple(check for name, check in checks.items() if plugins.has_plugin(name)),
            config=config,
            reraise=get_reraise_exceptions(config),
        )

    @contextlib.contextmanager
    def item(self, item: pytest.Item) -> Iterator[None]:
        os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)".replace("\x00", "(null)")
        if self.capture is not None:
            self.capture.resume_global_capture()
        try:
            if self.logging is None:
                yield
            else:
                with catching_logs(self.logging.report_handler, level=self.logging.log_level) as handler:
                    handler.reset()
                    yield
        finally:
            if self.capture is not None:
                self.capture.suspend_global_capture(in_=False)
            os.environ.pop("PYTEST_CURRENT_TEST", None)

    def call(self, item: pytest.Function, values: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        call_test(item, values)
        self.check()

    def check(self) -> None:
        for check in self.checks:
            check(self.config)

    def keep_output(self, item: pytest.Item) -> None:
        if self.capture is not None:
            out, err = self.capture.read_global_capture()
            item.add_report_section("call", "stdout", out)
            item.add_report_section("call", "stderr", err)
        if self.logging is not None:
            handler = self.logging.report_handler
            if log := handler.stream.getvalue().strip():
                item.add_report_section("call", "log", log)
                handler.reset()


def _wants_every_phase(config: pytest.Config) -> bool:
    """Whether anybody looks at the reports of set-up and teardown of a test that passed both.

    Those of pytest that do are JUnit and `--durations`; a worker cannot know who does in the controller.
    """
    option = config.option
    if hasattr(config, "workerinput") or getattr(option, "xmlpath", None) or option.durations is not None:
        return True
    hook = config.hook.pytest_runtest_logreport
    return not all(_is_unconcerned(found.plugin) for found in hook.get_hookimpls())


def _uneventful(call: pytest.TestReport, when: Any, sections: Iterable[tuple[str, str]]) -> pytest.TestReport:
    return pytest.TestReport(
        call.nodeid,
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


def _is_undisturbed(item: pytest.Item) -> bool:
    """Whether nobody implements a hook that is not called, and no mark of a module or above is evaluated."""
    implementations = [
        found for name in _SKIPPED_HOOKS for found in getattr(item.ihook, name).get_hookimpls()
    ]
    return all(_is_unconcerned(found.plugin) for found in implementations) and _EVALUATED.isdisjoint(
        mark.name for node in item.listchain()[:-1] for mark in node.own_markers
    )


def _is_unconcerned(plugin: object) -> bool:
    module = plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__module__
    return module.startswith(("_pytest.", *_NOT_CONCERNED))


def _is_ours(fixture: Any) -> bool:
    return getattr(getattr(fixture, "func", None), "__module__", None) == fixtures.__name__
