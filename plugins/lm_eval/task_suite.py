"""What `pytest --lm-eval-tasks=…` runs: each task under the default gate."""

from __future__ import annotations

import pytest

import harness


@pytest.mark.suite("lm_eval:")
def test_task(case: harness.Case, response: harness.Response) -> None:
    """Score by the task's own code; its check is part of each case."""
    harness.check(case, response)
