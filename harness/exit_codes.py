"""What the exit code of a session says, and which code wins when several conditions hold."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Condition", "ExitCode", "most_severe"]


class ExitCode(enum.IntEnum):
    """Exit codes of `pytest` under this plugin and of the `harness` commands."""

    PASS = 0
    REGRESSED = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NO_CASES = 5
    WARNINGS = 6
    INCONCLUSIVE = 10


@dataclass(frozen=True)
class Condition:
    """Something that held in a session and asks for an exit code.

    Attributes:
        code: The exit code that it asks for.
        reason: What held, in a sentence.
    """

    code: int
    reason: str


_PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.INTERNAL_ERROR,
    ExitCode.INTERRUPTED,
    ExitCode.REGRESSED,
    ExitCode.INCONCLUSIVE,
    ExitCode.NO_CASES,
    ExitCode.WARNINGS,
    ExitCode.PASS,
)


def most_severe(codes: Iterable[int]) -> int:
    """Return the code that decides: 4 > 3 > 2 > 1 > 10 > 5 > 6 > 0.

    A code that is not ours (another plugin's) is as severe as an internal error: what we cannot
    interpret must not pass.
    """
    found = list(codes)
    foreign = [code for code in found if code not in _PRECEDENCE]
    for code in _PRECEDENCE:
        if code is ExitCode.INTERNAL_ERROR and foreign:
            return foreign[0]
        if code in found:
            return int(code)
    return int(ExitCode.PASS)
