"""Join a candidate's results to the baseline's, and account for every case that does not join."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from harness.case_result import CaseResult
from harness.cases import Outcome
from harness.errors import IntegrityError, ScoringError
from harness.stats.repeats import reduce_samples

__all__ = [
    "Key",
    "Pair",
    "Pairing",
    "case_label",
    "cluster_of",
    "is_right_or_wrong",
    "naming",
    "pair_results",
    "reduced",
]

Key = tuple[str, str, str, str]
"""Suite, golden set and version, test, case id."""


@dataclass(frozen=True)
class Pair:
    """The same case, decided on both sides."""

    candidate: CaseResult
    baseline: CaseResult

    @property
    def scores(self) -> tuple[float, float]:
        """(candidate, baseline), each in [0, 1]."""
        first, second = self.candidate.score, self.baseline.score
        assert first is not None
        assert second is not None
        return first, second

    @property
    def difference(self) -> float:
        """Candidate minus baseline, in [−1, 1]."""
        first, second = self.scores
        return first - second


@dataclass(frozen=True)
class Pairing:
    """Every result of one suite × checkpoint, by what it can be used for.

    Attributes:
        pairs: Decided on both sides and comparable, sorted by key.
        candidate: All results of the candidate, sorted by key.
        errors: Candidate results that ended in *error*.
        skipped: Candidate results that were skipped.
        baseline_undecided: Baseline results in error or skipped, of cases that the candidate decided.
        changed: Cases whose content differs between the two sides.
        reconfigured: Cases that were sampled differently on the two sides.
        unmatched: Candidate results without a counterpart.
        absent: Baseline results without a counterpart.
    """

    pairs: tuple[Pair, ...]
    candidate: tuple[CaseResult, ...]
    errors: tuple[CaseResult, ...] = ()
    skipped: tuple[CaseResult, ...] = ()
    baseline_undecided: tuple[CaseResult, ...] = ()
    changed: tuple[CaseResult, ...] = ()
    reconfigured: tuple[CaseResult, ...] = ()
    unmatched: tuple[CaseResult, ...] = ()
    absent: tuple[CaseResult, ...] = ()
    decided: tuple[CaseResult, ...] = field(default=())


def pair_results(
    candidate: Sequence[CaseResult], baseline: Sequence[CaseResult] | None, *, reduce: str = "mean"
) -> Pairing:
    """Join two sides on suite, golden set and version, test and case id.

    Args:
        candidate: Results of the candidate in one suite.
        baseline: Results of the baseline; None without one.
        reduce: How the samples of a case make the score of what is paired or decided.

    Raises:
        IntegrityError: A case is reported twice on one side.
        ScoringError: A score is not a finite number in [0, 1].
    """
    ours = _by_key(candidate, "candidate")
    results = tuple(ours[key] for key in sorted(ours))
    errors = tuple(r for r in results if r.skipped is None and r.score is None)
    skipped = tuple(r for r in results if r.skipped is not None)
    decided = tuple(reduced(r, reduce) for r in results if r.score is not None)
    if baseline is None:
        return Pairing(pairs=(), candidate=results, errors=errors, skipped=skipped, decided=decided)
    theirs = _by_key(baseline, "baseline")
    pairs: list[Pair] = []
    undecided: list[CaseResult] = []
    changed: list[CaseResult] = []
    reconfigured: list[CaseResult] = []
    unmatched: list[CaseResult] = []
    for result in results:
        other = theirs.get(result.pair_key)
        if other is None:
            unmatched.append(result)
        elif result.content_hash != other.content_hash:
            changed.append(result)
        elif result.config_hash != other.config_hash:
            reconfigured.append(result)
        elif result.score is None:
            continue
        elif other.score is None:
            undecided.append(other)
        elif len(result.samples) != len(other.samples):
            reconfigured.append(result)
        else:
            pairs.append(Pair(reduced(result, reduce), reduced(other, reduce)))
    return Pairing(
        pairs=tuple(pairs),
        candidate=results,
        errors=errors,
        skipped=skipped,
        baseline_undecided=tuple(undecided),
        changed=tuple(changed),
        reconfigured=tuple(reconfigured),
        unmatched=tuple(unmatched),
        absent=tuple(theirs[key] for key in sorted(theirs) if key not in ours),
        decided=decided,
    )


def reduced(result: CaseResult, reduction: str) -> CaseResult:
    """Return a result whose score is what the gate looks at; the mean of its samples is that already."""
    if reduction == "mean" or result.score is None:
        return result
    return replace(result, samples=(reduce_samples(result.samples, reduction),))


def cluster_of(result: CaseResult) -> Hashable:
    """Return what makes results dependent: the case's cluster, else the case (two tests may share it)."""
    return ("case", result.case_id) if result.cluster is None else ("cluster", result.cluster)


def is_right_or_wrong(results: Iterable[CaseResult]) -> bool:
    """Whether each score is one sample's, so that 0 and 1 are single answers."""
    return all(len(result.samples) == 1 for result in results)


def case_label(result: CaseResult, *, tests: bool) -> str:
    """Return the case id, after the test's name where a suite has several tests."""
    return f"{result.test}:{result.case_id}" if tests else result.case_id


def naming(results: Sequence[CaseResult], limit: int = 5) -> str:
    """Return the ids of a few results, for a sentence."""
    ids = list(dict.fromkeys(result.case_id for result in results))
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more


def _by_key(results: Sequence[CaseResult], side: str) -> dict[Key, CaseResult]:
    found: dict[Key, CaseResult] = {}
    for result in results:
        if result.pair_key in found:
            raise IntegrityError(
                f"{result.golden}: case {result.case_id!r} of test {result.test!r} was reported twice "
                f"by the {side} {result.checkpoint!r}: a case counts once, use --epochs for more samples"
            )
        if result.outcome is not Outcome.ERROR:
            for value in result.samples:
                if not (math.isfinite(value) and 0.0 <= value <= 1.0):
                    raise ScoringError(
                        f"{result.golden}: case {result.case_id!r} has the score {value!r}: "
                        "expected a finite number in [0, 1]"
                    )
        found[result.pair_key] = result
    return found
