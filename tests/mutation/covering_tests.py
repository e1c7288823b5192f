"""Which tests run which lines: recorded once, so that a mutant meets only the tests that can notice it."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutation.rooms import ROOT, Mutant

if TYPE_CHECKING:
    import coverage
    import pytest

__all__ = [
    "Chosen",
    "Covering",
    "Recorder",
    "by_file",
    "from_json",
    "joined",
    "read_covering",
    "write_covering",
]

SLOWEST_S = 2.0
"""A test that takes longer is not run for mutants: simulations, and sessions that start other processes."""


@dataclass(frozen=True)
class Covering:
    """What was recorded of a room's tests.

    Attributes:
        seconds: Test → processor time that it and its child processes took.
        lines: File, relative to the repository → line → the tests that ran it.
        broken: Tests that failed without any fault, which can notice nothing.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    broken: list[str]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that can notice a mutant, the quickest first; slow ones are left to other runs.

        What runs when a module is imported runs for the first test only: there every test counts that runs
        any line of the file.
        """
        lines = self.lines.get(mutant.path, {})
        if mutant.change.deferred:
            height = mutant.change.before.count("\n")
            near = range(mutant.change.line, mutant.change.line + height + 1)
            tests = {test for line in near for test in lines.get(line, ())}
        else:
            tests = {test for tests in lines.values() for test in tests}
        tests = {test for test in tests - set(self.broken) if self.seconds[test] <= SLOWEST_S}
        return sorted(tests, key=lambda test: (self.seconds[test], test))


class Recorder:
    """A pytest plugin that records which lines each test runs.

    Args:
        folder: Of the source files to look at.
    """

    def __init__(self, folder: Path) -> None:
        import coverage

        self._folder = folder
        self._coverage: coverage.Coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[f"{folder}/*"]
        )
        self._seconds: dict[str, float] = {}
        self._broken: set[str] = set()

    def pytest_sessionstart(self) -> None:
        """Begin before the first module of ours is imported."""
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count what runs from now on as this test's, and let it build anew what others left built."""
        _forget_cached()
        self._coverage.switch_context(nodeid)
        self._seconds[nodeid] = -_processor_seconds()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note tests that fail as they are."""
        if report.failed:
            self._broken.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count no more."""
        self._seconds[nodeid] += _processor_seconds()
        self._coverage.switch_context("")

    def recorded(self) -> dict[str, Any]:
        """Return what was recorded, as JSON has it."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        for name in data.measured_files():
            path = Path(name).resolve().relative_to(ROOT).as_posix()
            contexts = data.contexts_by_lineno(name)
            lines[path] = {line: sorted(filter(None, tests)) for line, tests in contexts.items()}
        return asdict(Covering(self._seconds, lines, sorted(self._broken)))


class Chosen:
    """A pytest plugin that runs the chosen tests in their order, and remembers which one failed first."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}
        self.failed: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the chosen tests."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that can no longer be imported."""
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the first test that fails."""
        if report.failed:
            self.failed = self.failed or report.nodeid


def joined(parts: Iterable[Covering]) -> Covering:
    """Return what was recorded of several test files as one."""
    seconds: dict[str, float] = {}
    lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    broken: list[str] = []
    for part in parts:
        seconds |= part.seconds
        broken += part.broken
        for path, tests_by_line in part.lines.items():
            for line, tests in tests_by_line.items():
                lines[path][line] += tests
    return Covering(seconds, {path: dict(found) for path, found in lines.items()}, broken)


def by_file(whole: Covering, files: Iterable[str]) -> dict[str, Covering]:
    """Return what was recorded of each of several test files."""
    return {name: _of_file(whole, f"{name}::") for name in files}


def _of_file(whole: Covering, prefix: str) -> Covering:
    lines = {
        path: {
            line: own
            for line, tests in found.items()
            if (own := [test for test in tests if test.startswith(prefix)])
        }
        for path, found in whole.lines.items()
    }
    return Covering(
        {test: seconds for test, seconds in whole.seconds.items() if test.startswith(prefix)},
        lines,
        [test for test in whole.broken if test.startswith(prefix)],
    )


def write_covering(covering: Mapping[str, Covering], path: Path) -> None:
    """Keep what was recorded, by a key that tells what it was recorded of."""
    data = {key: asdict(part) for key, part in covering.items()}
    path.write_text(json.dumps(data), encoding="utf-8")


def read_covering(path: Path) -> dict[str, Covering]:
    """Return what `write_covering` wrote; nothing where it did not."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return {key: from_json(part) for key, part in data.items()}


def from_json(data: Mapping[str, Any]) -> Covering:
    """Read what JSON says, whose keys are always strings."""
    lines = {path: {int(k): v for k, v in found.items()} for path, found in data["lines"].items()}
    return Covering(data["seconds"], lines, data["broken"])


def _processor_seconds() -> float:
    return sum(os.times()[:4])


def _forget_cached() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("harness."):
            for value in _cached(module):
                value.cache_clear()


def _cached(module: Any) -> Iterator[Any]:
    for value in list(vars(module).values()):
        if callable(value) and hasattr(value, "cache_clear"):
            yield value
