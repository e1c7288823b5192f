"""What a suite demands of a checkpoint."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from harness.errors import ConfigurationError
from harness.registry import did_you_mean
from harness.stats.repeats import REDUCTIONS

__all__ = ["ALARMS", "DIAGNOSTICS", "POLICIES", "Gate"]

POLICIES = ("no-significant-drop", "non-inferior", "absolute")

DIAGNOSTICS = (
    "empty",
    "length",
    "lists",
    "loops",
    "other language",
    "other script",
    "refusals",
    "repeated words",
    "same answer",
    "same opening",
    "sycophancy",
    "truncated",
)
"""What `harness.gate.diagnostics` measures of a suite's answers, beside `pass@k`."""

ALARMS = ("empty", "loops", "truncated")
"""Those of them that can warn without a baseline; the others are changes."""

Made = TypeVar("Made")

_MINIMUM_CASES = {"no-significant-drop": 1, "non-inferior": 20, "absolute": 1}


def _told_by_name(cls: type[Made]) -> type[Made]:
    """Let a class refuse a misspelt argument as it refuses a wrong value, for both are slips of its user."""
    known = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # of dataclasses only
    plain = cls.__init__

    @functools.wraps(plain)
    def checked(self: Made, *values: Any, **named: Any) -> None:
        if unknown := [f"{name!r}{did_you_mean(name, known)}" for name in named if name not in known]:
            said = ", ".join(unknown)
            raise ConfigurationError(f"gate: unknown argument {said}; known: {', '.join(known)}")
        plain(self, *values, **named)

    type.__setattr__(cls, "__init__", checked)
    return cls


@_told_by_name
@dataclass(frozen=True)
class Gate:
    """A suite's policy.

    Attributes:
        policy: `no-significant-drop` blocks a drop that is shown; `non-inferior` passes only when a drop
            beyond the margin is ruled out; `absolute` compares with no baseline, only with `min_score`.
        margin: The drop of the mean score that the team can live with, in [0, 1).
        alpha: Chance of a false block in a session, in (0, 0.5).
        min_score: Floor of the mean score in [0, 1]; blocks where the mean is shown to lie below it.
        min_cases: Fewest cases that must be compared; None takes the policy's own (20 for
            `non-inferior`, else 1).
        coverage: Share of the planned cases that must be decided on both sides, in (0, 1]. Below 1 it
            tolerates cases that ended in error; what was tolerated is said.
        reduce: How the samples of a case make its score: `mean`, or `all` (pass^k, the worst of them).
        blocks_on: Names of `DIAGNOSTICS` whose warning blocks; the others are only shown.
        slices: Tags whose slice blocks where it warns; the others are only shown.
        allow_margin_below_noise: Whether a margin is accepted that lies below what `harness noise` has
            measured between two runs of the baseline itself.

    Raises:
        ConfigurationError: One or more arguments are wrong; all problems in one message.
    """

    policy: str = "no-significant-drop"
    margin: float = 0.02
    alpha: float = 0.05
    min_score: float | None = None
    min_cases: int | None = None
    coverage: float = 1.0
    reduce: str = "mean"
    blocks_on: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    allow_margin_below_noise: bool = False

    def __post_init__(self) -> None:
        problems: list[str] = []
        if self.policy not in POLICIES:
            known = ", ".join(repr(policy) for policy in POLICIES)
            problems.append(f"policy must be one of {known}, not {self.policy!r}")
        if not _is_number(self.margin) or not 0.0 <= self.margin < 1.0:
            problems.append(f"margin must be a number in [0, 1), 0.02 for two points, not {self.margin!r}")
        if not _is_number(self.alpha) or not 0.0 < self.alpha < 0.5:
            problems.append(f"alpha must be a number in (0, 0.5), not {self.alpha!r}")
        if self.min_score is not None and not (_is_number(self.min_score) and 0.0 <= self.min_score <= 1.0):
            problems.append(f"min_score must be a number in [0, 1] or None, not {self.min_score!r}")
        if self.min_cases is not None and not _is_count(self.min_cases):
            problems.append(f"min_cases must be a whole number of at least 1 or None, not {self.min_cases!r}")
        if not _is_number(self.coverage) or not 0.0 < self.coverage <= 1.0:
            problems.append(f"coverage must be a number in (0, 1], not {self.coverage!r}")
        blocks_on: Any = self.blocks_on
        if isinstance(blocks_on, list):  # as JSON and YAML have it
            blocks_on = tuple(blocks_on)
            object.__setattr__(self, "blocks_on", blocks_on)
        if not isinstance(blocks_on, tuple) or not set(blocks_on) <= set(DIAGNOSTICS):
            known = ", ".join(repr(name) for name in DIAGNOSTICS)
            problems.append(f"blocks_on must be a list of {known}, not {blocks_on!r}")
        tags: Any = self.slices
        if isinstance(tags, list):
            tags = tuple(tags)
            object.__setattr__(self, "slices", tags)
        if not isinstance(tags, tuple) or not all(isinstance(tag, str) and tag for tag in tags):
            problems.append(f"slices must be a list of tags, not {tags!r}")
        elif tags and self.policy == "absolute":
            problems.append("slices compare with a baseline, the policy 'absolute' has none")
        if not _is_flag(self.allow_margin_below_noise):
            problems.append(
                f"allow_margin_below_noise must be true or false, not {self.allow_margin_below_noise!r}"
            )
        if self.reduce not in REDUCTIONS:
            problems.append(f"reduce must be one of {', '.join(map(repr, REDUCTIONS))}, not {self.reduce!r}")
        if self.policy == "absolute" and self.min_score is None:
            problems.append("min_score is missing: the policy 'absolute' compares with nothing else")
        if problems:
            raise ConfigurationError("gate: " + "; ".join(problems))

    @property
    def needs_baseline(self) -> bool:
        """Whether the policy compares with a baseline."""
        return self.policy != "absolute"

    @property
    def minimum_cases(self) -> int:
        """`min_cases`, or the policy's own."""
        return _MINIMUM_CASES[self.policy] if self.min_cases is None else self.min_cases

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gate:
        """Read what `as_dict` wrote.

        Raises:
            ConfigurationError: A key is unknown or a value wrong.
        """
        return cls(**data)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
