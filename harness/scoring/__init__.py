"""Scorers: pure functions from (case, response) to a score.

A case declares its checks as data; `score` runs them and `check` asserts them. Each check type is a factory
of scorers with a JSON Schema of its parameters (`check_type`), found by name (`registry`).
"""

from __future__ import annotations

from harness.scoring.check_type import CheckType, Scorer
from harness.scoring.evaluate import CheckFailed, InvalidOutput, check, score
from harness.scoring.registry import check_types

__all__ = ["CheckFailed", "CheckType", "InvalidOutput", "Scorer", "check", "check_types", "score"]
