"""Run one of our items: its test function once per sample and once more for the baseline, as one test.

Every round is pytest's own full protocol (set-up, call, teardown), so that fixtures of any kind see the
answers of their round. Only the candidate's reports are shown; a wrong answer is not a red test unless the
case is `must_pass`, because the gate decides over the whole suite.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.case_result import CaseResult, Role, combine_outcomes
from harness.cases import Outcome, Response, Score
from harness.errors import HarnessError, ScoringError
from harness.report.plain_text import harmless_lines
from harness.scoring import CheckFailed

from .fixtures import ROUND, SCORES
from .session import GateSession, Round, fixture_names, param_of, test_name

__all__ = ["RoundResult", "call_test", "interpret", "make_harmless", "run_item"]

_RESULT: pytest.StashKey[RoundResult] = pytest.StashKey()
_LINE = 300  # characters of an explanation


@dataclass(frozen=True)
class RoundResult:
    """How one round ended."""

    outcome: Outcome
    values: tuple[float, ...] = ()
    explanation: str | None = None
    answer: str | None = None
    skipped: str | None = None


# --- running -------------------------------------------------------------------------------------------


def run_item(item: pytest.Item, nextitem: pytest.Item | None, session: GateSession) -> None:
    """Run all rounds of an item and log one set of reports."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    rounds = session.rounds(item)
    shown: list[list[pytest.TestReport]] = []
    results: list[tuple[Round, RoundResult]] = []
    for index, current in enumerate(rounds):
        item.stash[ROUND] = current
        item.stash[SCORES] = []
        item.stash[_RESULT] = RoundResult(Outcome.ERROR, explanation="the test did not run")
        last = index == len(rounds) - 1
        # The parent as "next item" keeps module and session fixtures alive between rounds of one item.
        following: Any = nextitem if last else item.parent
        reports = runtestprotocol(item, log=False, nextitem=following)
        results.append((current, item.stash[_RESULT]))
        if current.role is Role.CANDIDATE:
            shown.append(reports)
        elif last:
            shown[-1] = [*shown[-1][:-1], _later_teardown(shown[-1][-1], reports[-1])]
    for report in _merge(item, shown, results, session):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _later_teardown(own: pytest.TestReport, last: pytest.TestReport) -> pytest.TestReport:
    """Show the teardown that tore module and session fixtures down, when it is the one that failed."""
    return last if last.failed and not own.failed else own


def _merge(
    item: pytest.Item,
    shown: Sequence[Sequence[pytest.TestReport]],
    results: Sequence[tuple[Round, RoundResult]],
    session: GateSession,
) -> list[pytest.TestReport]:
    """Make one set-up, call and teardown report of all rounds, and attach the results for the controller."""
    candidate = [result for current, result in results if current.role is Role.CANDIDATE]
    worst = next((index for index, result in enumerate(candidate) if result.outcome is not Outcome.PASSED), 0)
    reports: list[Any] = list(shown[worst])
    param = param_of(item)
    if param.suite is None:
        return reports
    own = _case_result(item, session, Role.CANDIDATE, candidate)
    found = [own]
    if session.baseline is not None:
        known = session.known_baseline(item)
        if known is None:
            other = [result for current, result in results if current.role is Role.BASELINE]
            known = _case_result(item, session, Role.BASELINE, other)
            session.baseline_results[session.pair_key(item)] = known
        found.append(known)
    outcome = "skipped" if own.skipped else own.outcome.value
    properties = [("harness.suite", own.suite), ("harness.outcome", outcome)]
    if own.score is not None:
        properties.append(("harness.score", f"{own.score:.6g}"))
    for report in reports:
        report.user_properties = [*report.user_properties, *properties]
        if report.when == "call" or (report.when == "setup" and not report.passed):
            report.harness_outcome = outcome
    reports[-1].harness_results = json.dumps([result.as_dict() for result in found])
    return reports


def _case_result(
    item: pytest.Item, session: GateSession, role: Role, results: Sequence[RoundResult]
) -> CaseResult:
    param = param_of(item)
    suite, case = param.suite, param.case
    assert suite is not None
    assert case is not None
    model = param.checkpoint if role is Role.CANDIDATE else session.baseline
    assert model is not None
    outcome = combine_outcomes([result.outcome for result in results])
    skipped = next((result.skipped for result in results if result.skipped is not None), None)
    telling = next((result for result in results if result.outcome is not Outcome.PASSED), results[0])
    answers = _answers(item, session, model, suite.epochs)
    decided = outcome is not Outcome.ERROR and skipped is None
    return CaseResult(
        suite=suite.name,
        golden=suite.golden,
        test=test_name(item),
        case_id=case.id,
        content_hash=case.content_hash,
        checkpoint=model.spec,
        role=role,
        outcome=outcome,
        samples=tuple(value for result in results for value in result.values) if decided else (),
        outputs=tuple(answer.text for answer in answers),
        explanation=telling.explanation,
        answer=telling.answer,
        cluster=case.cluster or case.id,
        tags=case.tags,
        must_pass=case.must_pass,
        input=case.input,
        target=case.target,
        skipped=skipped,
        config_hash=suite.config_hash,
        latency_ms=answers[0].latency_ms if answers else None,
        prompt_tokens=answers[0].prompt_tokens if answers else None,
        completion_tokens=_total([answer.completion_tokens for answer in answers]),
    )


