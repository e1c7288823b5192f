"""What a gate says about one suite × checkpoint, with its evidence."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.gate.measurements import CaseCounts, EarlySettlement, Floor, MeanScore, SampleNoise
from harness.gate.policy import Gate
from harness.stats.exclusion import Exclusion
from harness.stats.paired import Comparison
from harness.stats.power import Spread

__all__ = ["Status", "Verdict", "percent", "points"]


class Status(str, enum.Enum):
    """What a gate says. Only PASS lets a build through.

    Attributes:
        PASS: No drop is shown, no requirement missed, and a drop of a stated size is excluded.
        REGRESSED: A drop against the baseline is shown, or a case is lost that had to be kept.
        FAILED: An absolute requirement is missed, whatever the baseline does.
        INCONCLUSIVE: Everything else: what should have been measured was not, or it says too little.
    """

    PASS = "PASS"  # noqa: S105 (a status, no password)
    REGRESSED = "REGRESSED"
    FAILED = "FAILED"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """The verdict on one suite × checkpoint. Scores are in [0, 1], differences in [−1, 1].

    The numbers lie in `comparison`, `alone`, `counts`, `floor`, `noise` and `settlement`; those that people
    ask for most can be had from the verdict itself, under the names that `as_dict` writes.

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: Spec of the candidate.
        baseline: What it was compared with; None without one.
        gate: The policy that decided.
        status: PASS, REGRESSED, FAILED or INCONCLUSIVE.
        reasons: Why, one sentence each, the deciding ones first.
        comparison: The paired comparison; None where nothing was compared.
        exclusion: Whether a drop of `rules_out` is excluded, with a promise that holds for every
            distribution of scores; None where nothing was compared, or the comparison's own bound tells it
            (a part of a suite, a suite that was looked at early).
        alone: The candidate's mean where nothing was compared; None without a decided case.
        counts: How the cases ended.
        adjusted_p: The comparison's p-value after adjustment over the family; None outside one.
        minimum_detectable_drop: Smallest true drop that this gate blocks 4 times out of 5 with these cases,
            before adjustment; None where it can block none.
        cases_for_drop: How many cases would settle whether a drop of `rules_out` is excluded or a drop is
            shown, if delta is true; None where it is settled, or no number would.
        improved_ids: The cases whose score rose.
        worsened_ids: The cases whose score fell.
        missed_must_pass: Ids of `must_pass` cases that the candidate missed.
        lost_must_keep: Ids of `must_keep` cases that the baseline passed and the candidate did not.
        floor: What is known of `min_score`; None without one.
        noise: What drawing answers adds to the noise.
        settlement: How the suite was settled before its end; None if it was not.
        partial: Whether cases were deselected on purpose.
        same_weights: Whether candidate and baseline are one and the same, which cannot have regressed.
        blocks: Losses against the baseline that no p-value changes.
        failures: Absolute requirements that are missed.
        doubts: Reasons why the evidence is incomplete.
        notes: Worth saying, decides nothing.
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
    comparison: Comparison | None = None
    exclusion: Exclusion | None = None
    alone: MeanScore | None = None
    counts: CaseCounts = field(default_factory=CaseCounts)
    adjusted_p: float | None = None
    minimum_detectable_drop: float | None = None
    cases_for_drop: int | None = None
    improved_ids: tuple[str, ...] = ()
    worsened_ids: tuple[str, ...] = ()
    missed_must_pass: tuple[str, ...] = ()
    lost_must_keep: tuple[str, ...] = ()
    floor: Floor | None = None
    noise: SampleNoise = field(default_factory=SampleNoise)
    settlement: EarlySettlement | None = None
    partial: bool = False
    same_weights: bool = False
    blocks: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    distrusted: tuple[str, ...] = ()

    # --- what is asked for most ------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Pairs compared; decided cases where nothing was compared."""
        measured = self.comparison or self.alone
        return 0 if measured is None else measured.n

    @property
    def clusters(self) -> int:
        """Independent groups among the n."""
        measured = self.comparison or self.alone
        return 0 if measured is None else measured.groups

    @property
    def mean(self) -> float | None:
        """The candidate's mean score over those n."""
        measured = self.comparison or self.alone
        return None if measured is None else measured.mean

    @property
    def baseline_mean(self) -> float | None:
        """The baseline's mean score over the same n."""
        return None if self.comparison is None else self.comparison.baseline_mean

    @property
    def delta(self) -> float | None:
        """Mean − baseline_mean."""
        return None if self.comparison is None else self.comparison.delta

    @property
    def standard_error(self) -> float | None:
        """Of delta, or of the mean where nothing was compared; by clusters."""
        measured = self.comparison or self.alone
        return None if measured is None else measured.standard_error

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two-sided for delta at 1 − alpha, for display."""
        return None if self.comparison is None else self.comparison.interval

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(lower, upper) for delta, each one-sided at alpha: what decides."""
        return None if self.comparison is None else self.comparison.bounds

    @property
    def p_value(self) -> float | None:
        """One-sided, for a drop: how often chance alone gives a drop at least as large."""
        return None if self.comparison is None else self.comparison.p_value

    @property
    def improved(self) -> int:
        """Cases whose score rose."""
        return 0 if self.comparison is None else self.comparison.improved

    @property
    def worsened(self) -> int:
        """Cases whose score fell."""
        return 0 if self.comparison is None else self.comparison.worsened

    @property
    def method(self) -> str:
        """Test and interval that were used; empty where nothing was compared."""
        return "" if self.comparison is None else self.comparison.method

    @property
    def adjusted_delta(self) -> float | None:
        """The difference over the whole suite, where only a random part of it was asked; else None."""
        return None if self.comparison is None else self.comparison.adjusted_delta

    @property
    def errors(self) -> int:
        """Cases of the candidate that ended in *error*."""
        return self.counts.errors

    @property
    def invalid(self) -> int:
        """Cases whose answer could not be scored."""
        return self.counts.invalid

    @property
    def planned(self) -> int:
        """Cases that should have been decided."""
        return self.counts.planned

    @property
    def not_needed(self) -> int:
        """Selected cases that were not run because the suite was settled."""
        return 0 if self.settlement is None else self.settlement.not_needed

    @property
    def effect(self) -> float | None:
        """The best estimate of the difference: over the whole suite where only a part of it was asked."""
        return self.delta if self.adjusted_delta is None else self.adjusted_delta

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
    def is_compared(self) -> bool:
        """Whether any pair was compared."""
        return self.comparison is not None

    @property
    def margin_here(self) -> float:
        """The margin as a difference of mean scores: where it is relative, by the baseline's own."""
        return self.gate.margin_on(self.baseline_mean or 0.0)

    @property
    def rules_out(self) -> float | None:
        """The drop that a PASS of this suite excludes; None where the gate compares with nothing."""
        return self.gate.excluded_drop_on(self.baseline_mean or 0.0) if self.gate.needs_baseline else None

    @property
    def largest_drop_left(self) -> float | None:
        """The largest true drop that the one-sided interval does not exclude, in [0, 1]; None without one."""
        if self.bounds is None:
            return None
        lower = self.bounds[0] if self.exclusion is None else self.exclusion.lower
        return max(-lower, 0.0)

    @property
    def is_drop_excluded(self) -> bool:
        """Whether a drop of `rules_out` or more is excluded, and would have been possible at all.

        Where a rise is shown, so is that there is no drop, however little the baseline scores.
        """
        if self.bounds is None or self.rules_out is None or self.same_weights:
            return False
        if self.bounds[0] > 0.0:
            return True
        by_bound = self.bounds[0] > -self.rules_out
        return self.is_drop_possible and (by_bound if self.exclusion is None else self.exclusion.excluded)

    @property
    def is_drop_possible(self) -> bool:
        """Whether the baseline scores more than the drop that is to be excluded: else none could show."""
        return self.baseline_mean is not None and self.baseline_mean > (self.rules_out or 0.0)

    @property
    def cases_needed(self) -> int | None:
        """How many cases in all would settle an inconclusive verdict; None where more cases would not."""
        if self.status is not Status.INCONCLUSIVE:
            return None
        numbers = [None if self.floor is None else self.floor.cases_needed]
        if self.n < self.gate.minimum_cases and (self.is_compared or not self.gate.needs_baseline):
            numbers.append(self.gate.minimum_cases)
        if self.gate.needs_baseline and self.is_drop_possible and not self.is_drop_excluded:
            numbers.append(self.cases_for_drop)
        return max((number for number in numbers if number is not None and number > self.n), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values on one level; `from_dict` reads them back."""
        gate, compared, counts, settled = self.gate, self.comparison, self.counts, self.settlement
        return {
            "suite": self.suite,
            "golden": self.golden,
            "checkpoint": self.checkpoint,
            "baseline": self.baseline,
            "gate": gate.as_dict(),
            "policy": gate.policy,
            "margin": gate.margin,
            "alpha": gate.alpha,
            "tier": gate.tier,
            "rules_out": self.rules_out,
            "largest_drop_left": self.largest_drop_left,
            "status": self.status.value,
            "reasons": list(self.reasons),
            "n": self.n,
            "clusters": self.clusters,
            "mean": self.mean,
            "baseline_mean": self.baseline_mean,
            "delta": self.delta,
            "standard_error": self.standard_error,
            "interval": _listed(self.interval),
            "bounds": _listed(self.bounds),
            "exclusion": None if self.exclusion is None else asdict(self.exclusion),
            "p_value": self.p_value,
            "adjusted_p": self.adjusted_p,
            "minimum_detectable_drop": self.minimum_detectable_drop,
            "improved": self.improved,
            "worsened": self.worsened,
            "improved_ids": list(self.improved_ids),
            "worsened_ids": list(self.worsened_ids),
            "missed_must_pass": list(self.missed_must_pass),
            "lost_must_keep": list(self.lost_must_keep),
            **asdict(counts),
            "partial": self.partial,
            "same_weights": self.same_weights,
            "floor_interval": None if self.floor is None else _listed(self.floor.interval),
            "method": self.method,
            "blocks": list(self.blocks),
            "failures": list(self.failures),
            "doubts": list(self.doubts),
            "notes": list(self.notes),
            "spread": None if compared is None else asdict(compared.spread),
            "cases_for_drop": self.cases_for_drop,
            "cases_for_floor": None if self.floor is None else self.floor.cases_needed,
            "adjusted_delta": self.adjusted_delta,
            "looked_early": compared is not None and compared.looked_early,
            "variance_reduction": None if compared is None else compared.variance_reduction,
            **asdict(self.noise),
            "stopped": None if settled is None else settled.rule,
            "not_needed": self.not_needed,
            "not_needed_ids": [] if settled is None else list(settled.not_needed_ids),
            "distrusted": list(self.distrusted),
            "cases_needed": self.cases_needed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `as_dict` wrote; what derives from other values is derived again."""
        return cls(
            suite=data["suite"],
            golden=data["golden"],
            checkpoint=data["checkpoint"],
            baseline=data["baseline"],
            gate=Gate.from_dict(data["gate"]),
            status=Status(data["status"]),
            comparison=_comparison(data) if data["delta"] is not None else None,
            exclusion=None if data["exclusion"] is None else Exclusion(**data["exclusion"]),
            alone=_mean_score(data) if data["delta"] is None and data["mean"] is not None else None,
            counts=CaseCounts(**{name: data[name] for name in CaseCounts.__dataclass_fields__}),
            floor=None
            if data["floor_interval"] is None
            else Floor(_pair(data["floor_interval"]), data["cases_for_floor"]),
            noise=SampleNoise(data["samples"], data["share_within"], data["epochs_worth"]),
            settlement=None
            if data["stopped"] is None
            else EarlySettlement(data["stopped"], data["not_needed"], tuple(data["not_needed_ids"])),
            adjusted_p=data["adjusted_p"],
            minimum_detectable_drop=data["minimum_detectable_drop"],
            cases_for_drop=data["cases_for_drop"],
            partial=data["partial"],
            same_weights=data["same_weights"],
            reasons=tuple(data["reasons"]),
            improved_ids=tuple(data["improved_ids"]),
            worsened_ids=tuple(data["worsened_ids"]),
            missed_must_pass=tuple(data["missed_must_pass"]),
            lost_must_keep=tuple(data["lost_must_keep"]),
            blocks=tuple(data["blocks"]),
            failures=tuple(data["failures"]),
            doubts=tuple(data["doubts"]),
            notes=tuple(data["notes"]),
            distrusted=tuple(data["distrusted"]),
        )


def _comparison(data: Mapping[str, Any]) -> Comparison:
    return Comparison(
        n=data["n"],
        groups=data["clusters"],
        mean=data["mean"],
        baseline_mean=data["baseline_mean"],
        delta=data["delta"],
        standard_error=data["standard_error"],
        interval=_pair(data["interval"]),
        bounds=_pair(data["bounds"]),
        p_value=data["p_value"],
        improved=data["improved"],
        worsened=data["worsened"],
        method=data["method"],
        spread=Spread(**data["spread"]),
        adjusted_delta=data["adjusted_delta"],
        variance_reduction=data["variance_reduction"],
        looked_early=data["looked_early"],
    )


def _mean_score(data: Mapping[str, Any]) -> MeanScore:
    return MeanScore(data["n"], data["clusters"], data["mean"], data["standard_error"])


def _pair(bounds: Sequence[float]) -> tuple[float, float]:
    lower, upper = bounds
    return lower, upper


def _listed(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else list(bounds)


def points(difference: float) -> str:
    """Return a difference of scores in percentage points with its sign, such as `−3.2`."""
    text = f"{abs(100 * difference):.1f}"
    if text == "0.0":
        return text
    return ("−" if difference < 0 else "+") + text


def percent(share: float) -> str:
    """Return a share as a percentage, such as `2 %` or `0.5 %`."""
    return f"{100 * share:.4g} %"
