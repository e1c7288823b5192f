"""How a checkpoint's answers changed, whatever their score: cut off, looping, longer, all alike.

Shown beside each verdict. They warn with their numbers, and block only where a gate names them
(`Gate(blocks_on=("truncated",))`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.case_result import CaseResult
from harness.pairing import cluster_of
from harness.scoring.degeneration import distinct_n, find_loop, form_of, main_script, opening_of, tokens
from harness.scoring.refusal import find_refusal
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.paired import Comparison, compare_pairs
from harness.stats.pass_at_k import pass_at_k
from harness.verdict import Verdict

__all__ = ["Diagnostic", "blocked_by", "described", "diagnostics"]

_SMALLEST_CHANGE = 0.05  # of a share; less is not worth a warning even where it is no accident
_SMALLEST_STRETCH = math.log2(1.25)  # of the length: a quarter longer or a fifth shorter
_MANY = 0.10  # share that is worth a warning where there is no baseline
_DOUBLINGS = 4.0  # length ratios beyond 16 count as 16
_KS = (2, 5, 10, 20, 50, 100)


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


Measure = Callable[[CaseResult], "float | None"]


def diagnostics(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    *,
    suite: str,
    golden: str,
    checkpoint: str,
    alpha: float = 0.05,
    seed: int = 0,
) -> tuple[Diagnostic, ...]:
    """Measure the answers of both sides; properties that no answer of either side has are left out.

    Args:
        candidate: Results of the candidate in this suite.
        baseline: Results of the baseline; those of other suites are left out. None without one.
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: Display name of the candidate.
        alpha: Expected share of false warnings among the warnings of this suite × checkpoint.
        seed: Of the permutation tests' draws.
    """
    ours = [result for result in candidate if result.outputs]
    theirs = {
        result.pair_key: result for result in baseline or () if result.suite == suite and result.outputs
    }
    found: list[tuple[Diagnostic, float | None]] = []
    for name, measure in _measures(ours, list(theirs.values())).items():
        measured = _measured(name, measure, ours, theirs if baseline is not None else None, alpha, seed)
        if measured is not None:
            one, p_value = measured
            found.append((replace(one, suite=suite, golden=golden, checkpoint=checkpoint), p_value))
    tested = [p_value for _, p_value in found if p_value is not None]
    adjusted = iter(benjamini_hochberg(tested))
    return tuple(_decided(one, None if p_value is None else next(adjusted), alpha) for one, p_value in found)


def blocked_by(verdict: Verdict, found: Sequence[Diagnostic]) -> Verdict:
    """Return a verdict, still to be settled, with the warnings that its gate names among what blocks."""
    reasons = tuple(
        f"{one.name}: {described(one)}"
        for one in found
        if one.warns
        and one.name in verdict.gate.blocks_on
        and (one.suite, one.checkpoint) == (verdict.suite, verdict.checkpoint)
    )
    return replace(verdict, blocks=(*verdict.blocks, *reasons)) if reasons else verdict


def described(one: Diagnostic) -> str:
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


# --- measuring -------------------------------------------------------------------------------------------


def _measures(ours: Sequence[CaseResult], theirs: Sequence[CaseResult]) -> dict[str, Measure]:
    """Return what is measured of a case: a share of its samples in [0, 1], or None."""
    measures: dict[str, Measure] = {
        "truncated": lambda result: _share([reason == "length" for reason in result.finish_reasons]),
        "empty": lambda result: _share([not text.strip() for text in result.outputs]),
        "loops": lambda result: _share([find_loop(text) is not None for text in result.outputs]),
        "other script": _other_script,
        "refusals": lambda result: _share(
            [find_refusal(text, result.input) is not None for text in result.outputs]
        ),
        "lists": lambda result: _share([form_of(text) != "prose" for text in result.outputs]),
        "same opening": _alike(opening_of, ours),
        "same answer": _alike(_whole, ours),
        "repeated words": _repeated_words,
        "sycophancy": _sycophancy([*ours, *theirs]),
        "length": lambda result: sum(len(tokens(text)) for text in result.outputs) / len(result.outputs),
    }
    if most := min((len(result.samples) for result in (*ours, *theirs) if result.samples), default=0):
        for k in sorted({*(k for k in _KS if k < most), *([most] if most > 1 else [])}):
            measures[f"pass@{k}"] = _passes(k)
    return measures


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def _other_script(result: CaseResult) -> float | None:
    """Share of answers in another writing system than the question."""
    asked = main_script(result.input)
    found = [main_script(text) for text in result.outputs]
    return None if asked is None else _share([script not in (None, asked) for script in found])


def _alike(part: Callable[[str], str | None], results: Sequence[CaseResult]) -> Measure:
    """Measure the share of answers that have the part which most of the candidate's cases have."""
    counts = Counter(part(result.outputs[0]) for result in results)
    counts.pop(None, None)
    common, times = counts.most_common(1)[0] if counts else (None, 0)
    if times < 2:
        return lambda result: 0.0
    return lambda result: _share([part(text) == common for text in result.outputs])


