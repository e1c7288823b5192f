"""Who else watches tests: plugins and conftest files whose hooks a direct call would pass over."""

from __future__ import annotations

import inspect

import pytest

__all__ = ["is_undisturbed", "wants_every_phase"]

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
_HOOKS_THAT_SEE_REPORTS = (
    "pytest_runtest_logreport",
    "pytest_report_teststatus",
    "pytest_terminal_summary",
)
"""What sees the reports of each phase, one by one or all in the terminal's statistics."""
_NOT_CONCERNED = ("anyio.pytest_plugin", "_hypothesis_pytestplugin", "harness.plugins.")
"""Plugins whose hooks of that kind do nothing for a plain function without a decorator of theirs."""


def is_undisturbed(item: pytest.Item) -> bool:
    """Whether nobody implements a hook that is not called."""
    hook = item.ihook
    return all(
        _is_unconcerned(found.plugin)
        for name in _SKIPPED_HOOKS
        for found in getattr(hook, name).get_hookimpls()
    )


def _is_unconcerned(plugin: object) -> bool:
    module = plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__module__
    return module.startswith(("_pytest.", *_NOT_CONCERNED))


def wants_every_phase(config: pytest.Config) -> bool:
    """Whether anybody looks at the reports of set-up and teardown of a test that passed both.

    Those of pytest that do are JUnit, `--durations` and the terminal where it shows times; a worker cannot
    know who does in the controller.
    """
    option = config.option
    if hasattr(config, "workerinput") or getattr(option, "xmlpath", None) or option.durations is not None:
        return True
    if config.getini("console_output_style") == "times":
        return True
    return not all(
        _is_unconcerned(found.plugin)
        for name in _HOOKS_THAT_SEE_REPORTS
        for found in getattr(config.hook, name).get_hookimpls()
    )
