"""How one round of an item ended: what its test function said, or what pytest saw of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from harness.case_result import Role, combine_outcomes
from harness.cases import Outcome, Response, Score
from harness.errors import HarnessError, ScoringError
from harness.report.plain_text import harmless_lines
from harness.scoring import CheckFailed, InvalidOutput
from harness.scoring.evaluate import take_failed_checks

from ..session.item import Round, harness_item_of
from ..session.stash import ROUND, SCORES
from .threads import THREAD_ERRORS

__all__ = [
    "RESULT",
    "RoundResult",
    "begin",
    "call_test",
    "end_call",
    "interpret_phase",
    "keep_miss",
    "keep_return",
    "make_harmless",
    "prepare",
]

_LINE = 300  # characters of an explanation


@dataclass(frozen=True)
class RoundResult:
    """How one round ended."""

    outcome: Outcome
    values: tuple[float, ...] = ()
    explanation: str | None = None
    answer: str | None = None
    skipped: str | None = None


RESULT: pytest.StashKey[RoundResult] = pytest.StashKey()
_PARTS: pytest.StashKey[list[RoundResult] | None] = pytest.StashKey()
"""How the subtests of the test function that is being called have ended; None while none is."""

_DID_NOT_RUN = RoundResult(Outcome.ERROR, explanation="the test did not run")
_PASSED = RoundResult(Outcome.PASSED, (1.0,))


def begin(item: pytest.Item, current: Round, scores: list[Score]) -> None:
    """Set an item to a round that has not run yet."""
    item.stash[ROUND] = current
    item.stash[SCORES] = scores
    item.stash[RESULT] = _DID_NOT_RUN
    item.stash[_PARTS] = None


def call_test(item: pytest.Function, arguments: Mapping[str, Any]) -> None:
    """Call the test function of one of our items and keep its result.

    A miss is raised, and so becomes a red test, only where it blocks by itself: on a `must_pass` case of the
    candidate, and in tests without a suite; or where the test is marked as an expected failure. A test whose
    answer is unusable is not called: what it says of an answer that is not there would count.
    """
    __tracebackhide__ = True
    if harness_item_of(item).suite is None:
        item.obj(**arguments)
        return
    try:
        prepare(item)
        returned = item.obj(**arguments)
    except pytest.xfail.Exception:
        raise
    except (AssertionError, pytest.fail.Exception) as error:
        keep_miss(item, error)
    else:
        keep_return(item, returned)
    finally:
        end_call(item)


def end_call(item: pytest.Function) -> None:
    """Note that the test function has ended: what pytest reports from now on is no subtest."""
    item.stash[_PARTS] = None


def prepare(item: pytest.Function) -> None:
    """Get ready for the call of a suite's test.

    Raises:
        InvalidOutput: An answer that the test asks for cannot be used.
    """
    _require_usable(item)
    take_failed_checks()  # those of the test before are none of this one's
    item.stash[_PARTS] = []


def keep_miss(item: pytest.Function, error: BaseException) -> None:
    """Keep what a suite's test has raised as its result; raise it again where a miss is a red test."""
    __tracebackhide__ = True
    item.stash[RESULT] = _missed(error)
    _refuse_incomplete(item)
    if _is_raised_when_missed(item):
        raise error


def keep_return(item: pytest.Function, returned: object) -> None:
    """Keep the result of a suite's test that has returned, and fail it where that blocks by itself."""
    __tracebackhide__ = True
    if returned is not None:
        _fail_with(
            item,
            f"the test returned {type(returned).__name__}, and that scores nothing: "
            "use assert or record_score",
        )
    scores = item.stash[SCORES]
    item.stash[RESULT] = result = _scored(scores)
    missed = _refuse_incomplete(item)
    if missed is not None:
        item.stash[RESULT] = result = missed
    elif not scores and (failed := take_failed_checks()):
        _fail_with(
            item,
            "harness.check failed, and the test went on as if it had not: let its error out, or use "
            f"harness.score and record_score ({failed[0].outcome}: {failed[0].explanation})",
        )
    if result.outcome is not Outcome.PASSED and _is_raised_when_missed(item):
        pytest.fail(f"{result.outcome}: {result.explanation or 'a must_pass case'}", pytrace=False)


