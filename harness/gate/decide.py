"""Scores and a policy make a verdict: PASS, REGRESSED or INCONCLUSIVE, with the evidence.

The rule, in the order it is applied:

1. REGRESSED: a `must_pass` case is missed; or the mean lies below `min_score` by its own one-sided
   interval; or a slice that the gate names warns; or the drop against the baseline exceeds the margin
   *and* is no accident (adjusted p ≤ alpha and the one-sided interval lies below 0). Partial evidence can
   prove this.
2. INCONCLUSIVE: anything that should have been compared was not; or the policy asks for more certainty
   than the cases give.
3. PASS: otherwise. Every reason is kept in `Verdict.reasons`.

Where what was measured is no evidence at all (`Verdict.distrusted`), it is INCONCLUSIVE whatever it says.

docs/statistics.md says why the p-value decides whether there is a drop and the interval how large it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from harness.cases import Outcome
from harness.exit_codes import ExitCode
from harness.gate.coverage import with_comparability, with_coverage
from harness.gate.evidence import Evidence
from harness.gate.measurements import CaseCounts, Floor, MeanScore, SampleNoise
from harness.gate.pairing import Pairing, cluster_of, is_right_or_wrong, label, naming
from harness.gate.policy import ALARMS
from harness.gate.slices import with_named_slices
from harness.gate.verdict import Status, Verdict, percent, points
from harness.stats.clusters import cluster_standard_error, group, mean_interval
from harness.stats.multiplicity import holm
from harness.stats.paired import SAME, Comparison, compare_pairs
from harness.stats.power import cases_to_settle_drop, cases_to_settle_floor, minimum_detectable_drop
from harness.stats.repeats import split_variance

__all__ = ["adjust_family", "decide", "exit_codes", "settle", "with_comparison"]


def decide(evidence: Evidence) -> Verdict:
    """Decide one suite × checkpoint, as if it were the only question of its session.

    Raises:
        IntegrityError: A case is reported twice on one side.
        ScoringError: A score is not a finite number in [0, 1].
    """
    pairing = evidence.pairing
    counts = CaseCounts(
        planned=len(pairing.candidate) if evidence.planned is None else evidence.planned,
        errors=len(pairing.errors),
        invalid=sum(result.outcome is Outcome.INVALID for result in pairing.candidate),
        skipped=len(pairing.skipped),
    )
    verdict = Verdict(
        suite=evidence.suite,
        golden=evidence.golden,
        checkpoint=evidence.checkpoint,
        baseline=evidence.baseline_name,
        gate=evidence.gate,
        counts=counts,
        partial=evidence.partial,
    )
    verdict = _with_means(verdict, evidence)
    verdict = _with_sample_noise(verdict, pairing)
    verdict = _with_must_pass(verdict, pairing)
    verdict = _with_floor(verdict, pairing)
    if evidence.gate.needs_baseline:
        verdict = with_comparability(verdict, evidence)
        verdict = with_named_slices(verdict, evidence)
    elif evidence.baseline is None:
        verdict = _with_changes_to_see(verdict)
    return settle(with_coverage(verdict, pairing))


def settle(verdict: Verdict) -> Verdict:
    """Derive status and reasons from the evidence that a verdict carries.

    Without an adjusted p-value the question is taken to be the only one of its session.
    """
    gate = verdict.gate
    blocks, doubts, notes = list(verdict.blocks), list(verdict.doubts), list(verdict.notes)
    p_value = verdict.p_value if verdict.adjusted_p is None else verdict.adjusted_p
    if gate.needs_baseline and verdict.effect is not None and verdict.bounds is not None:
        assert p_value is not None
        lower, upper = verdict.bounds
        is_shown = p_value <= gate.alpha and upper < 0.0
        evidence = f"{points(verdict.effect)} points, p = {p_value:.2g}, n = {verdict.n}"
        margin = percent(gate.margin)
        if is_shown and verdict.effect < -gate.margin - SAME:
            blocks.insert(0, f"the mean fell by more than the margin of {margin}: {evidence}")
        elif lower > -gate.margin:
            notes.insert(0, f"non-inferior: a drop of more than {margin} is ruled out ({evidence})")
        elif gate.policy == "non-inferior":
            reach = f"the interval reaches down to {points(lower)} points"
            doubts.append(f"a drop of more than {margin} is not ruled out: {reach} ({evidence})")
        else:
            notes.insert(0, f"no significant drop beyond the margin of {margin}: {evidence}")
            if verdict.minimum_detectable_drop is None:
                notes.insert(1, f"n = {verdict.n} is too few to show any drop")
    is_tested = verdict.is_compared or not gate.needs_baseline  # otherwise it is doubted already
    if is_tested and verdict.n < gate.minimum_cases:
        doubts.append(f"too few cases: {verdict.n} of at least {gate.minimum_cases} that the policy asks for")
    status = Status.REGRESSED if blocks else Status.INCONCLUSIVE if doubts else Status.PASS
    if verdict.distrusted:
        status = Status.INCONCLUSIVE
    return dataclasses.replace(
        verdict, status=status, reasons=(*verdict.distrusted, *blocks, *doubts, *notes)
    )


def adjust_family(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Adjust the p-values of a session's paired questions by Holm and settle each verdict anew.

    The family is every suite × checkpoint that was compared with a baseline under a policy that asks for
    one. So the chance that any suite of the session is blocked by a drop that is not there is at most
    alpha. Not in the family: `must_pass`, which is no test; `min_score`, a promise about one suite, tested
    at its own alpha; and non-inferiority, whose error is a false pass.
    """
    found = [dataclasses.replace(verdict, adjusted_p=None) for verdict in verdicts]
    members = [(i, v.p_value) for i, v in enumerate(found) if v.gate.needs_baseline and v.p_value is not None]
    for (index, _), adjusted in zip(members, holm([p for _, p in members]), strict=True):
        found[index] = dataclasses.replace(found[index], adjusted_p=adjusted)
    return tuple(settle(verdict) for verdict in found)


