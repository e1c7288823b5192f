"""How one round of an item ended: what its test function said, or what pytest saw of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from harness.case_result import Role, combine_outcomes
from harness.cases import Outcome, Response, Score
from harness.errors import HarnessError, ScoringError
from harness.report.plain_text import harmless_lines
from harness.scoring import CheckFailed, InvalidOutput

from ..session.item import Round, harness_item_of
from ..session.stash import ROUND, SCORES

__all__ = ["RESULT", "RoundResult", "begin", "call_test", "interpret_phase", "make_harmless"]

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
_DID_NOT_RUN = RoundResult(Outcome.ERROR, explanation="the test did not run")
_PASSED = RoundResult(Outcome.PASSED, (1.0,))


def begin(item: pytest.Item, current: Round, scores: list[Score]) -> None:
    """Set an item to a round that has not run yet."""
    item.stash[ROUND] = current
    item.stash[SCORES] = scores
    item.stash[RESULT] = _DID_NOT_RUN


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
        _require_usable(item)
        returned = item.obj(**arguments)
    except pytest.xfail.Exception:
        raise
    except (AssertionError, pytest.fail.Exception) as error:
        item.stash[RESULT] = _missed(error)
        if _is_raised_when_missed(item):
            raise
    else:
        if returned is not None:
            item.stash[RESULT] = result = _error(
                ScoringError(
                    f"the test returned {type(returned).__name__}, and that scores nothing: "
                    "use assert or record_score"
                )
            )
            pytest.fail(str(result.explanation), pytrace=False)
        scores = item.stash[SCORES]
        item.stash[RESULT] = result = _scored(scores)
        if result.outcome is not Outcome.PASSED and _is_raised_when_missed(item):
            pytest.fail(f"{result.outcome}: {result.explanation or 'a must_pass case'}", pytrace=False)


def interpret_phase(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn what pytest saw of a phase into the result of the round, where the test itself has not said it."""
    if harness_item_of(item).suite is None:
        return
    if hasattr(report, "wasxfail"):
        item.stash[RESULT] = RoundResult(Outcome.ERROR, skipped=f"xfail: {report.wasxfail}")
    elif report.skipped:
        item.stash[RESULT] = RoundResult(Outcome.ERROR, skipped=_skip_reason(report))
    elif call.excinfo is not None:
        error = call.excinfo.value
        known = item.stash[RESULT]
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
