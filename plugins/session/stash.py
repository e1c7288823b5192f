"""Where the state of a session and of its items lives: the keys of pytest's stash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.cases import Score

    from .item import Round
    from .session import GateSession

__all__ = ["NO_MODEL", "ROUND", "SCORES", "SESSION"]

NO_MODEL = "no --model given: pytest --model=CHECKPOINT --baseline=BASELINE"

SESSION: pytest.StashKey[GateSession] = pytest.StashKey()
ROUND: pytest.StashKey[Round] = pytest.StashKey()
SCORES: pytest.StashKey[list[Score]] = pytest.StashKey()
