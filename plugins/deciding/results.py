"""Where a session's record goes: the run store, the results file, JUnit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.gate.verdict import Status, Verdict
from harness.report.plain_text import one_line
from harness.report.terminal import verdict_lines
from harness.runs.record import RunRecord
from harness.runs.store import RunStore

from ..pytest_internals import junit_of
from ..session.options import Settings

__all__ = ["report_gates", "report_not_needed", "write_results"]


def write_results(record: RunRecord, settings: Settings) -> Path | None:
    """Keep the record in the run store with its page, and write it to `--harness-json` where that is given.

    Returns:
        The page; None where none was to be written, or it could not be: the verdict stands without it.

    Raises:
        StoreError: The record could not be written.
    """
    folder = RunStore(settings.state).write(record)
    if settings.results is not None:
        staged = settings.results.with_name(f"{settings.results.name}.{os.getpid()}")
        try:
            staged.write_text(record.to_json(), encoding="utf-8")
            staged.replace(settings.results)
        except OSError as error:
            raise StoreError(f"{settings.results}: cannot be written: {error.strerror}") from error
    return _write_page(record, folder) if settings.page else None


def _write_page(record: RunRecord, folder: Path) -> Path | None:
    from harness.report.html import render_page  # it draws: a session without a page imports no plots

    page = folder / "report.html"
    try:
        page.write_text(render_page(record), encoding="utf-8")
    except Exception:  # whatever a drawing stumbles over: the verdict is stored, and stands
        return None
    return page


def report_gates(record: RunRecord, config: pytest.Config) -> None:
    """Give JUnit one test case per gate: failed when it does not pass, with the evidence."""
    xml = junit_of(config)
    if xml is None:
        return
    for verdict, line in zip(record.verdicts, verdict_lines(record), strict=True):
        for report in _gate_reports(verdict, line):
            xml.pytest_runtest_logreport(report)


def report_not_needed(items: Mapping[pytest.Item, str], config: pytest.Config) -> None:
    """List what a settled suite did not need in JUnit as skipped: it was not run, so it is no pass.

    Args:
        items: Item → why it was not needed.
        config: Of the session.
    """
    xml = junit_of(config)
    if xml is None:
        return
    phases: tuple[tuple[Any, Any], ...] = (("setup", "skipped"), ("teardown", "passed"))
    for item, why in items.items():
        path, line, _ = item.location
        for when, outcome in phases:
            longrepr = (path, (line or 0) + 1, why) if outcome == "skipped" else None
            report = pytest.TestReport(
                item.nodeid, item.location, keywords={}, outcome=outcome, longrepr=longrepr, when=when
            )
            xml.pytest_runtest_logreport(report)


def _gate_reports(verdict: Verdict, line: str) -> list[pytest.TestReport]:
    suite, checkpoint = one_line(verdict.suite), one_line(verdict.checkpoint)  # XML has no control characters
    nodeid = f"gates/{suite}.py::gate[{checkpoint}]"
    passed = verdict.status is Status.PASS

    def report(when: Any, outcome: Any, longrepr: Any) -> pytest.TestReport:
        return pytest.TestReport(
            nodeid=nodeid,
            location=(nodeid, None, f"gate[{checkpoint}]"),
            keywords={},
            outcome=outcome,
            longrepr=longrepr,
            when=when,
            user_properties=[("harness.status", verdict.status.value), ("harness.gate.verdict", line)],
        )

    call = report("call", "passed" if passed else "failed", None if passed else line)
    return [report("setup", "passed", None), call, report("teardown", "passed", None)]
