"""The controller's side: collect every case's result, reconcile with the plan, decide, store, exit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult, Role
from harness.clock import utc_now
from harness.errors import HarnessError
from harness.exit_codes import ExitCode, most_severe
from harness.gate.decide import SliceResult, Status, Verdict, adjust_family, decide, slices
from harness.gate.diagnostics import Diagnostic, blocked_by, diagnostics
from harness.protocols import Checkpoint
from harness.runs.compare import why_not_comparable
from harness.runs.record import RunRecord, new_run_id

from ..session.session import GateSession
from .environment import checkpoints_of, described, environment_of
from .worker_report import SuitePlan, WorkerReport

if TYPE_CHECKING:
    import pytest

    from ..running.early_stop import EarlyStop

__all__ = ["Controller"]

_CRASHED = "???"  # the phase that xdist gives to the test that a worker died in


class Controller:
    """Collects results and, at the end, decides.

    Args:
        session: The session; its candidates and baseline are the ones compared.

    Attributes:
        early_stop: What orders the cases where suites are stopped; set before the first batch.
    """

    def __init__(self, session: GateSession) -> None:
        self._session = session
        self._results: dict[tuple[Role, str, str], dict[tuple[str, str, str, str], CaseResult]] = {}
        self._reports: list[WorkerReport] = []
        self._usage_errors: list[str] = []
        self._lost_workers: list[str] = []
        self._foreign_failures: list[str] = []
        self._not_collected: list[str] = []
        self._failures = 0
        self.early_stop: EarlyStop | None = None

    # --- collecting ------------------------------------------------------------------------------------

    def receive(self, report: pytest.TestReport) -> None:
        """Take in what a report carries: results of a case, or a failure outside our suites."""
        self._failures += report.failed and not hasattr(report, "wasxfail")
        carried = getattr(report, "harness_results", None)
        if carried is not None:
            self.take([CaseResult.from_dict(data) for data in json.loads(carried)])
        elif report.failed and not hasattr(report, "harness_outcome") and report.when != _CRASHED:
            self._foreign_failures.append(report.nodeid)

    def not_collected(self, nodeid: str) -> None:
        """Note that a module could not be collected, so that nobody knows what it holds."""
        self._failures += 1
        self._not_collected.append(nodeid)

    def take(self, results: Iterable[CaseResult]) -> None:
        """Take in the results of an item: what a report carries, or what this process has found itself."""
        for result in results:
            of = self._results.setdefault((result.role, result.checkpoint, result.suite), {})
            of[result.pair_key] = result

    def receive_worker(self, report: WorkerReport) -> None:
        """Take in a worker's plan."""
        self._reports.append(report)
        for message in report.usage_errors:
            if message not in self._usage_errors:
                self._usage_errors.append(message)

    def lost_worker(self, name: str, error: str) -> None:
        """Note that a worker died without handing over its report."""
        self._lost_workers.append(f"{name}: {error}")

    @property
    def usage_errors(self) -> tuple[str, ...]:
        """What the user must mend."""
        return tuple(self._usage_errors)

    @property
    def internal_errors(self) -> tuple[str, ...]:
        """Why cache or store failed in a process of this session."""
        found = [report.internal_error for report in self._reports if report.internal_error is not None]
        return tuple(dict.fromkeys(found))

    @property
    def fill(self) -> tuple[int, int, int, int]:
        """Requests wanted, reused, generated and failed, over all processes; wanted and reused of one."""
        if not self._reports:
            return (0, 0, 0, 0)
        wanted = max(report.fill[0] for report in self._reports)
        generated = sum(report.fill[2] for report in self._reports)
        failed = max(report.fill[3] for report in self._reports)
        return (wanted, max(wanted - generated - failed, 0), generated, failed)

    # --- deciding --------------------------------------------------------------------------------------

    def decide(self, exitstatus: int, failures: int = 0) -> RunRecord | None:
        """Return the record of the session; None when there is nothing to decide (usage error, no cases).

        Args:
            exitstatus: pytest's own status of the session.
            failures: How many pytest has counted: plugins add to them what is no test's.
        """
        plans = self._plans()
        nothing_ran = not (self._results or self._foreign_failures)
        stopped = exitstatus in (ExitCode.INTERRUPTED, ExitCode.INTERNAL_ERROR)
        if self._usage_errors or self.internal_errors or (nothing_ran and (not plans or stopped)):
            return None
        changes = tuple(one for plan in plans.values() for one in self._diagnostics(plan))
        decided = [
            dataclasses.replace(blocked_by(one, changes), distrusted=_of_the_judge(plan.distrusted))
            for plan in plans.values()
            for one in self._verdicts(plan)
        ]
        verdicts = adjust_family(decided)
        rewritten = self._rewritten()
        conditions = [*self._conditions(exitstatus, failures, verdicts, rewritten)]
        code = most_severe([condition["code"] for condition in conditions] or [int(ExitCode.PASS)])
        settings = self._session.settings
        created = utc_now()
        waived = settings.waive_inconclusive and code == ExitCode.INCONCLUSIVE
        return RunRecord(
            run=new_run_id(created),
            created=created,
            environment=environment_of(self._session) | self._counted(plans),
            checkpoints=checkpoints_of(self._session, rewritten),
            verdicts=verdicts,
            slices=tuple(found for plan in plans.values() for found in self._slices(plan)),
            diagnostics=changes,
            cases=tuple(result for of in self._results.values() for result in of.values()),
            conditions=tuple(conditions),
            exit_code=int(ExitCode.PASS) if waived else code,
            complete=not stopped and self._all_reported(plans, verdicts),
            nonce=settings.nonce,
            partial=any(verdict.partial for verdict in verdicts) or bool(self._unselected()),
            waived=waived,
        )

    def exit_code(self, exitstatus: int, record: RunRecord | None) -> int:
        """Return the session's exit code."""
        if self._usage_errors:
            return int(ExitCode.USAGE)
        if self.internal_errors:
            return int(ExitCode.INTERNAL_ERROR)
        if record is None:
            return exitstatus
        return record.exit_code

    def _counted(self, plans: Mapping[str, SuitePlan]) -> dict[str, Any]:
        """Return what the environment says of gates and requests."""
        names = ("wanted", "reused", "generated", "failed")
        return {
            "gates": {name: dict(plan.gate_sources) for name, plan in plans.items()},
            "requests": dict(zip(names, self.fill, strict=True)),
        }

    def _all_reported(self, plans: Mapping[str, SuitePlan], verdicts: Sequence[Verdict]) -> bool:
        """Whether every worker has ended well, and there is a result of every case that was to run."""
        planned = sum(len(plan.selected) for plan in plans.values())
        found = sum(len(of) for (role, _, _), of in self._results.items() if role is Role.CANDIDATE)
        not_needed = sum(verdict.not_needed for verdict in verdicts)
        return not self._lost_workers and found + not_needed >= planned

    def _plans(self) -> dict[str, SuitePlan]:
        return {plan.name: plan for report in self._reports for plan in report.suites}

    def _unselected(self) -> tuple[str, ...]:
        return tuple(sorted({name for report in self._reports for name in report.unselected}))

    def _verdicts(self, plan: SuitePlan) -> Iterable[Verdict]:
        early_stop = self.early_stop
        for candidate in self._session.candidates:
            evidence = self.evidence(plan, candidate)
            if evidence is None:
                continue
            if early_stop is not None:
                yield early_stop.verdict(**evidence)
            else:
                planned = sum(spec == candidate.spec for _, _, spec in plan.selected)
                yield decide(planned=planned, **evidence)

    def evidence(self, plan: SuitePlan, candidate: Checkpoint) -> dict[str, Any] | None:
        """Return what is known so far of a suite × candidate, as `decide` takes it; None if not selected."""
        selected = sum(spec == candidate.spec for _, _, spec in plan.selected)
        if not selected:
            return None
        results = self._of(plan, Role.CANDIDATE, candidate)
        baseline, name, problem = self._baseline(plan, candidate)
        reasons = {result.skipped for result in results}
        if results and None not in reasons:
            problem = f"every case was skipped: {', '.join(sorted(map(str, reasons)))}"
        return {
            "candidate": results,
            "baseline": baseline,
            "gate": plan.gate,
            "suite": plan.name,
            "golden": plan.golden,
            "checkpoint": candidate.spec,
            "baseline_name": name,
            "partial": selected < plan.expected,
            "baseline_problem": problem,
            "seed": self._session.settings.sampling.seed,
        }

    def _slices(self, plan: SuitePlan) -> Iterable[SliceResult]:
        for candidate in self._session.candidates:
            baseline, _, problem = self._baseline(plan, candidate)
            if baseline is not None and problem is None:
                yield from slices(
                    self._of(plan, Role.CANDIDATE, candidate),
                    baseline,
                    suite=plan.name,
                    golden=plan.golden,
                    checkpoint=candidate.spec,
                    margin=plan.gate.margin,
                    alpha=plan.gate.alpha,
                    seed=self._session.settings.sampling.seed,
                    reduce=plan.gate.reduce,
                )

    def _diagnostics(self, plan: SuitePlan) -> Iterable[Diagnostic]:
        for candidate in self._session.candidates:
            baseline, _, problem = self._baseline(plan, candidate)
            yield from diagnostics(
                self._of(plan, Role.CANDIDATE, candidate),
                None if problem is not None else baseline,
                suite=plan.name,
                golden=plan.golden,
                checkpoint=candidate.spec,
                alpha=plan.gate.alpha,
            )

    def _of(self, plan: SuitePlan, role: Role, checkpoint: Checkpoint) -> list[CaseResult]:
        return list(self._results.get((role, checkpoint.spec, plan.name), {}).values())

    def _baseline(
        self, plan: SuitePlan, candidate: Checkpoint
    ) -> tuple[list[CaseResult] | None, str | None, str | None]:
        """Return the baseline's results of a suite, its name, and why it cannot be compared with."""
        session = self._session
        if session.baseline is not None:
            return self._of(plan, Role.BASELINE, session.baseline), session.baseline.spec, None
        side = session.stored_baseline
        if side is None:
            return None, None, None
        name = session.settings.baseline
        stored = [result for result in side.results if result.suite == plan.name]
        wanted = {case for _, case, _ in plan.selected}
        versions = sorted({result.golden for result in stored})
        if not stored:
            return [], name, f"the stored run has no suite {plan.name!r}"
        if versions != [plan.golden]:
            return [], name, f"the stored run was of {', '.join(versions)}, this one is of {plan.golden}"
        no_evidence = next(iter(side.distrusted(plan.name)), None)
        problem = why_not_comparable(described(candidate, "candidate"), side.about, side) or no_evidence
        return [result for result in stored if result.case_id in wanted], name, problem

    # --- what held -------------------------------------------------------------------------------------

    def _conditions(
        self, exitstatus: int, failures: int, verdicts: Sequence[Verdict], rewritten: Mapping[str, str]
    ) -> Iterable[dict[str, Any]]:
        for verdict in verdicts:
            if verdict.status is Status.REGRESSED:
                yield _condition(int(ExitCode.REGRESSED), _said(verdict))
            elif verdict.status is Status.INCONCLUSIVE:
                yield _condition(int(ExitCode.INCONCLUSIVE), _said(verdict))
        if self._foreign_failures:
            names = ", ".join(self._foreign_failures[:3])
            yield _condition(
                int(ExitCode.REGRESSED), f"{len(self._foreign_failures)} other tests failed: {names}"
            )
        if self._not_collected:
            yield _condition(int(ExitCode.REGRESSED), f"not collected: {', '.join(self._not_collected[:3])}")
        if failures > self._failures:
            yield _condition(int(ExitCode.REGRESSED), "a plugin failed the session, though no test did")
        if self._lost_workers:
            yield _condition(int(ExitCode.INCONCLUSIVE), f"lost worker {'; '.join(self._lost_workers)}")
        if self._unselected():
            yield _condition(
                int(ExitCode.INCONCLUSIVE), f"every case of {', '.join(self._unselected())} was deselected"
            )
        for reason in dict.fromkeys(rewritten.values()):
            yield _condition(int(ExitCode.INCONCLUSIVE), reason)
        if exitstatus in (ExitCode.INTERRUPTED, ExitCode.INTERNAL_ERROR):
            yield _condition(exitstatus, "pytest was interrupted" if exitstatus == 2 else "internal error")
        elif exitstatus not in (0, 1, 5):
            yield _condition(exitstatus, f"pytest ended with {exitstatus}")

    def _rewritten(self) -> dict[str, str]:
        """Return the checkpoints whose files changed under the session, each with a sentence on it."""
        session = self._session
        used = [*session.candidates, *([session.baseline] if session.baseline is not None else [])]
        try:
            changed = session.engine.changed_since(used)
        except HarnessError as error:
            return dict.fromkeys((one.spec for one in used), f"a checkpoint changed during the run: {error}")
        return {one.spec: f"the files of {one.spec} changed during the run" for one in changed}


def _of_the_judge(problems: Sequence[str]) -> tuple[str, ...]:
    """Say why a judge that lets an answer pass that must lose gives no evidence."""
    return tuple(f"the judge cannot be trusted: {problem}" for problem in problems)


def _condition(code: int, reason: str) -> dict[str, Any]:
    return {"code": int(code), "reason": reason}


def _said(verdict: Verdict) -> str:
    why = verdict.reasons[0] if verdict.reasons else ""
    return f"{verdict.suite} × {verdict.checkpoint}: {verdict.status.value}" + (f": {why}" if why else "")
