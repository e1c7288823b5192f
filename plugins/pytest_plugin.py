"""The pytest plugin: hooks only. What they do lives beside this file, and is imported when a model is given.

A session without an option or marker of ours imports `options.py` and `fixtures.py` and nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from .pytest_internals import fixture_definitions
from .running.fixtures import (
    baseline,
    baseline_response,
    case,
    checkpoint,
    harness_item,
    judge,
    record_score,
    response,
    responses,
)
from .session.options import add_options, read_settings
from .session.stash import NO_MODEL, SESSION

__all__ = [
    "baseline",
    "baseline_response",
    "case",
    "checkpoint",
    "harness_item",
    "judge",
    "record_score",
    "response",
    "responses",
]

_NEEDS_MODEL: pytest.StashKey[int] = pytest.StashKey()


@pytest.hookimpl(trylast=True)
def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our options after everybody else's, so that theirs keep their names."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; with a model given, resolve it and take part in the session."""
    config.addinivalue_line(
        "markers",
        "suite(golden, *, gate=None, name=None, rubric=None): run the test once per case of a golden set "
        "and checkpoint, under a gate",
    )
    settings = read_settings(config)
    if settings.models:
        from .start import start

        start(config, settings)
    elif config.getoption("harness_plan", default=None):
        from .gate_plan import start_planning

        start_planning(config, settings)
    elif settings.baseline is not None and config.getoption("harness_baseline", default=None):
        raise pytest.UsageError("--baseline is given without --model: what is to be compared with it?")
    elif settings.lm_eval_tasks:
        raise pytest.UsageError("--lm-eval-tasks is given without --model: which checkpoint is to be gated?")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item per case and checkpoint of a suite, or per checkpoint of a free-form test."""
    activity = metafunc.config.pluginmanager.get_plugin("harness-activity")
    if activity is not None and _wants_model(metafunc.definition):
        activity.parametrize(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a model, skip what needs one, and remember that it was."""
    if SESSION in config.stash:
        return
    needy = [item for item in items if _wants_model(item)]
    for item in needy:
        item.add_marker(pytest.mark.skip(reason=NO_MODEL))
    config.stash[_NEEDS_MODEL] = len(needy)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Hear from a worker that it skipped what needs a model."""
    output = getattr(node, "workeroutput", None) or {}
    if output.get("harness_needs_model"):
        node.config.stash[_NEEDS_MODEL] = output["harness_needs_model"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Let a session whose suites were all skipped for want of a model exit with 10, not with 0."""
    skipped = session.config.stash.get(_NEEDS_MODEL, 0)
    if skipped and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["harness_needs_model"] = skipped
    result = yield
    if skipped and int(session.exitstatus) in (0, 5) and not session.config.option.collectonly:
        session.exitstatus = 10
    return result


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say why a session without a model does not exit with 0, where suites were skipped."""
    skipped = config.stash.get(_NEEDS_MODEL, 0)
    if skipped and not config.option.collectonly:
        tests = "1 test of a suite was" if skipped == 1 else f"{skipped} tests of suites were"
        terminalreporter.write_line(
            f"harness: {tests} skipped for want of a model, so exit code 10 instead of 0: "
            "give --model=CHECKPOINT, or name the tests to run, as in  pytest tests",
            yellow=True,
        )


def _wants_model(node: Any) -> bool:
    """Whether a test carries our marker or uses one of our fixtures (not somebody else's namesake)."""
    if node.get_closest_marker("suite") is not None:
        return True
    definitions = fixture_definitions(node)
    if definitions is None:  # it is no function, or nobody says whose fixtures it uses
        return "harness_item" in getattr(node, "fixturenames", ())
    own = harness_item.__module__
    return any(definition.func.__module__ == own for definition in definitions.get("harness_item", ()))
