"""How well a checkpoint classifies: accuracy, precision, recall and F1 where cases carry labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.case_result import CaseResult
from harness.gate.pairing import cluster_of
from harness.stats.classification import MEASURES, Rate, rate_intervals

__all__ = ["ClassRates", "Classification", "classify"]

_WHOLE = ("accuracy", *(f"{mean}_{name}" for mean in ("macro", "micro") for name in MEASURES))


@dataclass(frozen=True)
class ClassRates:
    """One class: how many answers should give it and how many do, and its rates."""

    label: str
    support: int
    given: int
    precision: Rate
    recall: Rate
    f1: Rate


@dataclass(frozen=True)
class Classification:
    """The labels that a checkpoint gave in one suite.

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version.
        checkpoint: Whose answers they are.
        role: candidate or baseline.
        n: Answers, over all samples.
        invalid: Those that give no label of the set, or two; they count as wrong.
        undecided: Cases that ended in error or were skipped; they count nowhere.
        labels: The classes that are there or given, in the order of the table.
        table: Answers by gold label (row) and given label (column); the last column counts the invalid ones.
        rates: accuracy, and macro and micro precision, recall and f1 by names such as `macro_f1`.
        classes: The rates of each class.
    """

    suite: str
    golden: str
    checkpoint: str
    role: str
    n: int
    invalid: int
    undecided: int
    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    rates: dict[str, Rate]
    classes: tuple[ClassRates, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "suite": self.suite,
            "golden": self.golden,
            "checkpoint": self.checkpoint,
            "role": self.role,
            "n": self.n,
            "invalid": self.invalid,
            "undecided": self.undecided,
            "labels": list(self.labels),
            "table": [list(row) for row in self.table],
            "rates": {name: _plain(rate) for name, rate in self.rates.items()},
            "classes": [
                {"label": one.label, "support": one.support, "given": one.given}
                | {name: _plain(getattr(one, name)) for name in MEASURES}
                for one in self.classes
            ],
        }


def classify(results: Sequence[CaseResult], *, alpha: float = 0.05, seed: int = 0) -> Classification | None:
    """Return the classification of one checkpoint's results in one suite; None where no case has a label.

    Args:
        results: All results of one checkpoint in one suite.
        alpha: Share of the intervals that miss.
        seed: Of the resampling.
    """
    import numpy as np

    labelled = [result for result in results if result.label is not None]
    decided = [result for result in labelled if result.score is not None]
    if not decided:
        return None
    seen = {str(result.label) for result in decided}
    seen |= {given for result in decided for given in result.labels if given is not None}
    labels = tuple(sorted(seen))
    index = {label: place for place, label in enumerate(labels)}
    clusters: dict[Any, int] = {}
    groups = [clusters.setdefault(cluster_of(result), len(clusters)) for result in decided]
    tables = np.zeros((len(clusters), len(labels), len(labels) + 1))
    for group, result in zip(groups, decided, strict=True):
        for given in result.labels:
            tables[group, index[str(result.label)], len(labels) if given is None else index[given]] += 1
    total = tables.sum(axis=0).astype(int)
    whole, each = rate_intervals(tables, alpha=alpha, seed=seed)
    first = decided[0]
    return Classification(
        suite=first.suite,
        golden=first.golden,
        checkpoint=first.checkpoint,
        role=first.role.value,
        n=int(total.sum()),
        invalid=int(total[:, -1].sum()),
        undecided=len(labelled) - len(decided),
        labels=labels,
        table=tuple(tuple(int(count) for count in row) for row in total),
        rates=dict(zip(_WHOLE, whole, strict=True)),
        classes=tuple(
            ClassRates(label, int(total[k].sum()), int(total[:, k].sum()), *(row[k] for row in each))
            for k, label in enumerate(labels)
        ),
    )


def _plain(rate: Rate) -> dict[str, Any]:
    return {"value": rate.value, "interval": None if rate.interval is None else list(rate.interval)}