def _answers(item: pytest.Item, session: GateSession, model: Any, epochs: int) -> list[Response]:
    if not {"response", "responses", "baseline_response"} & fixture_names(item):
        return []
    param = param_of(item)
    found = [session.engine.answers(session.question(param, model, sample)) for sample in range(epochs)]
    return [turns[-1] for turns in found if turns and not turns[-1].failed]


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


# --- interpreting --------------------------------------------------------------------------------------


def call_test(item: pytest.Function) -> None:
    """Call the test function of one of our items and keep its result.

    A miss is raised, and so becomes a red test, only where it blocks by itself: on a `must_pass` case of the
    candidate, and in tests without a suite; or where the test is marked as an expected failure.
    """
    __tracebackhide__ = True
    wanted = item._fixtureinfo.argnames
    arguments = {name: item.funcargs[name] for name in wanted}
    if param_of(item).suite is None:
        item.obj(**arguments)
        return
    try:
        returned = item.obj(**arguments)
    except pytest.xfail.Exception:
        raise
    except (AssertionError, pytest.fail.Exception) as error:
        item.stash[_RESULT] = _missed(error)
        if _is_raised_when_missed(item):
            raise
    else:
        if returned is not None:
            raise ScoringError(
                f"the test returned {type(returned).__name__}, and that scores nothing: "
                "use assert or record_score"
            )
        scores = item.stash[SCORES]
        item.stash[_RESULT] = result = _scored(scores)
        if result.outcome is not Outcome.PASSED and _is_raised_when_missed(item):
            raise CheckFailed(Score(result.values[0], result.outcome, result.answer, result.explanation))


def interpret(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn what pytest saw of a phase into the result of the round, where the test itself has not said it."""
    if param_of(item).suite is None:
        return
    if hasattr(report, "wasxfail"):
        item.stash[_RESULT] = RoundResult(Outcome.ERROR, skipped=f"xfail: {report.wasxfail}")
    elif report.skipped:
        item.stash[_RESULT] = RoundResult(Outcome.ERROR, skipped=_skip_reason(report))
    elif call.excinfo is not None:
        error = call.excinfo.value
        known = item.stash[_RESULT]
        if report.when == "teardown":
            if known.outcome is not Outcome.ERROR:  # the first failure is the telling one
                item.stash[_RESULT] = _error(error, "teardown failed: ")
        elif report.when == "setup" and isinstance(error, CheckFailed):
            item.stash[_RESULT] = _missed(error)
        elif not isinstance(error, (AssertionError, pytest.fail.Exception)) or report.when == "setup":
            item.stash[_RESULT] = _error(error)


def _missed(error: BaseException) -> RoundResult:
    if isinstance(error, CheckFailed):
        score = error.score
        return RoundResult(score.outcome, (score.value,), _line(score.explanation), score.answer)
    return RoundResult(Outcome.MISSED, (0.0,), _line(str(error)) or "assert failed")


def _is_raised_when_missed(item: pytest.Item) -> bool:
    if item.get_closest_marker("xfail") is not None:
        return True  # pytest decides what an expected failure is
    case = param_of(item).case
    return case is not None and case.must_pass and item.stash[ROUND].role is Role.CANDIDATE


def _scored(scores: Sequence[Score]) -> RoundResult:
    """Return the result of a test that ended without an error: what it recorded, or 1.0."""
    if not scores:
        return RoundResult(Outcome.PASSED, (1.0,))
    outcome = combine_outcomes([score.outcome for score in scores])
    telling = next((score for score in scores if score.outcome is not Outcome.PASSED), scores[0])
    mean = sum(score.value for score in scores) / len(scores)
    return RoundResult(outcome, (mean,), _line(telling.explanation), telling.answer)


def _error(error: BaseException, prefix: str = "") -> RoundResult:
    kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
    return RoundResult(Outcome.ERROR, explanation=_line(f"{prefix}{kind}{error}"))


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _line(text: str | None) -> str | None:
    if not text:
        return None
    line = " ".join(text.split())
    return line if len(line) <= _LINE else line[: _LINE - 1] + "…"


def make_harmless(report: pytest.TestReport) -> None:
    """Neutralise what a model wrote wherever a report quotes it.

    Half a surrogate pair would lose the whole report under xdist; terminal codes and CI commands would act.
    """
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        text = str(report.longrepr)
        if text != (clean := harmless_lines(text)):
            report.longrepr = clean
    report.sections = [(harmless_lines(title), harmless_lines(content)) for title, content in report.sections]
    report.user_properties = [(name, harmless_lines(str(value))) for name, value in report.user_properties]
