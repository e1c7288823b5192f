"""What should have been compared and was not: doubts about a verdict, and what a gate tolerates."""

from __future__ import annotations

import dataclasses

from harness.cases import Outcome
from harness.gate.evidence import Evidence
from harness.gate.pairing import Pairing, naming
from harness.gate.verdict import Verdict, percent

__all__ = ["SCORABLE", "with_comparability", "with_coverage"]

SCORABLE = 0.5
"""Share of each side's answers that must be readable for their mean to say something."""


def with_comparability(verdict: Verdict, evidence: Evidence) -> Verdict:
    """Doubt where the baseline is missing, untrusted, or answered something else."""
    pairing, baseline, problem = evidence.pairing, evidence.baseline, evidence.baseline_problem
    doubts = list(verdict.doubts)
    if problem is not None:
        doubts.append(problem)
    if baseline is None:
        if problem is None:
            doubts.append("no baseline to compare with: name one with --baseline, or accept a run as one")
        return dataclasses.replace(verdict, doubts=tuple(doubts))
    versions = sorted({result.golden for result in baseline} - {verdict.golden})
    if versions:
        doubts.append(f"the baseline answered {', '.join(versions)}, this run {verdict.golden}: run it again")
    if pairing.changed:
        doubts.append(f"not comparable, the case itself differs on the two sides: {naming(pairing.changed)}")
    if pairing.reconfigured:
        doubts.append(
            "not comparable, sampling or samples per case differ on the two sides: "
            f"{naming(pairing.reconfigured)}"
        )
    if not pairing.pairs:
        doubts.append("no case was decided on both sides: there is nothing to compare")
    doubts += _too_few_scorable(pairing)
    return dataclasses.replace(verdict, doubts=tuple(doubts))


def _too_few_scorable(pairing: Pairing) -> list[str]:
    """Doubt a side most of whose answers could not be scored: their zeros say nothing of the checkpoint."""
    doubts = []
    for side, results in (
        ("candidate", [pair.candidate for pair in pairing.pairs]),
        ("baseline", [pair.baseline for pair in pairing.pairs]),
    ):
        invalid = [result for result in results if result.outcome is Outcome.INVALID]
        if len(invalid) > (1.0 - SCORABLE) * len(results):
            doubts.append(
                f"{len(invalid)} of {len(results)} answers of the {side} could not be scored: "
                f"{naming(invalid)}"
            )
    return doubts


def with_coverage(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Account for every planned case that was not decided; doubt where they are too many."""
    paired = verdict.gate.needs_baseline
    known = [r for r in pairing.absent if r.golden == verdict.golden]
    absent = known if paired and not verdict.partial else []
    unreported = verdict.planned - len(pairing.candidate)
    if unreported > 0:  # those that the baseline answered are named below
        unreported = max(unreported - len(absent), 0)
    missing = max(unreported, 0)
    gaps: list[str] = []
    if pairing.errors:
        gaps.append(f"{_cases(len(pairing.errors))} ended in error: {naming(pairing.errors)}")
    if pairing.skipped:
        gaps.append(f"{_cases(len(pairing.skipped))} skipped: {naming(pairing.skipped)}")
    if unreported > 0:
        gaps.append(f"{_cases(unreported)} planned and never reported")
    if paired and pairing.baseline_undecided:
        undecided = pairing.baseline_undecided
        gaps.append(f"{_cases(len(undecided))} not decided by the baseline: {naming(undecided)}")
    if paired and pairing.unmatched and pairing.pairs:
        missing += len(pairing.unmatched)
        gaps.append(
            f"{_cases(len(pairing.unmatched))} the baseline never answered: {naming(pairing.unmatched)}"
        )
    if absent:
        missing += len(absent)
        gaps.append(f"{_cases(len(absent))} of the baseline not in this run: {naming(absent)}")
    doubts, notes = list(verdict.doubts), list(verdict.notes)
    decided = len(pairing.pairs) if paired else len(pairing.decided)
    expected = max(verdict.planned, len(pairing.candidate) + len(absent))
    if gaps and decided >= verdict.gate.coverage * expected - 1e-9:
        share = (
            f"{decided} of {expected} cases were decided, the gate asks for {percent(verdict.gate.coverage)}"
        )
        notes.append(f"tolerated, {share}: {'; '.join(gaps)}")
    else:
        doubts.extend(gaps)
    for flag in ("must_pass", "must_keep"):
        if required := [r for r in absent if getattr(r, flag)]:
            doubts.append(f"{flag} cases were not decided: {naming(required)}")
    if unreported < 0:
        doubts.append(f"{_cases(-unreported)} more reported than the {verdict.planned} planned")
    if verdict.partial:
        doubts.append("only a part of the suite was selected: a part can prove a regression, never a pass")
    counts = dataclasses.replace(verdict.counts, missing=missing)
    return dataclasses.replace(verdict, doubts=tuple(doubts), notes=tuple(notes), counts=counts)


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
