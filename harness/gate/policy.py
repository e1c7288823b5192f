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

__all__ = ["ALARMS", "DIAGNOSTICS", "POLICIES", "RULES_OUT", "TIERS", "Gate", "ReleasePolicy"]

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

RULES_OUT = 0.10
"""The drop that a PASS excludes where nothing else is asked for."""

TIERS = ("critical", "supporting", "advisory")
"""How a suite counts in the release: it needs every critical PASS, and none but an advisory one blocked."""

Made = TypeVar("Made")

_WEIGHTS = {"critical": 1.0, "supporting": 0.5}
_SMALLEST_ALPHA = 1e-6
"""Below this no suite of a size that people have could ever show a drop."""

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
        policy: `no-significant-drop` blocks a drop that is shown and larger than the margin;
            `non-inferior` also passes only when a drop beyond the margin is ruled out; `absolute` compares
            with no baseline, only with `min_score`.
        margin: A proven drop of the mean score blocks where it is estimated to be larger, in [0, 1).
        rules_out: The drop that a PASS excludes by the one-sided interval, in (0, 1), at least the margin.
            None takes 0.10, or the margin where that is larger; under `non-inferior` it is the margin.
        relative: Whether margin and rules_out are shares of the baseline's own mean: for suites on which
            the baseline scores little.
        minimum_effect: Whether the proven drop itself must exceed the margin, so that a drop of the margin
            is blocked at most alpha of the time. It costs power: `harness gates` says how much.
        tier: One of `TIERS`.
        weight: Share of the release's alpha that this suite's question keeps, relative to the others'; > 0.
            None takes 1 for a critical suite and 0.5 for a supporting one.
        alpha: Chance of a false block of the release, in [1e-6, 0.5).
        min_score: Floor of the mean score in [0, 1]; fails where the mean is shown to lie below it.
        min_cases: Fewest cases that must be compared; None takes the policy's own (20 for
            `non-inferior`, else 1).
        coverage: Share of the planned cases that must be decided on both sides, in (0, 1]. Below 1 it
            tolerates cases that ended in error; what was tolerated is said.
        reduce: How the samples of a case make its score: `mean`, or `all` (pass^k, the worst of them).
        blocks_on: Names of `DIAGNOSTICS` whose warning fails the suite; the others are only shown.
        slices: Tags whose slice blocks where it warns; the others are only shown.
        allow_margin_below_noise: Whether a margin is accepted that lies below what `harness noise` has
            measured between two runs of the baseline itself.

    Raises:
        ConfigurationError: One or more arguments are wrong; all problems in one message.
    """

    policy: str = "no-significant-drop"
    margin: float = 0.02
    rules_out: float | None = None
    relative: bool = False
    minimum_effect: bool = False
    tier: str = "critical"
    weight: float | None = None
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
        problems += self._problems_of_margins()
        if self.tier not in TIERS:
            problems.append(f"tier must be one of {', '.join(map(repr, TIERS))}, not {self.tier!r}")
        if self.weight is not None and not (_is_number(self.weight) and 0.0 < self.weight <= 1e6):
            problems.append(f"weight must be a number above 0 and at most 1e6, or None, not {self.weight!r}")
        if not _is_number(self.alpha) or not _SMALLEST_ALPHA <= self.alpha < 0.5:
            problems.append(f"alpha must be a number in [{_SMALLEST_ALPHA:g}, 0.5), not {self.alpha!r}")
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

    def _problems_of_margins(self) -> list[str]:
        problems = [
            f"{name} must be true or false, not {getattr(self, name)!r}"
            for name in ("relative", "minimum_effect")
            if not _is_flag(getattr(self, name))
        ]
        if self.rules_out is None:
            return problems
        if not _is_number(self.rules_out) or not 0.0 < self.rules_out < 1.0:
            problems.append(
                f"rules_out must be a number in (0, 1), 0.1 for ten points, not {self.rules_out!r}"
            )
        elif self.policy == "non-inferior" and self.rules_out != self.margin:
            problems.append("rules_out is the margin under the policy 'non-inferior': leave it out")
        elif _is_number(self.margin) and self.rules_out < self.margin:
            problems.append(
                f"rules_out ({self.rules_out!r}) must not be below the margin ({self.margin!r}), which does "
                "not block by itself"
            )
        return problems

    @property
    def share(self) -> float:
        """`weight`, or that of the tier."""
        return _WEIGHTS.get(self.tier, 0.0) if self.weight is None else self.weight

    @property
    def excluded_drop(self) -> float:
        """The drop that a PASS excludes, in (0, 1]; a share of the baseline's mean where `relative`."""
        if self.policy == "non-inferior":
            return self.margin
        return max(RULES_OUT, self.margin) if self.rules_out is None else self.rules_out

    def margin_on(self, baseline_mean: float) -> float:
        """Return the margin as a difference of mean scores, in [0, 1)."""
        return self.margin * baseline_mean if self.relative else self.margin

    def excluded_drop_on(self, baseline_mean: float) -> float:
        """Return the drop that a PASS excludes as a difference of mean scores, in [0, 1]."""
        return self.excluded_drop * baseline_mean if self.relative else self.excluded_drop

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


@dataclass(frozen=True)
class ReleasePolicy:
    """What a release demands beside its suites' gates.

    Attributes:
        required: Suites that must have been gated; one that was not makes the release INCONCLUSIVE.

    Raises:
        ConfigurationError: A value is wrong.
    """

    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        required: Any = self.required
        if isinstance(required, list):  # as YAML has it
            required = tuple(required)
            object.__setattr__(self, "required", required)
        if not isinstance(required, tuple) or not all(isinstance(name, str) and name for name in required):
            raise ConfigurationError(f"release: required must be a list of suites, not {required!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