def _refuse_incomplete(item: pytest.Function) -> RoundResult | None:
    """Fail a test whose threads or subtests broke, or were skipped; return the first subtest that missed."""
    __tracebackhide__ = True
    parts = item.stash[_PARTS] or []
    item.stash[_PARTS] = None
    threads = item.config.stash.get(THREAD_ERRORS, None)
    if threads is not None and (raised := threads.take()) is not None:
        _fail_with(item, raised)
    for part in parts:
        if part.outcome is Outcome.ERROR:
            item.stash[RESULT] = part
            pytest.fail(f"a subtest: {part.skipped or part.explanation}", pytrace=False)
    return next(iter(parts), None)


def _fail_with(item: pytest.Function, explanation: str) -> NoReturn:
    __tracebackhide__ = True
    item.stash[RESULT] = _error(ScoringError(explanation))
    pytest.fail(str(item.stash[RESULT].explanation), pytrace=False)


def _keep_part(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> bool:
    """Keep how a subtest ended, if this is one: pytest reports it while its test still runs.

    It is the case that is missed, and the gate that decides: the subtest itself is no red test.
    """
    parts = item.stash.get(_PARTS, None)
    if parts is None or report.when != "call":
        return False
    if hasattr(report, "wasxfail") or report.skipped:
        parts.append(RoundResult(Outcome.ERROR, skipped=f"a subtest was skipped: {_skip_reason(report)}"))
    elif call.excinfo is not None:
        error = call.excinfo.value
        is_miss = isinstance(error, (AssertionError, pytest.fail.Exception))
        parts.append(_missed(error) if is_miss else _error(error, "a subtest failed: "))
        report.outcome, report.longrepr = "passed", None
    return True


def interpret_phase(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn what pytest saw of a phase into the result of the round, where the test itself has not said it."""
    if harness_item_of(item).suite is None or _keep_part(item, call, report):
        return
    if hasattr(report, "wasxfail"):
        item.stash[RESULT] = RoundResult(Outcome.ERROR, skipped=f"xfail: {report.wasxfail}")
    elif report.skipped:
        item.stash[RESULT] = RoundResult(Outcome.ERROR, skipped=_skip_reason(report))
    elif call.excinfo is not None:
        error = call.excinfo.value
        known = item.stash[RESULT]
        if (threads := item.config.stash.get(THREAD_ERRORS, None)) is not None:
            threads.take()  # pytest may have told it by this error: the next test has no part in it
        if report.when == "teardown":
            if known.outcome is not Outcome.ERROR:  # the first failure is the telling one
                item.stash[RESULT] = _error(error, "teardown failed: ")
        elif report.when == "setup" and isinstance(error, CheckFailed):
            item.stash[RESULT] = _missed(error)
        elif not isinstance(error, (AssertionError, pytest.fail.Exception)) or report.when == "setup":
            item.stash[RESULT] = _error(error)


def _require_usable(item: pytest.Function) -> None:
    """Raise `InvalidOutput` where an answer that the test asks for is none."""
    several: Any = item.funcargs.get("responses", ())
    for answer in (item.funcargs.get("response"), *several):
        if isinstance(answer, Response) and answer.unusable is not None:
            raise InvalidOutput(Score.invalid(answer.unusable))


def _missed(error: BaseException) -> RoundResult:
    if isinstance(error, CheckFailed):
        score = error.score
        return RoundResult(score.outcome, (score.value,), _line(score.explanation), score.answer)
    return RoundResult(Outcome.MISSED, (0.0,), _line(str(error)) or "assert failed")


def _is_raised_when_missed(item: pytest.Item) -> bool:
    if item.get_closest_marker("xfail") is not None:
        return True  # pytest decides what an expected failure is
    case = harness_item_of(item).case
    return case is not None and case.must_pass and item.stash[ROUND].role is Role.CANDIDATE


def _scored(scores: Sequence[Score]) -> RoundResult:
    """Return the result of a test that ended without an error: what it recorded, or 1.0."""
    if not scores:
        return _PASSED
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
