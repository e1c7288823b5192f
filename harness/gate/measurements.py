"""What is measured of one suite × checkpoint beside the paired comparison."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CaseCounts", "EarlySettlement", "Floor", "MeanScore", "SampleNoise"]


@dataclass(frozen=True)
class CaseCounts:
    """How the cases of a candidate ended, and how many are not there at all.

    Attributes:
        planned: Cases that should have been decided.
        errors: Cases that ended in *error*.
        invalid: Cases whose answer could not be scored: empty, cut off, not parseable.
        skipped: Cases that were skipped.
        missing: Cases that have no counterpart or were planned and not reported.
    """

    planned: int = 0
    errors: int = 0
    invalid: int = 0
    skipped: int = 0
    missing: int = 0


@dataclass(frozen=True)
class MeanScore:
    """A candidate's mean score where it was compared with nothing.

    Attributes:
        n: Decided cases.
        groups: Independent clusters among them.
        mean: Their mean score in [0, 1].
        standard_error: Of the mean, by clusters; None with fewer than two.
    """

    n: int
    groups: int
    mean: float
    standard_error: float | None


@dataclass(frozen=True)
class Floor:
    """What is known of a mean score that must not lie below `min_score`.

    Attributes:
        interval: Bounds of the candidate's mean, each one-sided at alpha.
        cases_needed: How many cases would settle whether it lies below; None where that is settled.
    """

    interval: tuple[float, float]
    cases_needed: int | None = None


@dataclass(frozen=True)
class SampleNoise:
    """How much of the noise comes from drawing answers (`--epochs`).

    Attributes:
        samples: Per case and side.
        share_within: Share of the differences' variance that comes from drawing answers, in [0, 1].
        epochs_worth: By what factor the cases would have to grow to do as much as twice the samples.
    """

    samples: int = 1
    share_within: float | None = None
    epochs_worth: float | None = None


@dataclass(frozen=True)
class EarlySettlement:
    """Why a suite was settled before its end (`--early-stop`), and what was not run because of it.

    Attributes:
        rule: By what rule it was settled.
        not_needed: Selected cases that were not run.
        not_needed_ids: Their ids, in the order in which they would have been drawn.
    """

    rule: str
    not_needed: int
    not_needed_ids: tuple[str, ...] = ()
