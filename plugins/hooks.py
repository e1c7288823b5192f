"""What our plugin does in a session that gates: registered only when a model is given.

What runs, decides and reports is imported by the hooks that do so: a session that only collects needs none.
"""

from __future__ import annotations

import functools
import html
import inspect
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError, StoreError, UsageError, error_line, problem_lines
from harness.exit_codes import ExitCode
from harness.report.plain_text import harmless_lines
from harness.upstream.fallbacks import fallbacks_in_use

from .pytest_internals import argument_names, look_at, run_again, terminal_of
from .running.gc_tuning import keep_what_is_there, search_after_the_verdict
from .running.sigterm import interrupt_on_sigterm
from .running.threads import THREAD_ERRORS, ThreadErrors
from .session.item import harness_item_of, is_ours
from .session.parametrize import Parameters, refuse_ungated
from .session.session import GateSession

if TYPE_CHECKING:
    from harness.case_result import CaseResult
    from harness.gate.verdict import Verdict

    from .deciding.controller import Controller
    from .deciding.worker_report import WorkerReport
    from .running.rounds import Items

__all__ = ["Activity"]


class Activity:
    """Hooks of a gating session, in the controller, in each worker, and in both at once without xdist."""

    def __init__(self, config: pytest.Config, session: GateSession) -> None:
        self._config = config
        self._session = session
        self._parameters = Parameters(session)
        self._usage_errors: list[str] = []
        self._left_out: list[str] = []
        self._internal_error: str | None = None
        self._record: Any = None
        self._page: Path | None = None
        self._fallbacks: tuple[str, ...] = ()
        self._fill_seconds = 0.0
        self._is_worker = hasattr(config, "workerinput")
        self._default_on_sigterm: Callable[[], object] | None = None
        self._unwatch_threads: Callable[[], object] | None = None
        self._reached_maxfail = False

    @functools.cached_property
    def _controller(self) -> Controller:
        """What decides: imported when there is something to decide."""
        from .deciding.controller import Controller

        return Controller(self._session)

    @functools.cached_property
    def _items(self) -> Items:
        """What runs: imported when there is something to run."""
        from .running.rounds import Items

        return Items(self._config, self._session, None if self._is_worker else self._take)

    def _take(self, results: Sequence[CaseResult]) -> None:
        self._controller.take(results)

    @property
    def _distributes(self) -> bool:
        """Whether this is the controller of pytest-xdist's workers (it settles its options after us)."""
        option = self._config.option
        asked = bool(getattr(option, "tx", None)) and getattr(option, "dist", "no") != "no"
        return asked and not self._is_worker and not option.collectonly

    # --- collecting ------------------------------------------------------------------------------------

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Make one item per case × checkpoint."""
        if "harness_item" not in metafunc.fixturenames:
            metafunc.fixturenames.append("harness_item")
        try:
            params, ids = self._parameters.of(metafunc)
        except UsageError as error:
            self._refuse(error)
            metafunc.parametrize("harness_item", [None], indirect=True)
            return
        metafunc.parametrize("harness_item", params, ids=ids, indirect=True)

    def _refuse(self, error: UsageError) -> None:
        self._usage_errors += [line for line in problem_lines(error) if line not in self._usage_errors]

    def _refuse_unknown_gates(self) -> None:
        """Hold gates.yaml to the suites that there are; to those of files that were left out, nothing can be.

        Raises:
            UsageError: It names a suite that there is not, and every file was collected.
        """
        option = self._config.option
        ignored = [*(option.ignore or ()), *(option.ignore_glob or ())]
        if not ignored and not self._left_out:
            self._session.suites.refuse_unknown_gates()
            return
        unknown = self._session.suites.unknown_gates()
        self._left_out += [f"the suite {name!r} that gates.yaml names" for name in unknown]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Take a gate or rubric that refuses its arguments for a usage error, not for a broken module.

        `--lf` returns files without failures empty, so that nobody knows what suites they hold.
        """
        report = yield
        only_failed = self._config.getoption("lf", default=False)  # there is none without pytest's cache
        if only_failed and isinstance(collector, pytest.File) and not report.result:
            self._left_out.append(collector.nodeid)
        call = getattr(report, "call", None)
        if call is not None and call.excinfo is not None and isinstance(call.excinfo.value, UsageError):
            self._refuse(call.excinfo.value)
            report.outcome, report.longrepr, report.result = "passed", None, []
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Stop before anything runs when a suite cannot be used; a worker leaves that to the controller."""
        from .session.margins import refuse_margins_below_noise

        try:
            refuse_ungated(items)
            self._parameters.refuse_repetitions(items)
            self._select_by_tag(items)
        except UsageError as error:
            self._refuse(error)
        yield
        try:
            named = self._config.args_source is pytest.Config.ArgsSource.ARGS
            if not named and not self._session.settings.lm_eval_tasks:  # all suites were to be collected
                self._refuse_unknown_gates()
            refuse_margins_below_noise(self._session)
        except UsageError as error:
            self._refuse(error)
        if self._usage_errors:
            if not self._is_worker:
                raise pytest.UsageError(*map(harmless_lines, self._usage_errors))
            items.clear()

    def _select_by_tag(self, items: list[pytest.Item]) -> None:
        """Deselect the cases that `--tag` and `--tag-not` leave out, as pytest's own `-k` does."""
        selection = self._session.selection
        if not selection.by_tag:
            return
        cases = {id(item): harness_item_of(item).case for item in items if is_ours(item)}
        selection.refuse_unknown_tags(case for case in cases.values() if case is not None)
        left_out = [
            item for item in items if (case := cases.get(id(item))) is not None and not selection.keeps(case)
        ]
        if left_out:
            dropped = set(map(id, left_out))
            items[:] = [item for item in items if id(item) not in dropped]
            self._config.hook.pytest_deselected(items=left_out)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected: pytest may be told to go on without it."""
        if report.failed and not self._is_worker:
            self._controller.not_collected(report.nodeid)

    # --- filling and running ---------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Fill the response cache for everything that was selected, before the first test runs."""
        keep_what_is_there()
        option = session.config.option
        # A worker of xdist runs what there is, whatever could not be collected.
        goes_on = self._is_worker or option.continue_on_collection_errors
        broken = session.testsfailed and not goes_on
        if option.collectonly or (broken and not self._distributes):
            return None
        try:
            self._fallbacks = look_at(session)
            if self._distributes:
                return None
            self._session.open_cache()
            if self._session.settings.early_stop:
                self._run_until_settled(session)
                return True
            self._fill(session.items)
            if not self._session.engine.report.generated:  # no backend has run, and left anything behind
                keep_what_is_there()
        except UsageError as error:
            self._refuse(error)
            if not self._is_worker:
                raise pytest.UsageError(*map(harmless_lines, self._usage_errors)) from error
            session.shouldstop = error_line(error)
            return True
        except StoreError as error:
            self._internal_error = error_line(error)
            if not self._is_worker:
                pytest.exit(harmless_lines(self._internal_error), returncode=int(ExitCode.INTERNAL_ERROR))
            session.shouldstop = self._internal_error
            return True
        return None

    def _fill(self, items: Sequence[pytest.Item]) -> None:
        from .deciding.terminal import filling

        started = time.perf_counter()
        with filling(self._config, watched=not self._is_worker) as progress:
            self._session.fill([harness_item_of(item) for item in items if is_ours(item)], progress)
        self._fill_seconds += time.perf_counter() - started

    def _run_until_settled(self, session: pytest.Session) -> None:
        from .deciding.worker_report import plan_of
        from .running.early_stop import Arm, EarlyStop

        known = self._session
        compares = known.baseline is not None or known.stored_baseline is not None
        early_stop = EarlyStop(session.items, seed=known.settings.sampling.seed, compares=compares)
        self._controller.early_stop = early_stop
        plans = {plan.name: plan for plan in plan_of(session.items, self._parameters.expected, {}, {})[0]}
        candidates = {candidate.spec: candidate for candidate in known.candidates}

        def look(arm: Arm) -> Verdict | None:
            if known.distrusted.get(arm.suite):
                return None
            evidence = self._controller.evidence(plans[arm.suite], candidates[arm.checkpoint])
            return None if evidence is None else early_stop.settled(arm, evidence)

        terminal = terminal_of(self._config)
        # The summary line counts only the kinds that are known when the first test reports.
        saved = [] if terminal is None else terminal.stats.setdefault("not needed", [])
        try:
            early_stop.run(session, self._fill, look)
        finally:
            saved.extend(early_stop.not_needed())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run one of our items: every sample, then the baseline."""
        if not is_ours(item):
            return None
        self._items.run(item, nextitem)
        return True

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call the test function of one of our items; a miss is a score, and no failure of the test."""
        from .running.round_result import call_test

        if not is_ours(pyfuncitem) or inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        call_test(pyfuncitem, {name: pyfuncitem.funcargs[name] for name in argument_names(pyfuncitem)})
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """See each phase as an outcome of its case."""
        from .running.round_result import interpret_phase, make_harmless

        report = yield
        if is_ours(item):
            interpret_phase(item, call, report)
            make_harmless(report)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect results; let `--lf` run again what was not passed."""
        if self._is_worker:
            return
        self._controller.receive(report)
        if getattr(report, "harness_outcome", None) in ("missed", "invalid"):
            run_again(self._config, report.nodeid)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show missed and invalid cases in yellow; red is for `must_pass`, errors and gates."""
        outcome = getattr(report, "harness_outcome", None)
        if report.when == "call" and report.passed and outcome in ("missed", "invalid"):
            return outcome, outcome[0], (outcome.upper(), {"yellow": True})
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        """Say in pytest-html's table how a case ended: to pytest, a miss is a test that passed."""
        outcome = getattr(report, "harness_outcome", None)
        if report.when == "call" and report.passed and outcome in ("missed", "invalid"):
            cells[0] = f'<td class="col-result">{outcome.capitalize()}</td>'

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: Any, data: list[str]) -> None:
        """Show in pytest-html's table why a case ended as it did."""
        if report.when == "call" and getattr(report, "harness_outcome", None) in ("missed", "invalid"):
            lines = (f"{name}: {value}" for name, value in report.user_properties)
            data[:] = ["<div class='log'>", *(f"{html.escape(line)}<br>" for line in lines), "</div>"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell each worker which session it belongs to."""
        node.workerinput["harness_session"] = self._session.identity

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Take over a worker's report, or note that it died without one."""
        from .deciding.worker_report import WorkerReport

        output = getattr(node, "workeroutput", None) or {}
        if "harness" in output:
            self._controller.receive_worker(WorkerReport.loads(output["harness"]))
            self._fallbacks += tuple(output["harness_fallbacks"])
        if error or "harness" not in output:
            name = getattr(getattr(node, "gateway", None), "id", "worker")
            self._controller.lost_worker(str(name), str(error or "ended without a report"))

    # --- ending ----------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Decide before the summary is printed; set the exit code after everybody else."""
        if session.config.option.collectonly:
            result = yield
            if self._usage_errors:
                session.exitstatus = int(ExitCode.USAGE)
            return result
        if not self._distributes:
            self._controller.receive_worker(self._worker_report(session))
        if self._is_worker:
            output = self._config.workeroutput  # type: ignore[attr-defined] # pytest-xdist adds it
            output["harness"] = self._worker_report(session).dumps()
            output["harness_fallbacks"] = [*self._fallbacks, *fallbacks_in_use()]
            return (yield)
        search_after_the_verdict()
        if self._reached_maxfail:
            exitstatus = session.exitstatus = int(ExitCode.REGRESSED)
        crashed = self._finish(session, int(exitstatus))
        result = yield
        others = int(session.exitstatus)
        session.exitstatus = crashed or self._controller.exit_code(others, self._record)
        if not session.exitstatus and others != exitstatus:
            session.exitstatus = others  # what another plugin does not let pass does not pass
        return result

    def _worker_report(self, session: pytest.Session) -> WorkerReport:
        from .deciding.worker_report import WorkerReport, plan_of

        suites, unselected = plan_of(
            getattr(session, "items", []),
            self._parameters.expected,
            self._session.distrusted,
            self._parameters.code,
        )
        return WorkerReport(
            suites=suites,
            unselected=unselected,
            left_out=tuple(self._left_out),
            usage_errors=tuple(self._usage_errors),
            internal_error=self._internal_error,
            fill=self._session.engine.report,
        )

    def _finish(self, session: pytest.Session, exitstatus: int) -> int | None:
        """Decide and store; whatever goes wrong here is an internal error, and is never raised."""
        from harness.runs.earlier import with_earlier_runs
        from harness.runs.store import RunStore

        from .deciding.results import report_gates, report_not_needed, write_results

        try:
            self._record = self._controller.decide(exitstatus, session.testsfailed)
            if self._record is not None:
                self._record = with_earlier_runs(self._record, RunStore(self._session.settings.state))
                self._page = write_results(self._record, self._session.settings)
                report_gates(self._record, self._config)
                if self._controller.early_stop is not None:
                    report_not_needed(self._controller.early_stop.not_needed(), self._config)
        except Exception as error:
            kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
            sys.stderr.write(f"\nharness: no verdict: {kind}{harmless_lines(str(error))}\n")
            self._record = None
            if not isinstance(error, HarnessError):
                self._config.notify_exception(pytest.ExceptionInfo.from_exception(error))
            return int(ExitCode.INTERNAL_ERROR)
        return None

    def pytest_report_header(self) -> list[str]:
        """Say what is compared with what."""
        from .deciding.terminal import header

        return header(self._session)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the verdicts."""
        from .deciding.terminal import summarise

        if self._is_worker:
            return
        if self._distributes:  # alone, pytest itself prints what was raised
            for message in (*self._controller.usage_errors, *self._controller.internal_errors):
                terminalreporter.write_line(f"ERROR: {harmless_lines(message)}", red=True)
        for line in dict.fromkeys((*self._fallbacks, *fallbacks_in_use())):
            terminalreporter.write_line(f"warning: {line}", yellow=True)
        if self._record is not None:
            summarise(terminalreporter, self._record, self._controller.fill, self._fill_seconds, self._page)

    def pytest_sessionstart(self) -> None:
        """Make SIGTERM an interruption, so that finished work is recorded and the exit code is 2."""
        errors = self._config.stash[THREAD_ERRORS] = ThreadErrors()
        self._unwatch_threads = errors.watch()
        if not self._is_worker:
            self._default_on_sigterm = interrupt_on_sigterm()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell `-x` and `--maxfail` from a signal: pytest-xdist ends both as interrupted."""
        most = self._config.option.maxfail or 0
        is_own = type(excinfo.value) is not KeyboardInterrupt  # theirs are derived from it
        self._reached_maxfail = is_own and self._distributes and 0 < most <= self._controller.failures

    def pytest_unconfigure(self) -> None:
        """Free models and close the cache."""
        try:
            self._session.close()
        finally:
            if self._unwatch_threads is not None:
                self._unwatch_threads()
            if self._default_on_sigterm is not None:
                self._default_on_sigterm()
