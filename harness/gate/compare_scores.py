"""The gate's verdict on two arrays of scores, for notebooks and for other people's CI."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError
from harness.gate.decide import settle, with_comparison
from harness.gate.measurements import CaseCounts
from harness.gate.policy import Gate
from harness.gate.verdict import Verdict
from harness.stats.adjusted import Sample
from harness.stats.exclusion import exclude_drop
from harness.stats.paired import SAME, compare_pairs, with_adjustment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RestOfSuite", "compare_scores"]


@dataclass(frozen=True)
class RestOfSuite:
    """What is known of the suite that the compared cases were drawn from at random.

    Covariates must have been fixed before the candidate ran: how earlier checkpoints did on a case, its
    stratum as 0 and 1, the length of its prompt. NaN stands for what is not known of a case. Nothing that
    the candidate did is allowed, such as the length of its answers.

    Attributes:
        baseline: The baseline's scores on the cases that the candidate was not asked, shape (M,).
        covariates: Of the compared cases, shape (n,) or (n, k).
        rest_covariates: Of the M others, shape (M,) or (M, k).
        clusters: Clusters of the M others, where the compared cases have clusters.
    """

    baseline: Any
    covariates: Any = None
    rest_covariates: Any = None
    clusters: Sequence[Hashable] | None = None


def compare_scores(
    candidate: Any,
    baseline: Any,
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float = 0.02,
    alpha: float = 0.05,
    policy: str = "no-significant-drop",
    rules_out: float | None = None,
    rest: RestOfSuite | None = None,
) -> Verdict:
    """Decide whether a candidate's scores got worse than a baseline's on the same cases.

    Args:
        candidate: Scores in [0, 1], shape (n,): a list, an array, a Series. True and False count as 1 and 0.
        baseline: Scores of the same cases in the same order, shape (n,).
        clusters: Cluster of each case, shape (n,), where cases are not independent.
        margin: A proven drop blocks where it is estimated to be larger, in [0, 1).
        alpha: Chance of a false block, in (0, 0.5).
        policy: `no-significant-drop` or `non-inferior`.
        rules_out: The drop that a PASS excludes, in (0, 1]; None takes 0.10, or a larger margin.
        rest: Where the cases are a random part of a suite, what is known of all of it. The verdict is then
            on the whole suite, and needs fewer cases (`Verdict.adjusted_delta`). Never give it for cases
            that were chosen in any other way.

    Returns:
        A verdict like those of a session; `improved_ids` and `worsened_ids` hold the positions as text.

    Raises:
        ConfigurationError: Scores are not finite numbers in [0, 1] (said with their position; nothing is
            dropped), the lengths differ, there are no scores, or an argument is out of range.
    """
    gate = Gate(policy=policy, margin=margin, alpha=alpha, rules_out=rules_out)
    ours, theirs = _scores(candidate, "candidate"), _scores(baseline, "baseline")
    if len(ours) != len(theirs):
        raise ConfigurationError(
            f"candidate has {len(ours)} scores and baseline {len(theirs)}: give both sides of every case"
        )
    groups = None if clusters is None else _clusters(clusters, len(ours), "clusters")
    comparison = compare_pairs(ours, theirs, groups, alpha=alpha)
    if rest is not None:
        comparison = with_adjustment(comparison, _sample(ours, theirs, groups, rest), alpha=alpha)
    differences = (ours - theirs).tolist()
    verdict = Verdict(
        suite="",
        golden="",
        checkpoint="candidate",
        baseline="baseline",
        gate=gate,
        counts=CaseCounts(planned=len(ours)),
        improved_ids=tuple(str(i) for i, difference in enumerate(differences) if difference > SAME),
        worsened_ids=tuple(str(i) for i, difference in enumerate(differences) if difference < -SAME),
    )
    alone = replace(with_comparison(verdict, comparison), adjusted_p=comparison.p_value)
    drop = gate.excluded_drop_on(comparison.baseline_mean)
    if rest is None and drop > 0.0:
        alone = replace(alone, exclusion=exclude_drop(ours, theirs, groups, drop=drop, level=alpha))
    return settle(alone)


def _sample(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    clusters: list[Hashable] | None,
    rest: RestOfSuite,
) -> Sample:
    import numpy as np

    others = _scores(rest.baseline, "rest.baseline")
    if (clusters is None) != (rest.clusters is None):
        raise ConfigurationError("give the clusters of the compared cases and of the rest, or of neither")
    unasked_clusters = [] if rest.clusters is None else _clusters(rest.clusters, len(others), "rest.clusters")
    known = _covariates(rest.covariates, len(ours), "rest.covariates")
    unasked = _covariates(rest.rest_covariates, len(others), "rest.rest_covariates")
    if known.shape[1] != unasked.shape[1]:
        raise ConfigurationError(
            f"rest.covariates has {known.shape[1]} columns and rest.rest_covariates {unasked.shape[1]}: "
            "give the same of every case"
        )
    return Sample(
        candidate=ours,
        baseline=np.concatenate([theirs, others]),
        covariates=np.concatenate([known, unasked]),
        clusters=None if clusters is None else [*clusters, *unasked_clusters],
    )


def _clusters(values: Sequence[Any], cases: int, name: str) -> list[Hashable]:
    found = list(values)
    if len(found) != cases:
        raise ConfigurationError(f"{name} has {len(found)} entries for {cases} scores: give one each")
    for position, cluster in enumerate(found):
        if not isinstance(cluster, Hashable) or _is_missing(cluster):
            raise ConfigurationError(f"{name}[{position}] is {cluster!r}: name the cluster of every case")
    return found


def _is_missing(value: Hashable) -> bool:
    try:
        return value is None or bool(value != value)  # NaN of any type, NaT
    except TypeError:
        return True  # pandas' NA says neither


def _covariates(values: Any, cases: int, name: str) -> NDArray[np.float64]:
    import numpy as np

    if values is None:
        return np.empty((cases, 0))
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{name} must hold numbers, NaN where nothing is known") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or len(array) != cases:
        raise ConfigurationError(f"{name} must have the shape ({cases},) or ({cases}, k), not {array.shape}")
    if np.isinf(array).any():
        raise ConfigurationError(f"{name} holds an infinite number: give NaN where nothing is known")
    return array


def _scores(values: Any, side: str) -> NDArray[np.float64]:
    import numpy as np

    try:
        if isinstance(values, np.ma.MaskedArray):  # what is masked is not known, whatever lies beneath
            values = np.ma.filled(values.astype(np.float64), np.nan)
        array = np.asarray(values)
        if array.dtype.kind not in "biuf" and array.size:
            array = np.array([float(value) for value in array.tolist()])
        scores = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{side} must hold one number per case") from None
    if scores.ndim != 1:
        raise ConfigurationError(f"{side} must have the shape (n,), not {scores.shape}: one score per case")
    if not len(scores):
        raise ConfigurationError(f"{side} is empty: there is nothing to compare")
    wrong = np.flatnonzero(~(np.isfinite(scores) & (scores >= 0.0) & (scores <= 1.0)))
    if len(wrong):
        position = int(wrong[0])
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ConfigurationError(
            f"{side}[{position}] is {scores[position]!s}{more}: scores must be finite numbers in [0, 1]"
        )
    return scores
