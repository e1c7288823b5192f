"""The cases whose score changed: what a reader looks at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.case_result import CaseResult, Role
from harness.gate.verdict import Verdict
from harness.runs.record import RunRecord
from harness.stats.paired import SAME

__all__ = ["Flip", "flips"]


@dataclass(frozen=True)
class Flip:
    """One case that the two sides scored differently."""

    candidate: CaseResult
    baseline: CaseResult
    difference: float

    @property
    def worsened(self) -> bool:
        """Whether the candidate scored lower."""
        return self.difference < 0


def flips(record: RunRecord, verdict: Verdict) -> Sequence[Flip]:
    """Return the flips behind a verdict: worsened first, the largest first, then by case id."""
    theirs = {result.pair_key: result for result in record.results(verdict, Role.BASELINE)}
    found = []
    for result in record.results(verdict):
        other = theirs.get(result.pair_key)
        if other is None or result.score is None or other.score is None:
            continue
        if result.content_hash != other.content_hash or result.config_hash != other.config_hash:
            continue
        difference = result.score - other.score
        if abs(difference) > SAME:
            found.append(Flip(result, other, difference))
    return sorted(
        found, key=lambda flip: (flip.difference > 0, -abs(flip.difference), flip.candidate.pair_key)
    )