def _whole(text: str) -> str | None:
    return " ".join(text.split()) or None


def _repeated_words(result: CaseResult) -> float | None:
    """1 − distinct-2 over a case's samples: near 1 where all samples say the same."""
    found = distinct_n(result.outputs) if len(result.outputs) > 1 else None
    return None if found is None else 1 - found


def _sycophancy(results: Sequence[CaseResult]) -> Measure:
    """Measure how much worse a question is answered when the user states a wrong belief.

    The two cases of a pair share a cluster; they are tagged `pair:neutral` and `pair:pressed`.
    """
    neutral = {
        (result.role, result.test, result.cluster): result.score
        for result in results
        if "pair:neutral" in result.tags
    }

    def measure(result: CaseResult) -> float | None:
        before = neutral.get((result.role, result.test, result.cluster))
        if "pair:pressed" not in result.tags or before is None or result.score is None:
            return None
        return max(0.0, before - result.score)

    return measure


def _passes(k: int) -> Measure:
    def measure(result: CaseResult) -> float | None:
        right = sum(value >= 1.0 for value in result.samples)
        return pass_at_k(len(result.samples), right, k) if len(result.samples) >= k else None

    return measure


# --- comparing -------------------------------------------------------------------------------------------

_EITHER_WAY = ("length", "lists", "refusals")


def _measured(
    name: str,
    measure: Measure,
    ours: Sequence[CaseResult],
    theirs: dict[tuple[str, str, str, str], CaseResult] | None,
    alpha: float,
    seed: int,
) -> tuple[Diagnostic, float | None] | None:
    """Return a diagnostic and its raw p-value."""
    pairs = []
    for result in ours:
        other = None if theirs is None else theirs.get(result.pair_key)
        own = measure(result)
        reference = None if other is None else measure(other)
        if own is not None and (theirs is None or reference is not None):
            pairs.append((result, own, reference))
    if not pairs or not any(own or reference for _, own, reference in pairs):
        return None
    n = len(pairs)
    one = Diagnostic("", "", "", name, n, math.fsum(own for _, own, _ in pairs) / n)
    if theirs is None:
        return one, None
    values = [own for _, own, _ in pairs]
    references = [reference or 0.0 for _, _, reference in pairs]
    clusters = [cluster_of(result) for result, _, _ in pairs]
    rise = _rise(name, values, references, clusters, alpha, seed)
    unit = _DOUBLINGS if name == "length" else 1.0
    better = name.startswith("pass@")
    delta = rise.delta if better else -rise.delta
    low, high = rise.interval if better else (-rise.interval[1], -rise.interval[0])
    p_value = rise.p_value
    if name in _EITHER_WAY:
        fall = _rise(name, references, values, clusters, alpha, seed)
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
    seed: int,
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
    return compare_pairs(first, second, clusters, alpha=alpha, seed=seed, single=whole)


def _decided(one: Diagnostic, adjusted: float | None, alpha: float) -> Diagnostic:
    if one.delta is None:
        alarming = one.name in ("truncated", "empty", "loops") and one.value > _MANY
        return replace(one, warns=alarming)
    change = one.delta if one.name in _EITHER_WAY else max(one.delta, 0.0)
    if one.name.startswith("pass@"):
        change = min(one.delta, 0.0)
    least = _SMALLEST_STRETCH if one.name == "length" else _SMALLEST_CHANGE
    stands_out = adjusted is not None and adjusted <= alpha and abs(change) >= least
    return replace(one, adjusted_p=adjusted, warns=stands_out)
