"""What is known of one suite × candidate: everything that a verdict is decided from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from harness.case_result import CaseResult
from harness.errors import HarnessError
from harness.gate.pairing import Pairing, pair_results
from harness.gate.policy import Gate

__all__ = ["Evidence"]


@dataclass(frozen=True)
class Evidence:
    """The results of both sides of one suite, the policy over them, and what is missing.

    Attributes:
        suite: Name of the suite.
        golden: Golden set and version, such as `refunds/v1`.
        checkpoint: Spec of the candidate, as its results carry it.
        gate: The suite's policy.
        candidate: Every result of the candidate in this suite.
        baseline: Every result of the baseline in this suite; None without a baseline.
        baseline_name: Spec of the baseline, or the name of the stored run.
        planned: How many results the candidate should have; what is not there counts as missing. None
            takes the results that are there for all.
        partial: Whether cases were deselected on purpose.
        same_weights: Whether candidate and baseline are one and the same, and that was not asked for.
        baseline_problem: Why the baseline cannot be trusted or found, in one sentence.

    Raises:
        HarnessError: A result of the candidate is of another suite.
    """

    suite: str
    golden: str
    checkpoint: str
    gate: Gate
    candidate: Sequence[CaseResult]
    baseline: Sequence[CaseResult] | None = None
    baseline_name: str | None = None
    planned: int | None = None
    partial: bool = False
    baseline_problem: str | None = None
    same_weights: bool = False

    def __post_init__(self) -> None:
        for result in self.candidate:
            if result.suite != self.suite:
                raise HarnessError(
                    f"a result of suite {result.suite!r} was given to the gate of {self.suite!r}"
                )
        if self.baseline is not None:  # a stored run holds other suites too
            same_suite = tuple(result for result in self.baseline if result.suite == self.suite)
            object.__setattr__(self, "baseline", same_suite)

    @functools.cached_property
    def pairing(self) -> Pairing:
        """The two sides joined case by case, under the policy's reduction of samples.

        Raises:
            IntegrityError: A case is reported twice on one side.
            ScoringError: A score is not a finite number in [0, 1].
        """
        return pair_results(self.candidate, self.baseline, reduce=self.gate.reduce)
