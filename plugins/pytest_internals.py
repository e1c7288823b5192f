"""What we use of pytest, and of argparse behind it, that their documentation does not promise.

No other module of ours reaches into them. `look_at` finds out once, before the first test of a session that
gates, which of `NAMES` this pytest has; without those of `_OF_A_DIRECT_CALL` every test runs by pytest's full
protocol. Imports nothing but pytest: it is loaded by every pytest session, ours or not.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from harness.upstream.private_name import PrivateName, missing_names, refuse_without, warning_lines

__all__ = [
    "NAMES",
    "allows_direct_calls",
    "argument_names",
    "captured_output",
    "count_report_sections",
    "error_checks",
    "fixture_definitions",
    "forget_request",
    "hand_over_options",
    "is_module_set_up",
    "is_silent",
    "is_told_to_debuggers",
    "junit_of",
    "log_capture",
    "log_catcher",
    "look_at",
    "raised_through",
    "request_of",
    "run_again",
    "run_protocol",
    "stream_of",
    "tear_down",
    "terminal_of",
    "uncaptured",
]

_FULL = "every test runs by pytest's full protocol, which takes longer"
_FUNCTION, _SESSION, _PLUGINS = "pytest.Function", "pytest.Session", "pytest.PytestPluginManager"
_CAPTURE, _LOGGING = "pytest.capturemanager", "pytest.logging-plugin"  # plugins, by their names
_TERMINAL, _LAST_FAILED = "pytest.terminalreporter", "pytest.lfplugin"
_PARSER = "argparse.ArgumentParser"

_RUN_PROTOCOL = PrivateName(
    "_pytest.runner", "runtestprotocol", guards="no answer of one round reaches the fixtures of the next"
)
_CALLSPEC = PrivateName(_FUNCTION, "callspec.params", guards="an item knows its case and its checkpoint")
_FIXTURE_NAMES = PrivateName(_FUNCTION, "fixturenames", guards="it is known what an item will ask for")
_FIXTURE_INFO = PrivateName(_FUNCTION, "_fixtureinfo", _FULL)
_FIXTURE_DEFINITIONS = PrivateName(_FUNCTION, "_fixtureinfo.name2fixturedefs", _FULL)
_ARGUMENT_NAMES = PrivateName(_FUNCTION, "_fixtureinfo.argnames", _FULL)
_TEAR_DOWN = PrivateName(
    _SESSION,
    "_setupstate.teardown_exact",
    "under --early-stop nobody is told of a session fixture that fails",
)
_STREAM = PrivateName(_TERMINAL, "_tw._file", "no bar shows how far the answers are")
_JUNIT = PrivateName("_pytest.junitxml", "xml_key", "--junitxml lists no gate")
_LAST_FAILED_TESTS = PrivateName(_LAST_FAILED, "lastfailed", "--lf does not repeat what was missed")
_UNCAPTURED = PrivateName(
    _CAPTURE, "global_and_fixture_disabled", "what a fill prints is held back until the session ends"
)
_CATCHING_LOGS = PrivateName("_pytest.logging", "catching_logs", _FULL)
_RERAISED = PrivateName("_pytest.runner", "get_reraise_exceptions", _FULL)
_INTERACTIVE = PrivateName("_pytest.runner", "check_interactive_exception", _FULL)
_CHECKS = {
    "unraisableexception": (
        PrivateName("_pytest.unraisableexception", "collect_unraisable", _FULL),
        PrivateName("_pytest.unraisableexception", "unraisable_exceptions", _FULL),
    ),
    "threadexception": (
        PrivateName("_pytest.threadexception", "collect_thread_exception", _FULL),
        PrivateName("_pytest.threadexception", "thread_exceptions", _FULL),
    ),
}
"""Plugin → its check for errors of destructors or threads, and where it keeps those not told of yet."""
_OF_A_DIRECT_CALL = (
    _FIXTURE_INFO,
    _FIXTURE_DEFINITIONS,
    _ARGUMENT_NAMES,
    _CATCHING_LOGS,
    _RERAISED,
    _INTERACTIVE,
    *(name for names in _CHECKS.values() for name in names),
    *(PrivateName(_PLUGINS, plugin, _FULL) for plugin in _CHECKS),
    PrivateName(_SESSION, "_setupstate.stack", _FULL),
    PrivateName(_FUNCTION, "_request", _FULL),
    PrivateName(_FUNCTION, "_report_sections", _FULL),
    PrivateName(_CAPTURE, "resume_global_capture", _FULL),
    PrivateName(_CAPTURE, "suspend_global_capture", _FULL),
    PrivateName(_CAPTURE, "read_global_capture", _FULL),
    PrivateName(_CAPTURE, "_global_capturing", _FULL),
    PrivateName(_LOGGING, "report_handler.stream", _FULL),
    PrivateName(_LOGGING, "log_level", _FULL),
)
_HANDLING = "an option of another plugin that has the name of one of ours stops pytest from starting"
_OF_OPTIONS = (
    PrivateName(_PARSER, "_handle_conflict_error", _HANDLING),
    PrivateName(_PARSER, "_handle_conflict_resolve", _HANDLING),
    PrivateName(_PARSER, "_action_groups", _HANDLING),
)
NAMES = (
    _RUN_PROTOCOL,
    _CALLSPEC,
    _FIXTURE_NAMES,
    *_OF_A_DIRECT_CALL,
    *_OF_OPTIONS,
    _TEAR_DOWN,
    _STREAM,
    _JUNIT,
    _LAST_FAILED_TESTS,
    _UNCAPTURED,
)

_DIRECT: pytest.StashKey[bool] = pytest.StashKey()
"""Whether this pytest has all that a direct call needs."""


def look_at(session: pytest.Session) -> tuple[str, ...]:
    """Find out which names this pytest has; return a warning for each that is missing.

    Raises:
        UsageError: A safeguard has lost a name that it needs.
    """
    config = session.config
    asked = (item for item in getattr(session, "items", ()) if item.get_closest_marker("suite") is not None)
    plugin = config.pluginmanager.get_plugin
    missing = missing_names(
        NAMES,
        {
            _FUNCTION: next(asked, None),
            _SESSION: session,
            _PLUGINS: SimpleNamespace(**{name: True for name in _CHECKS if _is_settled(config, name)}),
            _CAPTURE: _part_of(plugin("capture"), plugin("capturemanager")),
            _LOGGING: _part_of(plugin("logging"), plugin("logging-plugin")),
            _TERMINAL: plugin("terminalreporter"),
            _LAST_FAILED: _part_of(plugin("cacheprovider"), plugin("lfplugin")),
            _PARSER: argparse.ArgumentParser(),
        },
    )
    refuse_without(missing)
    config.stash[_DIRECT] = set(missing).isdisjoint(_OF_A_DIRECT_CALL)
    return warning_lines(missing)


def _part_of(module: object, part: object) -> object:
    """Return a plugin's part, where it is switched on: an empty object if it is known by another name."""
    return None if module is None else object() if part is None else part


