"""What one of our pytest items is about: a checkpoint, and a case of a suite where it has one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.case_result import Role
from harness.cases import Case
from harness.protocols import Checkpoint

from .suite import Suite

__all__ = ["HarnessItem", "Round", "harness_item_of", "is_ours", "test_name"]

_ANSWERS = frozenset({"response", "responses", "baseline_response"})


@dataclass(frozen=True, slots=True)
class HarnessItem:
    """The parameter of one of our pytest items.

    Attributes:
        checkpoint: The candidate.
        test: Name of the test function as results know it: function, or Class::function.
        fixtures: Names of the fixtures that the test needs, directly or through others.
        suite: The suite; None for a free-form test, which runs once per checkpoint.
        case: The case; None without a suite.
    """

    checkpoint: Checkpoint
    test: str
    fixtures: frozenset[str]
    suite: Suite | None = None
    case: Case | None = None

    @property
    def asks(self) -> bool:
        """Whether the test looks at an answer to its case, so that it is asked before the test runs."""
        return self.case is not None and not _ANSWERS.isdisjoint(self.fixtures)

    @property
    def pair_key(self) -> tuple[str, str, str, str]:
        """What joins the item to the baseline: suite, golden set and version, test, case id."""
        assert self.suite is not None
        assert self.case is not None
        return (self.suite.name, self.suite.golden, self.test, self.case.id)


@dataclass(frozen=True, slots=True)
class Round:
    """One run of an item's test function: whose answers it sees, and which sample."""

    checkpoint: Checkpoint
    role: Role
    sample: int


def harness_item_of(item: pytest.Item) -> HarnessItem:
    """Return what one of our items is about."""
    parameter = item.callspec.params["harness_item"]  # type: ignore[attr-defined]  # of parametrized items only
    assert isinstance(parameter, HarnessItem)
    return parameter


def is_ours(item: pytest.Item) -> bool:
    """Whether an item is one of ours: parametrized over checkpoints."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get("harness_item"), HarnessItem)


def test_name(item: pytest.Item) -> str:
    """Return the test's name without its parameters, as results know it: function, or Class::function."""
    parent = item.parent
    name = str(getattr(item, "originalname", None) or item.name)
    return f"{parent.obj.__name__}::{name}" if isinstance(parent, pytest.Class) else name
