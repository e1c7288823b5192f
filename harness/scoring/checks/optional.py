"""Optional packages of checks: said to be missing when the golden set is read, imported when first used."""

from __future__ import annotations

import importlib.util

from harness.errors import MissingDependencyError

__all__ = ["require"]


def require(package: str, extra: str) -> None:
    """Refuse to build a check whose package is not installed.

    Raises:
        MissingDependencyError: It is not there; the message has the command that installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(package, extra)
