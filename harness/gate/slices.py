"""The same comparison within each tag: where a change comes from. Slices warn; named ones block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.case_result import CaseResult
from harness.gate.pairing import cluster_of, is_right_or_wrong, pair_results
from harness.gate.verdict import Verdict, points
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.paired import compare_pairs

__all__ = ["SliceResult", "slices", "with_named_slices"]


@dataclass(frozen=True)
class SliceResult:
    """What the pairs with one tag say.

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: The candidate.
        tag: The tag that the cases share.
        n: Pairs.
        mean: Mean score of the candidate.
        baseline_mean: Mean score of the baseline.
        delta: Mean difference.
        interval: Two-sided at 1 − alpha.
        p_value: One-sided, for a drop.
        adjusted_p: After Benjamini–Hochberg over the slices of this suite × checkpoint.
        improved: Pairs whose score rose.
        worsened: Pairs whose score fell.
        warns: Whether the drop stands out: adjusted p ≤ alpha and delta below −margin.
    """

    suite: str
    golden: str
    checkpoint: str
    tag: str
    n: int
    mean: float
    baseline_mean: float
    delta: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p: float
    improved: int
    worsened: int
    warns: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self) | {"interval": list(self.interval)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SliceResult:
        """Read what `as_dict` wrote."""
        return cls(**(data | {"interval": tuple(data["interval"])}))


def slices(
    candidate: Sequence[CaseResult],
    baseline: Sequence[CaseResult] | None,
    *,
    suite: str,
    golden: str,
    checkpoint: str,
    margin: float = 0.02,
    alpha: float = 0.05,
    seed: int = 0,
    reduce: str = "mean",
) -> tuple[SliceResult, ...]:
    """Compare the two sides within each tag, sorted by tag; empty without a baseline or tags.

    Args:
        candidate: Results of the candidate in this suite.
        baseline: Results of the baseline; those of other suites are left out.
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: Display name of the candidate.
        margin: The gate's margin.
        alpha: Expected share of false warnings among the warnings of this suite × checkpoint.
        seed: Of the permutation tests' draws.
        reduce: The gate's: how the samples of a case make its score.

    Raises:
        IntegrityError: A case is reported twice on one side.
        ScoringError: A score is not a finite number in [0, 1].
    """
    if not any(result.tags for result in candidate):
        return ()
    import numpy as np

    same_suite = None if baseline is None else [result for result in baseline if result.suite == suite]
    pairs = pair_results(candidate, same_suite, reduce=reduce).pairs
    rows: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        for tag in pair.candidate.tags:
            rows.setdefault(tag, []).append(row)
    scores = np.array([pair.scores for pair in pairs]).reshape(-1, 2)
    clusters = [cluster_of(pair.candidate) for pair in pairs]
    single = np.array([is_right_or_wrong((pair.candidate, pair.baseline)) for pair in pairs])
    compared = [
        (
            tag,
            compare_pairs(
                scores[rows[tag], 0],
                scores[rows[tag], 1],
                [clusters[row] for row in rows[tag]],
                alpha=alpha,
                seed=seed,
                single=bool(single[rows[tag]].all()),
            ),
        )
        for tag in sorted(rows)
    ]
    adjusted = benjamini_hochberg([comparison.p_value for _, comparison in compared])
    return tuple(
        SliceResult(
            suite=suite,
            golden=golden,
            checkpoint=checkpoint,
            tag=tag,
            n=comparison.n,
            mean=comparison.mean,
            baseline_mean=comparison.baseline_mean,
            delta=comparison.delta,
            interval=comparison.interval,
            p_value=comparison.p_value,
            adjusted_p=p,
            improved=comparison.improved,
            worsened=comparison.worsened,
            warns=p <= alpha and comparison.delta < -margin,
        )
        for (tag, comparison), p in zip(compared, adjusted, strict=True)
    )


def with_named_slices(
    verdict: Verdict, candidate: Sequence[CaseResult], baseline: Sequence[CaseResult] | None, *, seed: int = 0
) -> Verdict:
    """Return the verdict, still to be settled, with what the slices that its gate names say.

    A slice blocks where it warns, its drop standing out among all slices of the suite, and where its p-value
    holds after Holm's adjustment over the slices that the gate names: slices that truly fell make it easier
    to warn, and must not make it easier to block. One without a case that was compared is doubted: what
    should have been looked at was not.
    """
    gate = verdict.gate
    if not gate.slices or baseline is None:
        return verdict
    found = {
        one.tag: one
        for one in slices(
            candidate,
            baseline,
            suite=verdict.suite,
            golden=verdict.golden,
            checkpoint=verdict.checkpoint,
            margin=gate.margin,
            alpha=gate.alpha,
            seed=seed,
            reduce=gate.reduce,
        )
    }
    named = [found[tag] for tag in dict.fromkeys(gate.slices) if tag in found]
    blocks, notes = [], []
    for one, p_value in zip(named, holm([one.p_value for one in named]), strict=True):
        if one.warns and p_value <= gate.alpha:
            blocks.append(
                f"slice {one.tag} fell by more than the margin: {points(one.delta)} points, "
                f"p = {max(p_value, one.adjusted_p):.2g} among {len(found)} slices, n = {one.n}"
            )
        elif one.warns:
            notes.append(
                f"slice {one.tag} warns and does not block: p = {p_value:.2g} among the {len(named)} slices "
                "that the gate names"
            )
    doubts = tuple(f"no case of slice {tag} was compared" for tag in gate.slices if tag not in found)
    return replace(
        verdict,
        blocks=(*verdict.blocks, *blocks),
        doubts=(*verdict.doubts, *doubts),
        notes=(*verdict.notes, *notes),
    )
