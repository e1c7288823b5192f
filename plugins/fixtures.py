"""The fixtures that suites are written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.cases import Case, Response, Score

    from .live import JudgeHandle, LiveCheckpoint
    from .session import GateSession, HarnessItem, Round

__all__ = ["NO_MODEL", "ROUND", "SCORES", "SESSION"]

NO_MODEL = "no --model given: pytest --model=CHECKPOINT --baseline=BASELINE"

SESSION: pytest.StashKey[GateSession] = pytest.StashKey()
ROUND: pytest.StashKey[Round] = pytest.StashKey()
SCORES: pytest.StashKey[list[Score]] = pytest.StashKey()


def _session(request: pytest.FixtureRequest) -> GateSession:
    session = request.config.stash.get(SESSION, None)
    if session is None:
        pytest.skip(NO_MODEL)
    return session


@pytest.fixture
def harness_item(request: pytest.FixtureRequest) -> HarnessItem:
    """The case × checkpoint that this item is about."""
    _session(request)
    param: HarnessItem | None = getattr(request, "param", None)
    if param is None:
        pytest.fail("this fixture needs @pytest.mark.suite('GOLDEN') on the test", pytrace=False)
    return param


@pytest.fixture
def case(harness_item: HarnessItem) -> Case:
    """The golden case: id, messages, target, checks, tags, metadata."""
    if harness_item.case is None:
        pytest.fail("the case fixture needs @pytest.mark.suite('GOLDEN') on the test", pytrace=False)
    return harness_item.case


@pytest.fixture
def checkpoint(request: pytest.FixtureRequest, harness_item: HarnessItem) -> LiveCheckpoint:
    """The checkpoint under test; `checkpoint.generate(messages)` asks it anything, cached."""
    current = request.node.stash.get(ROUND, None)
    return _live(request, harness_item, harness_item.checkpoint if current is None else current.checkpoint)


@pytest.fixture
def baseline(request: pytest.FixtureRequest, harness_item: HarnessItem) -> LiveCheckpoint | None:
    """The baseline checkpoint, or None when there is none or it is a stored run."""
    live = _session(request).baseline
    return None if live is None else _live(request, harness_item, live)


def _live(request: pytest.FixtureRequest, item: HarnessItem, model: Any) -> LiveCheckpoint:
    from harness.cases import Sampling

    from .live import LiveCheckpoint

    session = _session(request)
    options = session.settings.sampling
    sampling = (
        item.suite.sampling
        if item.suite is not None
        else Sampling(
            max_tokens=options.max_tokens or 256, temperature=options.temperature or 0.0, seed=options.seed
        )
    )
    return LiveCheckpoint(model, session.engine, sampling)


@pytest.fixture
def response(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> Response:
    """The checkpoint's answer to the case; under `--epochs` the test runs once for each sample."""
    session, current = _session(request), request.node.stash[ROUND]
    return session.engine.answer(session.question(harness_item, current.checkpoint, current.sample))


@pytest.fixture
def responses(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> tuple[Response, ...]:
    """All samples of the checkpoint's answer to the case; one without `--epochs`."""
    session, current = _session(request), request.node.stash[ROUND]
    assert harness_item.suite is not None
    return tuple(
        session.engine.answer(session.question(harness_item, current.checkpoint, sample))
        for sample in range(harness_item.suite.epochs)
    )


@pytest.fixture
def baseline_response(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> Response:
    """The baseline's answer to the case."""
    session, current = _session(request), request.node.stash[ROUND]
    if session.baseline is not None:
        return session.engine.answer(session.question(harness_item, session.baseline, current.sample))
    if session.stored_baseline is not None:
        from harness.cases import Response

        key = session.pair_key(request.node)
        for result in session.stored_baseline.results:
            if result.pair_key == key and result.outputs:
                return Response(result.outputs[min(current.sample, len(result.outputs) - 1)])
        pytest.skip("the stored baseline has no answer to this case")
    pytest.skip("no --baseline given")


@pytest.fixture
def judge(request: pytest.FixtureRequest, harness_item: HarnessItem) -> JudgeHandle:
    """The judge: `judge(case, response)` returns its score by the suite's rubric."""
    from .live import JudgeHandle

    session = _session(request)
    if session.judge is None:
        pytest.skip("not judged: no --judge given (openai/NAME or anthropic/NAME)")
    if harness_item.suite is None:
        pytest.fail("the judge fixture needs @pytest.mark.suite(…, rubric=…) on the test", pytrace=False)
    return JudgeHandle(session.engine, session.judge, harness_item.suite)


@pytest.fixture
def record_score(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record a graded score: `record_score(0.7)`, or a whole `harness.Score`, such as a judge's.

    A number must lie in [0, 1]; NaN, infinite and out-of-range values end the case in *error*. `passed`
    defaults to whether it is at least 0.5. Called several times, the case's score is the mean.
    """
    recorded = request.node.stash.setdefault(SCORES, [])

    def record(
        value: float | Score,
        *,
        passed: bool | None = None,
        answer: str | None = None,
        explanation: str | None = None,
    ) -> None:
        from harness.cases import Outcome, Score
        from harness.errors import ScoringError

        if isinstance(value, Score):
            recorded.append(value)
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ScoringError(f"a score must be a number in [0, 1], not {value!r}") from None
        good = number >= 0.5 if passed is None else passed
        outcome = Outcome.PASSED if good else Outcome.MISSED
        recorded.append(Score(number, outcome, answer, explanation))

    return record