def exit_codes(verdicts: Iterable[Verdict]) -> set[ExitCode]:
    """Return the conditions that hold for a session with these verdicts."""
    codes = {
        Status.PASS: ExitCode.PASS,
        Status.REGRESSED: ExitCode.REGRESSED,
        Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
    return {codes[verdict.status] for verdict in verdicts} or {ExitCode.NO_CASES}


def with_comparison(verdict: Verdict, comparison: Comparison) -> Verdict:
    """Return the verdict with a comparison and what it can show; its status is still to be settled."""
    gate, spread = verdict.gate, comparison.spread
    delta = comparison.delta if comparison.adjusted_delta is None else comparison.adjusted_delta
    return dataclasses.replace(
        verdict,
        comparison=comparison,
        minimum_detectable_drop=minimum_detectable_drop(spread, margin=gate.margin, alpha=gate.alpha),
        cases_for_drop=cases_to_settle_drop(spread, delta, margin=gate.margin, alpha=gate.alpha),
    )


def _with_means(verdict: Verdict, evidence: Evidence) -> Verdict:
    """Add the paired comparison, or the candidate's mean alone where there is nothing to compare."""
    import numpy as np

    pairing = evidence.pairing
    without_partner = len(pairing.decided) - len(pairing.pairs)
    if not pairing.pairs or (without_partner and not evidence.gate.needs_baseline):
        if not pairing.decided:
            return verdict
        scores = np.array([result.score for result in pairing.decided], dtype=np.float64)
        grouped = group(scores, [cluster_of(result) for result in pairing.decided])
        alone = MeanScore(len(scores), len(grouped), float(scores.mean()), cluster_standard_error(grouped))
        return dataclasses.replace(verdict, alone=alone)
    pairs = pairing.pairs
    scores = np.array([pair.scores for pair in pairs])
    comparison = compare_pairs(
        scores[:, 0],
        scores[:, 1],
        [cluster_of(pair.candidate) for pair in pairs],
        alpha=evidence.gate.alpha,
        single=is_right_or_wrong(result for pair in pairs for result in (pair.candidate, pair.baseline)),
    )
    tests = len({pair.candidate.test for pair in pairs}) > 1
    differences = (scores[:, 0] - scores[:, 1]).tolist()
    return dataclasses.replace(
        with_comparison(verdict, comparison),
        improved_ids=tuple(
            label(pair.candidate, tests=tests)
            for pair, difference in zip(pairs, differences, strict=True)
            if difference > SAME
        ),
        worsened_ids=tuple(
            label(pair.candidate, tests=tests)
            for pair, difference in zip(pairs, differences, strict=True)
            if difference < -SAME
        ),
    )


def _with_sample_noise(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Add how much of the noise comes from drawing answers, and what more samples would be worth."""
    import numpy as np

    samples = {len(result.samples) for pair in pairing.pairs for result in (pair.candidate, pair.baseline)}
    if len(samples) != 1 or (count := samples.pop()) < 2:
        return verdict
    sides = [
        np.array([result.samples for result in results])
        for results in zip(*((pair.candidate, pair.baseline) for pair in pairing.pairs), strict=True)
    ]
    split = split_variance(*sides)
    if split is None:
        return dataclasses.replace(verdict, noise=SampleNoise(count))
    worth = split.cases_worth(2 * count)
    note = (
        f"{percent(round(split.share_within, 2))} of the differences' variance comes from drawing answers: "
        f"{2 * count} samples per case instead of {count} would do as much as {worth:.2g} times the cases"
    )
    noise = SampleNoise(count, split.share_within, worth)
    return dataclasses.replace(verdict, noise=noise, notes=(*verdict.notes, note))


def _with_changes_to_see(verdict: Verdict) -> Verdict:
    """Doubt where a gate names changes of the answers, and nothing is there that they changed from."""
    unseen = [name for name in verdict.gate.blocks_on if name not in ALARMS]
    if not unseen:
        return verdict
    named = ", ".join(unseen)
    doubt = f"blocks_on: {named}: seen beside a baseline only: name one with --baseline, or leave it out"
    return dataclasses.replace(verdict, doubts=(*verdict.doubts, doubt))


def _with_must_pass(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Block on `must_pass` cases that were missed, doubt where one was not decided."""
    flagged = [result for result in pairing.candidate if result.must_pass]
    missed = [r for r in flagged if r.score is not None and r.outcome is not Outcome.PASSED]
    undecided = [r for r in flagged if r.score is None]
    blocks, doubts = verdict.blocks, verdict.doubts
    if missed:
        blocks = (*blocks, f"must_pass cases were missed: {naming(missed)}")
    if undecided:
        doubts = (*doubts, f"must_pass cases were not decided: {naming(undecided)}")
    ids = tuple(dict.fromkeys(result.case_id for result in missed))
    return dataclasses.replace(verdict, blocks=blocks, doubts=doubts, missed_must_pass=ids)


def _with_floor(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Compare the mean over every decided case with `min_score`, by its own one-sided interval."""
    import numpy as np

    floor, alpha = verdict.gate.min_score, verdict.gate.alpha
    if floor is None or not pairing.decided:
        return verdict
    scores = np.array([result.score for result in pairing.decided], dtype=np.float64)
    clusters = [cluster_of(result) for result in pairing.decided]
    lower, upper = mean_interval(scores, clusters, level=alpha)
    mean = float(scores.mean())
    verdict = dataclasses.replace(verdict, floor=Floor((lower, upper)))
    if mean >= floor - SAME:
        return verdict
    said = f"the mean score {percent(mean)} is below min_score {percent(floor)}"
    if upper < floor - SAME:
        reason = f"{said}, and so is its one-sided interval up to {percent(upper)} (n = {len(scores)})"
        return dataclasses.replace(verdict, blocks=(*verdict.blocks, reason))
    reason = f"{said}, but its one-sided interval reaches {percent(upper)} (n = {len(scores)})"
    if verdict.policy == "no-significant-drop":
        return dataclasses.replace(verdict, notes=(*verdict.notes, reason))
    variance = len(scores) * (cluster_standard_error(group(scores, clusters)) or 0.5) ** 2
    needed = cases_to_settle_floor(mean, floor, variance, alpha=alpha)
    return dataclasses.replace(
        verdict, doubts=(*verdict.doubts, reason), floor=Floor((lower, upper), cases_needed=needed)
    )
