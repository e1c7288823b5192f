"""What the tests share: what is left out where packages or data are not at hand, and how few may be left."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from needed_packages import absent_packages, is_installed, summary
from shared_data import skipped_packs

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parent
ABSENT = absent_packages(sorted(TESTS.rglob("test_*.py")))
collect_ignore = [str(path.relative_to(TESTS)) for path in ABSENT]

# What a CI service sets and the code or a library reads: golden sets and baselines are read only there, and
# help texts are coloured. Tests of that set it themselves; all others say the same wherever they run.
SET_BY_CI = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--at-least",
        type=int,
        default=0,
        metavar="N",
        help="fail unless N tests passed: a job that leaves out or skips nearly everything is no green one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Forget the CI service before the first test, in each worker and in the commands that tests start."""
    config.addinivalue_line(
        "markers", "needs(*packages): skipped, with the reason, where one is not installed"
    )
    for name in SET_BY_CI:
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs inherit it
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # the commands that tests interrupt would, too


@pytest.hookimpl(tryfirst=True)  # before its fixtures
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a package of an extra only once it runs: its imports do not tell."""
    packages = {name for marker in item.iter_markers("needs") for name in marker.args}
    if absent := sorted(name for name in packages if not is_installed(name)):
        pytest.skip(f"{', '.join(absent)} not installed")


def passed(config: pytest.Config) -> int | None:
    """Return how many tests passed; None where another process counts them."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return (
        None if reporter is None or hasattr(config, "workerinput") else len(reporter.stats.get("passed", ()))
    )


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    yield
    count, wanted = passed(session.config), session.config.getoption("at_least")
    if count is not None and count < wanted and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in a line each what was left out for want of packages, of data, and whether too much was."""
    if ABSENT:
        terminalreporter.write_line(summary(ABSENT))
    packs = skipped_packs(report.longrepr for report in terminalreporter.stats.get("skipped", ()))
    if packs:
        terminalreporter.write_line(packs)
    count, wanted = passed(config), config.getoption("at_least")
    if count is not None and count < wanted:
        terminalreporter.write_line(f"only {count} tests passed, of {wanted} wanted (--at-least)", red=True)
