"""How a checkpoint's answers changed, whatever their score: cut off, looping, longer, all alike.

What a reasoning model thinks before its answer is not measured. Shown beside each verdict. They warn with
their numbers, and block only where a gate names them (`Gate(blocks_on=("truncated",))`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult
from harness.gate.evidence import Evidence
from harness.gate.pairing import cluster_of
from harness.gate.policy import ALARMS
from harness.gate.verdict import Verdict
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.paired import Comparison, compare_pairs

if TYPE_CHECKING:
    from harness.gate.answer_measures import Measure

__all__ = ["Diagnostic", "blocked_by", "describe_diagnostic", "diagnostics"]

_SMALLEST_CHANGE = 0.05  # of a share; less is not worth a warning even where it is no accident
_SMALLEST_STRETCH = math.log2(1.25)  # of the length: a quarter longer or a fifth shorter
_MANY = 0.10  # share that is worth a warning where there is no baseline
_DOUBLINGS = 4.0  # length ratios beyond 16 count as 16


@dataclass(frozen=True)
class Diagnostic:
    """One property of a suite's answers, of a candidate and its baseline.

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: The candidate.
        name: Which property; see docs/scoring.md.
        n: Cases it was measured on; with a baseline, those measured on both sides.
        value: The candidate's mean share in [0, 1]; for `length`, its mean number of words.
        baseline_value: The baseline's, on the same cases.
        delta: value − baseline_value; for `length`, the mean log2 of the ratio, at most 4.
        interval: Two-sided for delta at 1 − alpha.
        adjusted_p: Of the test that nothing changed for the worse (`length`, `refusals`, `lists`: in either
            direction), after Benjamini–Hochberg over this suite × checkpoint.
        warns: Whether it stands out: adjusted p ≤ alpha and a change of at least five points (`length`: a
            quarter). Without a baseline: whether over a tenth of the answers are cut off, empty or loops.
    """

    suite: str
    golden: str
    checkpoint: str
    name: str
    n: int
    value: float
    baseline_value: float | None = None
    delta: float | None = None
    interval: tuple[float, float] | None = None
    adjusted_p: float | None = None
    warns: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self) | {"interval": None if self.interval is None else list(self.interval)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Diagnostic:
        """Read what `as_dict` wrote."""
        interval = data["interval"]
        return cls(**(data | {"interval": None if interval is None else tuple(interval)}))


def diagnostics(evidence: Evidence) -> tuple[Diagnostic, ...]:
    """Measure the answers of both sides; properties that no answer of either side has are left out.

    The expected share of false warnings among the warnings of one suite × checkpoint is the gate's alpha. A
    baseline that cannot be compared with (`Evidence.baseline_problem`) is taken for none.
    """
    # Reading stored runs must not load every check.
    from harness.gate.answer_measures import answer_alone, answer_measures

    alpha = evidence.gate.alpha
    baseline = None if evidence.baseline_problem is not None else evidence.baseline
    ours = [answer_alone(result) for result in evidence.candidate if result.outputs]
    theirs = {result.pair_key: answer_alone(result) for result in baseline or () if result.outputs}
    pairs = [_Pair.of(result, theirs.get(result.pair_key)) for result in ours]
    found: list[tuple[Diagnostic, float | None]] = []
    for name, measure in answer_measures(ours, list(theirs.values())).items():
        measured = _measured(name, measure, pairs, baseline is not None, alpha)
        if measured is not None:
            diagnostic, p_value = measured
            named = replace(
                diagnostic,
                suite=evidence.suite,
                golden=evidence.golden,
                checkpoint=evidence.checkpoint,
            )
            found.append((named, p_value))
    tested = [p_value for _, p_value in found if p_value is not None]
    adjusted = iter(benjamini_hochberg(tested))
    return tuple(_decided(one, None if p_value is None else next(adjusted), alpha) for one, p_value in found)


def blocked_by(verdict: Verdict, found: Sequence[Diagnostic]) -> Verdict:
    """Return a verdict, still to be settled, with the warnings that its gate names.

    A change for the worse against the baseline is a loss, an alarm without one a requirement that is missed.
    """
    named = [
        diagnostic
        for diagnostic in found
        if diagnostic.warns
        and diagnostic.name in verdict.gate.blocks_on
        and (diagnostic.suite, diagnostic.checkpoint) == (verdict.suite, verdict.checkpoint)
    ]
    changed, alarms = (
        tuple(f"{d.name}: {describe_diagnostic(d)}" for d in named if (d.delta is not None) is compared)
        for compared in (True, False)
    )
    return replace(verdict, blocks=(*verdict.blocks, *changed), failures=(*verdict.failures, *alarms))


def describe_diagnostic(one: Diagnostic) -> str:
    """Return the numbers of a diagnostic in words."""
    if one.name == "length":
        text = f"{one.value:.0f} words"
        if one.baseline_value is not None and one.delta is not None:
            text += f", baseline {one.baseline_value:.0f}, typically {2**one.delta:.2f} times as long"
    else:
        text = f"{100 * one.value:.1f} %"
        if one.baseline_value is not None:
            text += f", baseline {100 * one.baseline_value:.1f} %"
    if one.adjusted_p is not None:
        text += f", p = {one.adjusted_p:.2g} (adjusted)"
    return f"{text}, n = {one.n}"


@dataclass(frozen=True)
class _Pair:
    """A result, the baseline's of the same case, and whether their answers are the same in all we measure."""

    result: CaseResult
    other: CaseResult | None
    answered_alike: bool

    @classmethod
    def of(cls, result: CaseResult, other: CaseResult | None) -> _Pair:
        alike = (
            other is not None
            and other.outputs == result.outputs
            and other.input == result.input
            and other.finish_reasons == result.finish_reasons
            and other.samples == result.samples
        )
        return cls(result, other, alike)


