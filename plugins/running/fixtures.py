"""The fixtures that suites are written with. What they hand out is made in `fixture_values.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ..session.stash import NO_MODEL, ROUND, SESSION

if TYPE_CHECKING:
    from harness.cases import Case, Response

    from ..session.item import HarnessItem
    from .live import JudgeHandle, LiveCheckpoint

__all__ = [
    "baseline",
    "baseline_response",
    "case",
    "checkpoint",
    "harness_item",
    "judge",
    "record_score",
    "response",
    "responses",
]


def _value(request: pytest.FixtureRequest, name: str) -> Any:
    from .fixture_values import VALUES

    node: pytest.Item = request.node
    return VALUES[name](request.config.stash[SESSION], node, node.stash.get(ROUND, None))


@pytest.fixture
def harness_item(request: pytest.FixtureRequest) -> HarnessItem:
    """The case × checkpoint that this item is about."""
    if request.config.stash.get(SESSION, None) is None:
        pytest.skip(NO_MODEL)
    param: HarnessItem | None = getattr(request, "param", None)
    if param is None:
        pytest.fail("this fixture needs @pytest.mark.suite('GOLDEN') on the test", pytrace=False)
    return param


@pytest.fixture
def case(request: pytest.FixtureRequest, harness_item: HarnessItem) -> Case:
    """The golden case: id, messages, target, checks, tags, metadata."""
    value: Case = _value(request, "case")
    return value


@pytest.fixture
def checkpoint(request: pytest.FixtureRequest, harness_item: HarnessItem) -> LiveCheckpoint:
    """The checkpoint under test; `checkpoint.generate(messages)` asks it anything, cached."""
    value: LiveCheckpoint = _value(request, "checkpoint")
    return value


@pytest.fixture
def baseline(request: pytest.FixtureRequest, harness_item: HarnessItem) -> LiveCheckpoint | None:
    """The baseline checkpoint, or None when there is none or it is a stored run."""
    value: LiveCheckpoint | None = _value(request, "baseline")
    return value


@pytest.fixture
def response(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> Response:
    """The checkpoint's answer to the case; under `--epochs` the test runs once for each sample."""
    value: Response = _value(request, "response")
    return value


@pytest.fixture
def responses(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> tuple[Response, ...]:
    """All samples of the checkpoint's answer to the case; one without `--epochs`."""
    value: tuple[Response, ...] = _value(request, "responses")
    return value


@pytest.fixture
def baseline_response(request: pytest.FixtureRequest, harness_item: HarnessItem, case: Case) -> Response:
    """The baseline's answer to the case."""
    value: Response = _value(request, "baseline_response")
    return value


@pytest.fixture
def judge(request: pytest.FixtureRequest, harness_item: HarnessItem) -> JudgeHandle:
    """The judge: `judge(case, response)` returns its score by the suite's rubric."""
    value: JudgeHandle = _value(request, "judge")
    return value


@pytest.fixture
def record_score(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record a graded score: `record_score(0.7)`, or a whole `harness.Score`, such as a judge's.

    A number must lie in [0, 1]; NaN, infinite and out-of-range values end the case in *error*. `passed`
    defaults to whether it is at least 0.5. Called several times, the case's score is the mean.
    """
    from .fixture_values import recorder

    return recorder(request.node)
