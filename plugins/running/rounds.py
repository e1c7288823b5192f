"""Run one of our items: its test function once per sample and once more for the baseline, as one test.

A round is pytest's own full protocol (set-up, call, teardown), so that fixtures of any kind see the answers
of their round; or a direct call, where the test has no fixtures but ours (`direct_call.py`). Only the
candidate's reports are shown; a wrong answer is not a red test unless the case is `must_pass`, because the
gate decides over the whole suite.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import pytest

from harness.case_result import CaseResult, Role, combine_outcomes
from harness.cases import Outcome, Response
from harness.protocols import Checkpoint
from harness.scoring.checks.label_check import labels_of

from ..pytest_internals import run_protocol
from ..session.item import HarnessItem, Round, harness_item_of
from ..session.session import GateSession
from .direct_call import DirectCall, Ran
from .round_result import RESULT, RoundResult, begin

__all__ = ["Items"]

_VALUES, _TEXT, _FINISH_REASON = attrgetter("values"), attrgetter("text"), attrgetter("finish_reason")

_TELLING = (Outcome.ERROR, Outcome.MISSED, Outcome.INVALID, Outcome.PASSED)
"""Whose explanation a case is told by, when its samples ended differently."""

Receive = Callable[[Sequence[CaseResult]], None]


class Items:
    """Runs our items and logs their reports.

    Args:
        config: pytest's configuration.
        session: The gating session.
        receive: Takes the results of each item; None where they travel with the reports, out of a worker.
    """

    def __init__(self, config: pytest.Config, session: GateSession, receive: Receive | None) -> None:
        self._session = session
        self._receive = receive
        self._direct = DirectCall(config, session)

    def run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Run all rounds of an item and log one set of reports."""
        hook, nodeid = item.ihook, item.nodeid
        ran = None
        rounds = self._session.rounds(harness_item_of(item))
        if self._direct.takes(item, nextitem):
            self._direct.place(item)
            hook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
            ran = self._direct.run(item, rounds)
        else:
            hook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
        if ran is None:
            ran = list(_by_protocol(item, nextitem, rounds))
        for report in self._merged(item, list(zip(rounds, ran, strict=True))):
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=item.location)

    def _merged(self, item: pytest.Item, ran: Sequence[tuple[Round, Ran]]) -> list[pytest.TestReport]:
        """Make one set of reports of all rounds; hand the results over, or attach them for the controller."""
        candidate = [found for current, found in ran if current.role is Role.CANDIDATE]
        results = [result for _, result in candidate]
        worst = next((i for i, result in enumerate(results) if result.outcome is not Outcome.PASSED), 0)
        reports: list[Any] = list(candidate[worst][0])
        if worst == len(candidate) - 1 and len(ran) > len(candidate) and (later := ran[-1][1][0]):
            reports = _with_later_teardown(reports, later[-1])
        about = harness_item_of(item)
        if about.suite is None:
            return reports
        found = self._results(about, results, [result for _, (_, result) in ran[len(candidate) :]])
        own = found[0]
        outcome, score = "skipped" if own.skipped else own.outcome.value, own.score
        properties = [("harness.suite", own.suite), ("harness.outcome", outcome)]
        if score is not None:
            properties.append(("harness.score", f"{score:.6g}"))
        for report in reports:
            report.user_properties = [*report.user_properties, *properties]
            if report.when == "call" or not report.passed:
                report.harness_outcome = outcome
        if self._receive is None:
            reports[-1].harness_results = json.dumps([result.as_dict() for result in found])
        else:
            self._receive(found)
        return reports

    def _results(
        self, item: HarnessItem, candidate: Sequence[RoundResult], baseline: Sequence[RoundResult]
    ) -> list[CaseResult]:
        """Return the candidate's result, and the baseline's where there is one."""
        session = self._session
        shared = _shared(item)
        found = [_case_result(item, session, shared, Role.CANDIDATE, candidate)]
        if session.baseline is not None:
            key = item.pair_key
            known = session.baseline_results.get(key)
            if known is None:
                known = _case_result(item, session, shared, Role.BASELINE, baseline)
                session.baseline_results[key] = known
            found.append(known)
        return found


def _by_protocol(item: pytest.Item, nextitem: pytest.Item | None, rounds: Sequence[Round]) -> Any:
    """Run each round as pytest runs a test, and yield its reports and result."""
    for index, current in enumerate(rounds):
        begin(item, current, [])
        # The parent as "next item" keeps module and session fixtures alive between rounds of one item.
        following: Any = nextitem if index == len(rounds) - 1 else item.parent
        yield run_protocol(item, following), item.stash[RESULT]


def _with_later_teardown(own: list[pytest.TestReport], last: pytest.TestReport) -> list[pytest.TestReport]:
    """Show the teardown that tore module and session fixtures down, when it is the one that failed."""
    if last.when != "teardown" or not last.failed or (own[-1].when == "teardown" and own[-1].failed):
        return own
    return [report for report in own if report.when != "teardown"] + [last]


def _shared(item: HarnessItem) -> dict[str, Any]:
    """Return what the results of both sides of an item have in common."""
    suite, case = item.suite, item.case
    assert suite is not None
    assert case is not None
    return {
        "suite": suite.name,
        "golden": suite.golden,
        "test": item.test,
        "case_id": case.id,
        "content_hash": case.content_hash,
        "cluster": case.cluster or case.id,
        "tags": case.tags,
        "must_pass": case.must_pass,
        "must_keep": case.must_keep,
        "input": case.input,
        "target": case.target,
        "config_hash": suite.config_hash,
    }


def _case_result(
    item: HarnessItem,
    session: GateSession,
    shared: Mapping[str, Any],
    role: Role,
    results: Sequence[RoundResult],
) -> CaseResult:
    model = item.checkpoint if role is Role.CANDIDATE else session.baseline
    assert item.suite is not None
    assert item.case is not None
    assert model is not None
    outcome, telling, skipped = results[0].outcome, results[0], results[0].skipped
    if len(results) > 1:
        outcome = combine_outcomes([result.outcome for result in results])
        telling = min(results, key=lambda result: _TELLING.index(result.outcome))
        skipped = next((result.skipped for result in results if result.skipped is not None), None)
    answers = _answers(item, session, model, item.suite.epochs)
    decided = outcome is not Outcome.ERROR and skipped is None
    labels = labels_of(item.case, answers)
    return CaseResult.of_fields(
        {
            **shared,
            "checkpoint": model.spec,
            "role": role,
            "outcome": outcome,
            "samples": tuple(chain.from_iterable(map(_VALUES, results))) if decided else (),
            "outputs": tuple(map(_TEXT, answers)),
            "finish_reasons": tuple(map(_FINISH_REASON, answers)),
            "label": None if labels is None else labels[0],
            "labels": () if labels is None else labels[1],
            "explanation": telling.explanation,
            "answer": telling.answer,
            "skipped": skipped,
            "latency_ms": answers[0].latency_ms if answers else None,
            "prompt_tokens": answers[0].prompt_tokens if answers else None,
            "completion_tokens": _total([answer.completion_tokens for answer in answers]),
        }
    )


def _answers(item: HarnessItem, session: GateSession, model: Checkpoint, epochs: int) -> list[Response]:
    if not item.asks:
        return []
    dialogues = [session.engine.answers(session.question(item, model, sample)) for sample in range(epochs)]
    return [turns[-1] for turns in dialogues if turns and not turns[-1].failed]


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