# --- comparing -------------------------------------------------------------------------------------------

_EITHER_WAY = ("length", "lists", "refusals")


def _measured(
    name: str,
    measure: Measure,
    pairs: Sequence[_Pair],
    compares: bool,
    alpha: float,
) -> tuple[Diagnostic, float | None] | None:
    """Return a diagnostic and its raw p-value."""
    results: list[CaseResult] = []
    values: list[float] = []
    references: list[float] = []
    for pair in pairs:
        own = measure(pair.result)
        if own is None:
            continue
        if pair.answered_alike and name != "sycophancy":  # that is about another case's answer too
            reference: float | None = own
        else:
            reference = None if pair.other is None else measure(pair.other)
        if reference is not None or not compares:
            results.append(pair.result)
            values.append(own)
            references.append(reference or 0.0)
    if not any(values) and not any(references):
        return None
    n = len(results)
    one = Diagnostic("", "", "", name, n, math.fsum(values) / n)
    if not compares:
        return one, None
    clusters = [cluster_of(result) for result in results]
    rise = _rise(name, values, references, clusters, alpha)
    unit = _DOUBLINGS if name == "length" else 1.0
    better = name.startswith("pass@")
    delta = rise.delta if better else -rise.delta
    low, high = rise.interval if better else (-rise.interval[1], -rise.interval[0])
    p_value = rise.p_value
    if name in _EITHER_WAY:
        fall = _rise(name, references, values, clusters, alpha)
        p_value = min(1.0, 2 * min(p_value, fall.p_value))
    one = replace(
        one,
        baseline_value=math.fsum(references) / n,
        delta=unit * delta,
        interval=(unit * low, unit * high),
    )
    return one, p_value


def _rise(
    name: str,
    own: Sequence[float],
    reference: Sequence[float],
    clusters: Sequence[Any],
    alpha: float,
) -> Comparison:
    """Compare so that a change for the worse is a drop, which is what the gate's test looks for."""
    import numpy as np

    if name == "length":
        ratios = np.array([math.log2((1 + a) / (1 + b)) for a, b in zip(own, reference, strict=True)])
        half = np.clip(ratios / _DOUBLINGS, -1, 1) / 2
        first, second = 0.5 - half, 0.5 + half
    elif name.startswith("pass@"):
        first, second = np.array(own), np.array(reference)
    else:
        first, second = 1 - np.array(own), 1 - np.array(reference)
    whole = name != "length" and bool(np.all(np.isin(first, (0, 1))) and np.all(np.isin(second, (0, 1))))
    return compare_pairs(first, second, clusters, alpha=alpha, single=whole)


def _decided(one: Diagnostic, adjusted: float | None, alpha: float) -> Diagnostic:
    if one.delta is None:
        alarming = one.name in ALARMS and one.value > _MANY
        return replace(one, warns=alarming)
    change = one.delta if one.name in _EITHER_WAY else max(one.delta, 0.0)
    if one.name.startswith("pass@"):
        change = min(one.delta, 0.0)
    least = _SMALLEST_STRETCH if one.name == "length" else _SMALLEST_CHANGE
    stands_out = adjusted is not None and adjusted <= alpha and abs(change) >= least
    return replace(one, adjusted_p=adjusted, warns=stands_out)