def _is_settled(config: pytest.Config, plugin: str) -> bool:
    """Whether a plugin is there by this name, or was switched off by it."""
    return config.pluginmanager.has_plugin(plugin) or config.pluginmanager.is_blocked(plugin)


def allows_direct_calls(config: pytest.Config) -> bool:
    """Whether this pytest was looked at, and has all that a direct call needs."""
    return config.stash.get(_DIRECT, False)


# --- options -------------------------------------------------------------------------------------------


def hand_over_options(parser: pytest.Parser, is_ours: Callable[[argparse.Action], bool]) -> None:
    """Let an option declared from now on take its name from one of ours; every other conflict stays an error.

    argparse lets a container either refuse every conflict or silently resolve every one.
    """
    optparser: Any = getattr(parser, "optparser", None)
    if missing_names(_OF_OPTIONS, {_PARSER: optparser or object()}):
        return  # argparse itself refuses the second of two

    def yielding(container: Any) -> Any:
        refuse, resolve = container._handle_conflict_error, container._handle_conflict_resolve

        def handle(action: argparse.Action, conflicts: list[tuple[str, argparse.Action]]) -> None:
            foreign = [pair for pair in conflicts if not is_ours(pair[1])]
            if foreign:
                refuse(action, foreign)
            resolve(action, conflicts)

        container._handle_conflict_error = handle
        return container

    add_group = optparser.add_argument_group
    optparser.add_argument_group = lambda *args, **kwargs: yielding(add_group(*args, **kwargs))
    for container in (optparser, *optparser._action_groups):
        yielding(container)


# --- items ---------------------------------------------------------------------------------------------


def fixture_definitions(node: object) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]] | None:
    """Return the fixtures that a test needs, by name, the one that counts last; None if nobody says."""
    definitions: Mapping[str, Sequence[pytest.FixtureDef[Any]]] | None = _FIXTURE_DEFINITIONS.of(node)
    return definitions


