"""The check types that come with this package, by name; each is imported when it is first asked for."""

from __future__ import annotations

from harness.declarations import Declarations
from harness.scoring.check_type import declared_in

__all__ = ["BUILT_IN"]

BUILT_IN = Declarations(
    "harness.scoring.checks", r"@declare_check\(", lambda module: declared_in(module.__name__)
)
"""What the modules of `checks/` declare with `declare_check`."""
