"""What `pytest --lm-eval-tasks=…` runs: each task under the default gate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import harness


@pytest.mark.suite("lm_eval:")
def test_task(case: harness.Case, response: harness.Response, record_score: Callable[..., None]) -> None:
    """Score by the task's own code, its check being part of each case; the score may be graded."""
    record_score(harness.check(case, response))