def argument_names(item: pytest.Function) -> Iterable[str]:
    """Return the names of the arguments that a test is called with."""
    names: Iterable[str] | None = _ARGUMENT_NAMES.of(item)
    if names is None:  # decorators may pass some of their own, which are no fixtures
        names = [name for name in inspect.signature(item.obj).parameters if name in item.funcargs]
    return names


def is_module_set_up(item: pytest.Item, module: pytest.Collector) -> bool:
    """Whether a module is what was set up last for an item's session, and without an error."""
    stack = item.session._setupstate.stack
    return bool(stack) and next(reversed(stack)) is module and stack[module][1] is None


def request_of(item: pytest.Function) -> object:
    """Return what the `request` fixture stands for."""
    return item._request


def forget_request(item: pytest.Function) -> None:
    """Leave an item as pytest leaves one that has run."""
    item._request = False  # type: ignore[assignment]  # as pytest itself does
    item.funcargs = None  # type: ignore[assignment]  # as pytest itself does


def count_report_sections(item: pytest.Item) -> int:
    """Return how much captured output an item has been given so far."""
    return len(item._report_sections)


def run_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """Set an item up, call it and tear it down, and return the reports without logging them."""
    reports: list[pytest.TestReport] = _RUN_PROTOCOL.load()(item, log=False, nextitem=nextitem)
    return reports


def tear_down(session: pytest.Session) -> None:
    """Tear down all that is still set up; left to pytest, which ends with it, where we do not know how."""
    if _TEAR_DOWN.of(session) is not None:
        session._setupstate.teardown_exact(None)


# --- what surrounds a call -----------------------------------------------------------------------------


def captured_output(config: pytest.Config) -> Any:
    """Return pytest's capture of output; None where it captures none."""
    return config.pluginmanager.get_plugin("capturemanager")


def log_capture(config: pytest.Config) -> Any:
    """Return pytest's capture of the log; None where it captures none."""
    return config.pluginmanager.get_plugin("logging-plugin")


def is_silent(capture: Any) -> bool:
    """Whether nothing was written since the capture was read: asking costs a fraction of reading it.

    The bytes are asked for the place, not the text around them, which takes longer and writes through.
    """
    try:
        both = capture._global_capturing
        out, err = both.out, both.err
        return not (
            (out is not None and out.tmpfile.buffer.tell()) or (err is not None and err.tmpfile.buffer.tell())
        )
    except (AttributeError, OSError, ValueError):  # not as pytest's own: reading is always right
        return False


def uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[object]:
    """Let through what is printed inside the block."""
    disabled = _UNCAPTURED.of(captured_output(config))
    return contextlib.nullcontext() if disabled is None else disabled()


def log_catcher() -> Callable[..., contextlib.AbstractContextManager[Any]]:
    """Return what hands to a handler, called with it and a `level`, all that is logged inside a block."""
    catching: Callable[..., contextlib.AbstractContextManager[Any]] = _CATCHING_LOGS.load()
    return catching


def error_checks(config: pytest.Config) -> list[tuple[Callable[[pytest.Config], None], Collection[Any]]]:
    """Return what tells of errors in threads and destructors, each with those that it has not told yet."""
    found = []
    for plugin, (check, key) in _CHECKS.items():
        if config.pluginmanager.has_plugin(plugin):
            found.append((check.load(), config.stash.get(key.load(), ())))
    return found


def raised_through(config: pytest.Config) -> tuple[type[BaseException], ...]:
    """Return what ends the session rather than the test."""
    kinds: tuple[type[BaseException], ...] = _RERAISED.load()(config)
    return kinds


def is_told_to_debuggers(call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
    """Whether what a call raised is something to look into, and no skip or expected failure."""
    return bool(_INTERACTIVE.load()(call, report))


# --- what people see -----------------------------------------------------------------------------------


def terminal_of(config: pytest.Config) -> Any:
    """Return what reports to the terminal; None in a process without one."""
    return config.pluginmanager.get_plugin("terminalreporter")


def stream_of(terminalreporter: Any) -> Any:
    """Return the stream that a terminal is written by; None where pytest keeps it to itself."""
    return _STREAM.of(terminalreporter)


def run_again(config: pytest.Config, nodeid: str) -> None:
    """Let `--lf` run a test again."""
    failed = _LAST_FAILED_TESTS.of(config.pluginmanager.get_plugin("lfplugin"))
    if failed is not None:
        failed[nodeid] = True


def junit_of(config: pytest.Config) -> Any:
    """Return what writes `--junitxml`; None where nobody does."""
    key = _JUNIT.load()
    return None if key is None else config.stash.get(key, None)
