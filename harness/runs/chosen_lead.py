"""How far the chosen checkpoint lies from the baseline, corrected for having been chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.gate.pairing import cluster_of
from harness.gate.verdict import percent, points
from harness.runs.selection import Contender, Selection, case_identity
from harness.runs.selection_rule import Objective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.stats.chosen import Choice

__all__ = ["ChosenLead", "chosen_lead"]

_SAME = 1e-12


@dataclass(frozen=True)
class ChosenLead:
    """What the choice's lead over the baseline is worth, in the weighted mean score of the objectives.

    Attributes:
        choice: As seen and corrected; None where the two sides cannot be compared.
        alpha: Chance that the interval misses.
        about: One sentence: the lead, or why there is none.
    """

    choice: Choice | None
    alpha: float
    about: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        worth: dict[str, Any] = {} if self.choice is None else dataclasses.asdict(self.choice)
        worth.pop("chosen", None)
        return {"alpha": self.alpha, "about": self.about, **worth}


def chosen_lead(selection: Selection, contenders: Sequence[Contender]) -> ChosenLead | None:
    """Correct the choice's difference from the baseline for the choice; None where nothing was chosen.

    Every contender that answered the choice's cases counts as one that could have been chosen, those that are
    refused too: their scores were looked at.

    Args:
        selection: The choice.
        contenders: Everything that it was made from.
    """
    import numpy as np

    from harness.stats.chosen import choose

    best, rule = selection.best, selection.rule
    if best is None:
        return None
    weights = _weights(best, rule.objectives)
    clusters: dict[Hashable, int] = {}
    places: list[int] = []
    for objective in rule.objectives:
        for result in best.cases[objective.suite]:
            # A cluster is one fate within a suite: suites ask different things.
            key = (objective.suite, cluster_of(result))
            places.append(clusters.setdefault(key, len(clusters)))
    rows: list[NDArray[np.float64]] = []
    chosen = 0
    for contender in contenders:
        differences = _differences(contender, best, rule.objectives)
        if differences is None:
            continue
        if contender is best:
            chosen = len(rows)
        rows.append(np.bincount(places, weights * differences, minlength=len(clusters)).astype(np.float64))
    if _differences(best, best, rule.objectives) is None:
        about = f"{best.name}: no lead over a baseline: it has no decided answer to some of the same cases"
        return ChosenLead(None, rule.alpha, about)
    sizes = np.bincount(places, weights, minlength=len(clusters)).astype(np.float64)
    choice = choose(np.array(rows), sizes, alpha=rule.alpha, chosen=chosen)
    return ChosenLead(choice, rule.alpha, _about(best, choice, rule.alpha))


def _about(best: Contender, choice: Choice, alpha: float) -> str:
    baselines = dict.fromkeys(baseline.name for baseline in best.baselines.values())
    low, high = (points(bound) for bound in choice.interval)
    interval = f"[{low}, {high}] at {percent(1.0 - alpha)}"
    against = f"{best.name} against {', '.join(baselines)}: {points(choice.difference)} points as seen"
    if choice.candidates == 1:
        return f"{against}, {interval}"
    corrected = f"{points(choice.corrected)} {interval} corrected for choosing among {choice.candidates}"
    return f"{against}, {corrected}"


def _weights(best: Contender, objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Return what each case weighs, the mean being 1, so that suites weigh what the rule says."""
    import numpy as np

    counts = [len(best.cases[objective.suite]) for objective in objectives]
    total = sum(objective.weight for objective in objectives)
    shares = [sum(counts) * objective.weight / total for objective in objectives]
    return np.concatenate(
        [np.full(count, share / count) for share, count in zip(shares, counts, strict=True)]
    )


def _differences(
    contender: Contender, best: Contender, objectives: Sequence[Objective]
) -> NDArray[np.float64] | None:
    """Return candidate minus baseline of the choice's cases, in order; None where one is not decided."""
    import numpy as np

    differences = []
    for objective in objectives:
        ours = {case_identity(result): result.score for result in contender.cases.get(objective.suite, ())}
        theirs = {
            case_identity(result): result.score
            for result in contender.baseline_cases.get(objective.suite, ())
        }
        for result in best.cases[objective.suite]:
            score, other = ours.get(case_identity(result)), theirs.get(case_identity(result))
            if score is None or other is None:
                return None
            differences.append(score - other if abs(score - other) > _SAME else 0.0)
    return np.array(differences)
