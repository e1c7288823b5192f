"""The same comparison within each tag: where a change comes from. Slices warn; named ones block."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.gate.evidence import Evidence
from harness.gate.pairing import cluster_of, is_right_or_wrong
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


def slices(evidence: Evidence) -> tuple[SliceResult, ...]:
    """Compare the two sides within each tag, sorted by tag; empty where there is none, or no baseline.

    The expected share of false warnings among the warnings of one suite × checkpoint is the gate's alpha.

    Raises:
        IntegrityError: A case is reported twice on one side.
        ScoringError: A score is not a finite number in [0, 1].
    """
    if evidence.baseline_problem is not None or not any(result.tags for result in evidence.candidate):
        return ()
    import numpy as np

    gate, pairs = evidence.gate, evidence.pairing.pairs
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
                alpha=gate.alpha,
                single=bool(single[rows[tag]].all()),
            ),
        )
        for tag in sorted(rows)
    ]
    adjusted = benjamini_hochberg([comparison.p_value for _, comparison in compared])
    return tuple(
        SliceResult(
            suite=evidence.suite,
            golden=evidence.golden,
            checkpoint=evidence.checkpoint,
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
            warns=p <= gate.alpha and comparison.delta < -gate.margin,
        )
        for (tag, comparison), p in zip(compared, adjusted, strict=True)
    )


def with_named_slices(verdict: Verdict, evidence: Evidence) -> Verdict:
    """Return the verdict, still to be settled, with what the slices that its gate names say.

    A slice blocks where it warns, its drop standing out among all slices of the suite, and where its p-value
    holds after Holm's adjustment over the slices that the gate names: slices that truly fell make it easier
    to warn, and must not make it easier to block. One without a case that was compared is doubted: what
    should have been looked at was not.
    """
    gate = verdict.gate
    if not gate.slices or evidence.baseline is None:
        return verdict
    compared = {slice_result.tag: slice_result for slice_result in slices(evidence)}
    named = [compared[tag] for tag in dict.fromkeys(gate.slices) if tag in compared]
    blocks, notes = [], []
    for one, p_value in zip(named, holm([one.p_value for one in named]), strict=True):
        if one.warns and p_value <= gate.alpha:
            blocks.append(
                f"slice {one.tag} fell by more than the margin: {points(one.delta)} points, "
                f"p = {max(p_value, one.adjusted_p):.2g} among {len(compared)} slices, n = {one.n}"
            )
        elif one.warns:
            notes.append(
                f"slice {one.tag} warns and does not block: p = {p_value:.2g} among the {len(named)} slices "
                "that the gate names"
            )
    doubts = tuple(f"no case of slice {tag} was compared" for tag in gate.slices if tag not in compared)
    return replace(
        verdict,
        blocks=(*verdict.blocks, *blocks),
        doubts=(*verdict.doubts, *doubts),
        notes=(*verdict.notes, *notes),
    )
