"""What a gate says about one suite × checkpoint, with its evidence."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.gate.policy import Gate

__all__ = ["Status", "Verdict", "percent", "points"]


class Status(str, enum.Enum):
    """What a gate says. Only PASS lets a build through."""

    PASS = "PASS"  # noqa: S105 (a status, no password)
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """The verdict on one suite × checkpoint. Scores are in [0, 1], differences in [−1, 1].

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: The candidate.
        baseline: What it was compared with; None without one.
        gate: The policy that decided.
        status: PASS, REGRESSED or INCONCLUSIVE.
        reasons: Why, one sentence each, the deciding ones first.
        n: Pairs compared; decided cases where nothing was compared.
        clusters: Independent groups among them.
        mean: The candidate's mean score over those n.
        baseline_mean: The baseline's mean score over the same n.
        delta: mean − baseline_mean.
        standard_error: Of delta, or of the mean where nothing was compared; by clusters.
        interval: Two-sided for delta at 1 − alpha, for display.
        bounds: (lower, upper) for delta, each one-sided at alpha: what decides.
        p_value: One-sided, for a drop: how often chance alone gives a drop at least as large.
        adjusted_p: The same after Holm over the session's family; None outside it.
        minimum_detectable_drop: Smallest true drop that this gate blocks 4 times out of 5 with these cases,
            before adjustment; None where it can block none.
        improved: Cases whose score rose; `improved_ids` names them.
        worsened: Cases whose score fell; `worsened_ids` names them.
        missed_must_pass: Ids of `must_pass` cases that the candidate missed.
        errors: Cases of the candidate that ended in *error*.
        invalid: Cases whose answer could not be scored: empty, cut off, not parseable.
        skipped: Cases that were skipped.
        missing: Cases that have no counterpart or were planned and not reported.
        planned: Cases that should have been decided.
        partial: Whether cases were deselected on purpose.
        floor_interval: Bounds of the candidate's mean, each one-sided at alpha, when there is a `min_score`.
        method: Test and interval that were used.
        blocks: Reasons against the checkpoint that no p-value changes.
        doubts: Reasons why the evidence is incomplete.
        notes: Worth saying, decides nothing.
        cases_for_drop: How many cases would settle whether the drop exceeds the margin, if delta is true.
        cases_for_floor: How many cases would settle an open question about `min_score`.
        adjusted_delta: delta over the whole suite, estimated from a random part of it and what was known of
            the rest; None where the cases compared are all there are. Interval and p are then of this one.
        variance_reduction: Share of delta's variance that the adjustment takes away.
        samples: Per case and side (`--epochs`).
        share_within: Share of the differences' variance that comes from drawing answers; None with 1 sample.
        epochs_worth: By what factor the cases would have to grow to do as much as twice the samples.
        stopped: By what rule the suite was settled before its end (`--early-stop`); None if it was not.
        not_needed: Selected cases that were not run because the suite was settled; `not_needed_ids` names
            them, in the order in which they would have been drawn.
        distrusted: Why nothing that was measured here is evidence, such as a judge that lets pass what must
            lose. It holds for whatever the cases are compared with later.
    """

    suite: str
    golden: str
    checkpoint: str
    baseline: str | None
    gate: Gate
    status: Status = Status.INCONCLUSIVE
    reasons: tuple[str, ...] = ()
    n: int = 0
    clusters: int = 0
    mean: float | None = None
    baseline_mean: float | None = None
    delta: float | None = None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    bounds: tuple[float, float] | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    minimum_detectable_drop: float | None = None
    improved: int = 0
    worsened: int = 0
    improved_ids: tuple[str, ...] = ()
    worsened_ids: tuple[str, ...] = ()
    missed_must_pass: tuple[str, ...] = ()
    errors: int = 0
    invalid: int = 0
    skipped: int = 0
    missing: int = 0
    planned: int = 0
    partial: bool = False
    floor_interval: tuple[float, float] | None = None
    method: str = ""
    blocks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cases_for_drop: int | None = None
    cases_for_floor: int | None = None
    adjusted_delta: float | None = None
    variance_reduction: float | None = None
    samples: int = 1
    share_within: float | None = None
    epochs_worth: float | None = None
    stopped: str | None = None
    not_needed: int = 0
    not_needed_ids: tuple[str, ...] = ()
    distrusted: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """The gate's policy."""
        return self.gate.policy

    @property
    def margin(self) -> float:
        """The gate's margin."""
        return self.gate.margin

    @property
    def alpha(self) -> float:
        """The gate's alpha."""
        return self.gate.alpha

    @property
    def effect(self) -> float | None:
        """The best estimate of the difference: `adjusted_delta` where there is one, else `delta`."""
        return self.delta if self.adjusted_delta is None else self.adjusted_delta

    @property
    def is_compared(self) -> bool:
        """Whether any pair was compared."""
        return self.delta is not None

    @property
    def is_non_inferior(self) -> bool:
        """Whether a drop of more than the margin is ruled out."""
        return self.bounds is not None and self.bounds[0] > -self.gate.margin

    @property
    def cases_needed(self) -> int | None:
        """How many cases in all would settle an inconclusive verdict; None where more cases would not."""
        if self.status is not Status.INCONCLUSIVE:
            return None
        numbers = [self.cases_for_floor]
        if self.n < self.gate.minimum_cases and (self.is_compared or not self.gate.needs_baseline):
            numbers.append(self.gate.minimum_cases)
        if self.gate.policy == "non-inferior" and not self.is_non_inferior:
            numbers.append(self.cases_for_drop)
        return max((number for number in numbers if number is not None), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        data: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            data[field.name] = list(value) if isinstance(value, tuple) else value
            if field.name == "gate":
                data["gate"] = self.gate.as_dict()
                data |= {"policy": self.policy, "margin": self.margin, "alpha": self.alpha}
            elif field.name == "status":
                data["status"] = self.status.value
        data["cases_needed"] = self.cases_needed
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `as_dict` wrote; what derives from other fields is derived again."""
        values = dict(data)
        for derived in ("policy", "margin", "alpha", "cases_needed"):
            values.pop(derived, None)
        values["gate"] = Gate.from_dict(values["gate"])
        values["status"] = Status(values["status"])
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)


def points(difference: float) -> str:
    """Return a difference of scores in percentage points with its sign, such as `−3.2`."""
    text = f"{abs(100 * difference):.1f}"
    if text == "0.0":
        return text
    return ("−" if difference < 0 else "+") + text


def percent(share: float) -> str:
    """Return a share as a percentage, such as `2 %` or `0.5 %`."""
    return f"{100 * share:.4g} %"
