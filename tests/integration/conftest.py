"""A user's project in a temporary directory: golden sets, suites and recorded outputs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import harness

# Runs in this process put sys.modules back as it was. Extension modules can be loaded only once, and classes
# of ours must stay the same from run to run.
EXTENSIONS = ("numpy", "arro3.io", "scipy.special", "rich.console", "rpds")
OURS = (
    "start",
    "running.rounds",
    "running.early_stop",
    "session.margins",
    "deciding.worker_report",
    "deciding.results",
    "deciding.terminal",
    "backends.replay",
)
LATE = ("harness.sandbox", "harness.engine.cache", "harness.gate.noise", "harness.files.read_yaml")
for name in (*EXTENSIONS, *harness._HOMES, *LATE, *(f"harness.plugins.{module}" for module in OURS)):
    importlib.import_module(name)

OTHERS_OFF = ("-p", "no:hypothesispytest", "-p", "no:anyio")

SUITE = """
import pytest
import harness

@pytest.mark.suite("{golden}"{arguments})
def test_{name}(case, response):
    harness.check(case, response)
"""


@dataclass
class Project:
    """Writes a project's files and runs pytest in it."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def golden(self, name: str, cases: Sequence[Mapping[str, Any]], version: int = 1) -> None:
        folder = self.path / "golden" / name / f"v{version}"
        folder.mkdir(parents=True)
        lines = "".join(json.dumps(case) + "\n" for case in cases)
        (folder / "cases.jsonl").write_text(lines, encoding="utf-8")

    def suite(self, golden: str, arguments: str = "", name: str | None = None) -> None:
        name = name or golden.replace("/", "_")
        folder = self.path / "suites"
        folder.mkdir(exist_ok=True)
        text = SUITE.format(golden=golden, arguments=arguments and f", {arguments}", name=name)
        (folder / f"test_{name}.py").write_text(text, encoding="utf-8")

    def module(self, text: str, name: str = "suites/test_own.py") -> None:
        path = self.path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")

    def outputs(self, name: str, answers: Mapping[str, str | Sequence[str] | None]) -> str:
        rows = [
            {"id": case, "output": one}
            for case, answer in answers.items()
            for one in (answer if isinstance(answer, list) else [answer])
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        return f"replay/{name}.jsonl"

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*OTHERS_OFF, *arguments)

    def run_process(self, *arguments: str) -> pytest.RunResult:
        """Run pytest as its own process, for what depends on one: xdist, imports, signals."""
        return self.pytester.runpytest_subprocess(*OTHERS_OFF, *arguments)

    def results(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run with these arguments and return exit code and results."""
        done, data = self.recorded(*arguments)
        return int(done.ret), data

    def recorded(self, *arguments: str) -> tuple[pytest.RunResult, dict[str, Any]]:
        """Run with these arguments and return what pytest said, and the results; none where it wrote none."""
        path = self.path / "results.json"
        path.unlink(missing_ok=True)
        done = self.run(*arguments, f"--harness-json={path}")
        return done, json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def sums(count: int = 60, **extra: Any) -> list[dict[str, Any]]:
    """Golden cases with ids c0, c1, …: what is i + 1?"""
    return [
        {"id": f"c{i}", "input": f"what is {i} + 1?", "target": str(i + 1), "checks": [{"type": "equals"}]}
        | extra
        for i in range(count)
    ]


def right_except(wrong: Callable[[int], bool], count: int = 60) -> dict[str, str | Sequence[str] | None]:
    """Answers to `sums`, wrong where told."""
    return {f"c{i}": "no idea" if wrong(i) else str(i + 1) for i in range(count)}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, which takes no worker of ours for its own."""
    monkeypatch.setenv("HARNESS_PAGE", "no")  # drawing takes longer than all else that these tests do
    monkeypatch.delenv("COLUMNS", raising=False)  # xdist gives it to its workers, and their output is a log
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]")
    return Project(pytester)


@pytest.fixture
def sums_project(project: Project) -> Project:
    """A project with 60 sums, and recorded outputs: base 90 %, good 95 %, bad 50 %."""
    project.golden("sums", sums())
    project.suite("sums")
    project.outputs("base", right_except(lambda i: i % 10 == 0))
    project.outputs("good", right_except(lambda i: i % 20 == 0))
    project.outputs("bad", right_except(lambda i: i % 2 == 0))
    return project
