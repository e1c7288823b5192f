"""What `harness gates` is told: every suite of the project with its policy, collected without a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError, problem_lines
from harness.gate.policy_file import load_gate_file
from harness.runs.power_table import PlannedSuite, dump_plan

from .session.options import Settings
from .session.parametrize import refuse_ungated
from .session.selection import CaseSelection
from .session.suite import Suites, read_marker
from .start import default_to_suites

__all__ = ["start_planning"]


def start_planning(config: pytest.Config, settings: Settings) -> None:
    """Collect suites and write their plan to `--harness-plan`; nothing runs.

    Raises:
        pytest.UsageError: The project's gates cannot be used.
    """
    default_to_suites(config, tasks=bool(settings.lm_eval_tasks))
    config.option.collectonly = True
    try:
        gates = load_gate_file(config.rootpath)
    except UsageError as error:
        raise pytest.UsageError(*problem_lines(error)) from error
    suites = Suites(
        settings.golden_roots,
        settings.sampling,
        CaseSelection(settings.limit, settings.sampling.seed),
        root=config.rootpath,
        gates=gates,
        tasks=settings.lm_eval_tasks,
    )
    config.pluginmanager.register(_Planning(config, suites), "harness-gate-plan")


class _Planning:
    """Reads the markers of what was collected."""

    def __init__(self, config: pytest.Config, suites: Suites) -> None:
        self._config = config
        self._suites = suites

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the plan.

        Raises:
            pytest.UsageError: A marker, a golden set or a gate cannot be used.
        """
        tests: dict[str, int] = {}
        problems: list[str] = []
        try:
            refuse_ungated(session.items)
        except UsageError as error:
            problems += problem_lines(error)
        for item in session.items:
            mark = item.get_closest_marker("suite")
            if mark is None:
                continue
            try:
                for suite in self._suites.get(read_marker(mark)):
                    tests[suite.name] = tests.get(suite.name, 0) + 1
            except UsageError as error:
                problems += problem_lines(error)
        if self._config.args_source is not pytest.Config.ArgsSource.ARGS and not problems:
            try:
                self._suites.refuse_unknown_gates()
            except UsageError as error:
                problems += problem_lines(error)
        if problems:
            raise pytest.UsageError(*dict.fromkeys(problems))
        planned = [
            PlannedSuite(
                suite=suite.name,
                golden=suite.golden,
                cases=len(suite.cases) * tests[suite.name],
                clusters=len({case.cluster or case.id for case in suite.cases}),
                must_pass=sum(case.must_pass for case in suite.cases),
                gate=suite.gate,
                sources=suite.gate_sources,
            )
            for suite in self._suites
        ]
        Path(self._config.getoption("harness_plan")).write_text(dump_plan(planned), encoding="utf-8")
