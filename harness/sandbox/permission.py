"""Whether the code that models write may run in this process's sandboxes, and under which conditions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import ScoringError

__all__ = ["Permission", "allow_code", "code_allowed", "required_permission"]


@dataclass(frozen=True)
class Permission:
    """What the user allowed.

    Attributes:
        unisolated: Whether code may also run where the system cannot isolate it: with limits, but with the
            network and the files that the user has.
    """

    unisolated: bool = False


_allowed: Permission | None = None


def allow_code(permission: Permission | None) -> None:
    """Set what is allowed from now on, in every thread; None forbids everything, as at the start."""
    global _allowed
    _allowed = permission


@contextlib.contextmanager
def code_allowed(*, unisolated: bool = False) -> Iterator[None]:
    """Allow code to run within the `with` block."""
    before = _allowed
    allow_code(Permission(unisolated))
    try:
        yield
    finally:
        allow_code(before)


def required_permission() -> Permission:
    """Return what the user allowed.

    Raises:
        ScoringError: Nothing.
    """
    if _allowed is None:
        raise ScoringError(
            "running a model's code was not allowed: give --allow-code-execution "
            "(or, in Python, use harness.sandbox.code_allowed())"
        )
    return _allowed
