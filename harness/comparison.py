"""The gate's verdict on two arrays of scores, for notebooks and for other people's CI."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError
from harness.gate import adjust_family, with_comparison
from harness.policy import Gate
from harness.stats.paired import SAME, compare_pairs
from harness.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["compare_scores"]


def compare_scores(
    candidate: Any,
    baseline: Any,
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float = 0.02,
    alpha: float = 0.05,
    policy: str = "no-significant-drop",
    seed: int = 0,
) -> Verdict:
    """Decide whether a candidate's scores got worse than a baseline's on the same cases.

    Args:
        candidate: Scores in [0, 1], shape (n,): a list, an array, a Series. True and False count as 1 and 0.
        baseline: Scores of the same cases in the same order, shape (n,).
        clusters: Cluster of each case, shape (n,), where cases are not independent.
        margin: The drop that is acceptable, in [0, 1).
        alpha: Chance of a false block, in (0, 0.5).
        policy: `no-significant-drop` or `non-inferior`.
        seed: Of the permutation test's draws, for graded or clustered scores.

    Returns:
        A verdict like those of a session; `improved_ids` and `worsened_ids` hold the positions as text.

    Raises:
        ConfigurationError: Scores are not finite numbers in [0, 1] (said with their position; nothing is
            dropped), the lengths differ, there are no scores, or an argument is out of range.
    """
    gate = Gate(policy=policy, margin=margin, alpha=alpha)
    ours, theirs = _scores(candidate, "candidate"), _scores(baseline, "baseline")
    if len(ours) != len(theirs):
        raise ConfigurationError(
            f"candidate has {len(ours)} scores and baseline {len(theirs)}: give both sides of every case"
        )
    groups = None if clusters is None else list(clusters)
    if groups is not None and len(groups) != len(ours):
        raise ConfigurationError(f"clusters has {len(groups)} entries for {len(ours)} scores: give one each")
    if groups is not None:
        for position, cluster in enumerate(groups):
            if cluster is None or (isinstance(cluster, float) and math.isnan(cluster)):
                raise ConfigurationError(
                    f"clusters[{position}] is {cluster!r}: name the cluster of every case"
                )
    comparison = compare_pairs(ours, theirs, groups, alpha=alpha, seed=seed)
    differences = (ours - theirs).tolist()
    verdict = Verdict(
        suite="",
        golden="",
        checkpoint="candidate",
        baseline="baseline",
        gate=gate,
        planned=len(ours),
        improved_ids=tuple(str(i) for i, difference in enumerate(differences) if difference > SAME),
        worsened_ids=tuple(str(i) for i, difference in enumerate(differences) if difference < -SAME),
    )
    return adjust_family([with_comparison(verdict, comparison)])[0]


def _scores(values: Any, side: str) -> NDArray[np.float64]:
    import numpy as np

    try:
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
