"""What our fixtures hand to a test, by name, be they set up by pytest or handed over in a direct call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from harness.cases import Case, Outcome, Response, Sampling, Score
from harness.errors import ScoringError
from harness.protocols import Checkpoint

from ..session.item import HarnessItem, Round, harness_item_of
from ..session.session import GateSession
from ..session.stash import SCORES
from .live import JudgeHandle, LiveCheckpoint

__all__ = ["VALUES", "Value", "recorder"]

Value = Callable[[GateSession, pytest.Item, "Round | None"], Any]


def _item(session: GateSession, item: pytest.Item, current: Round | None) -> HarnessItem:
    return harness_item_of(item)


def _case(session: GateSession, item: pytest.Item, current: Round | None) -> Case:
    case = harness_item_of(item).case
    if case is None:
        pytest.fail("the case fixture needs @pytest.mark.suite('GOLDEN') on the test", pytrace=False)
    return case


def _checkpoint(session: GateSession, item: pytest.Item, current: Round | None) -> LiveCheckpoint:
    param = harness_item_of(item)
    return _live(session, param, param.checkpoint if current is None else current.checkpoint)


def _baseline(session: GateSession, item: pytest.Item, current: Round | None) -> LiveCheckpoint | None:
    return None if session.baseline is None else _live(session, harness_item_of(item), session.baseline)


def _live(session: GateSession, param: HarnessItem, model: Checkpoint) -> LiveCheckpoint:
    options = session.settings.sampling
    sampling = (
        param.suite.sampling
        if param.suite is not None
        else Sampling(
            max_tokens=options.max_tokens or 256, temperature=options.temperature or 0.0, seed=options.seed
        )
    )
    return LiveCheckpoint(model, session.engine, sampling)


def _response(session: GateSession, item: pytest.Item, current: Round | None) -> Response:
    assert current is not None
    return session.engine.answer(session.question(harness_item_of(item), current.checkpoint, current.sample))


def _responses(session: GateSession, item: pytest.Item, current: Round | None) -> tuple[Response, ...]:
    param = harness_item_of(item)
    assert current is not None
    assert param.suite is not None
    return tuple(
        session.engine.answer(session.question(param, current.checkpoint, sample))
        for sample in range(param.suite.epochs)
    )


def _baseline_response(session: GateSession, item: pytest.Item, current: Round | None) -> Response:
    assert current is not None
    if session.baseline is not None:
        return session.engine.answer(
            session.question(harness_item_of(item), session.baseline, current.sample)
        )
    if session.stored_baseline is not None:
        outputs = session.stored_outputs.get(harness_item_of(item).pair_key, ())
        if outputs:
            return Response(outputs[min(current.sample, len(outputs) - 1)])
        pytest.skip("the stored baseline has no answer to this case")
    pytest.skip("no --baseline given")


def _judge(session: GateSession, item: pytest.Item, current: Round | None) -> JudgeHandle:
    if session.judge is None:
        pytest.skip("not judged: no --judge given (openai/NAME or anthropic/NAME)")
    suite = harness_item_of(item).suite
    if suite is None:
        pytest.fail("the judge fixture needs @pytest.mark.suite(…, rubric=…) on the test", pytrace=False)
    return JudgeHandle(session.engine, session.judge, suite)


def _record_score(session: GateSession, item: pytest.Item, current: Round | None) -> Callable[..., None]:
    return recorder(item)


def recorder(item: pytest.Item) -> Callable[..., None]:
    """Return the function that records scores for an item; one without a model records them for nobody."""
    recorded = item.stash.setdefault(SCORES, [])

    def record(
        value: float | Score,
        *,
        passed: bool | None = None,
        answer: str | None = None,
        explanation: str | None = None,
    ) -> None:
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


VALUES: Mapping[str, Value] = MappingProxyType(
    {
        "baseline": _baseline,
        "baseline_response": _baseline_response,
        "case": _case,
        "checkpoint": _checkpoint,
        "harness_item": _item,
        "judge": _judge,
        "record_score": _record_score,
        "response": _response,
        "responses": _responses,
    }
)
