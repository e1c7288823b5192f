"""Scores and a policy make a verdict: PASS, REGRESSED, FAILED or INCONCLUSIVE, with the evidence.

The rule, in the order it is applied:

1. REGRESSED: the drop against the baseline exceeds the margin *and* is no accident (adjusted p ≤ alpha and
   the one-sided interval lies below 0); or a `must_keep` case is lost; or a slice or a change of the
   answers that the gate names warns. Partial evidence can prove this.
2. FAILED: a `must_pass` case is missed, the mean lies below `min_score` by its own one-sided interval, or
   an alarm that the gate names goes off, whatever the baseline does. Partial evidence can prove this too.
3. INCONCLUSIVE: anything that should have been compared was not; or a drop of `Gate.rules_out` is not
   excluded by the one-sided interval.
4. PASS: otherwise. Every reason is kept in `Verdict.reasons`.

Where what was measured is no evidence at all (`Verdict.distrusted`), it is INCONCLUSIVE whatever it says.

docs/statistics.md says why the p-value decides whether there is a drop and the interval how large it is.
"""

from __future__ import annotations

import dataclasses

from harness.cases import Outcome
from harness.gate.coverage import with_comparability, with_coverage
from harness.gate.evidence import Evidence
from harness.gate.measurements import CaseCounts, Floor, MeanScore, SampleNoise
from harness.gate.pairing import Pairing, case_label, cluster_of, is_right_or_wrong, naming
from harness.gate.policy import ALARMS
from harness.gate.slices import with_named_slices
from harness.gate.unending import with_an_end
from harness.gate.verdict import Status, Verdict, percent, points
from harness.stats.clusters import cluster_standard_error, group, mean_interval
from harness.stats.exclusion import exclude_drop
from harness.stats.paired import SAME, Comparison, compare_pairs
from harness.stats.power import cases_to_settle_drop, cases_to_settle_floor, minimum_detectable_drop
from harness.stats.repeats import split_variance

__all__ = ["decide", "settle", "with_comparison"]


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
        same_weights=evidence.same_weights,
    )
    verdict = _with_means(verdict, evidence)
    verdict = _with_sample_noise(verdict, pairing)
    verdict = _with_must_pass(verdict, pairing)
    verdict = _with_must_keep(verdict, pairing)
    verdict = _with_floor(verdict, pairing)
    verdict = with_an_end(verdict, evidence.candidate, evidence.baseline)
    if evidence.gate.needs_baseline:
        verdict = with_comparability(verdict, evidence)
        verdict = with_named_slices(verdict, evidence)
    elif evidence.baseline is None:
        verdict = _with_changes_to_see(verdict)
    return settle(with_coverage(verdict, pairing))


def settle(verdict: Verdict) -> Verdict:
    """Derive status and reasons from the evidence that a verdict carries.

    Without an adjusted p-value the question is taken to be the only one of its release.
    """
    gate = verdict.gate
    blocks, doubts, notes = list(verdict.blocks), list(verdict.doubts), list(verdict.notes)
    if verdict.same_weights and gate.needs_baseline:
        blocks = []  # what differs is chance
        doubts.insert(0, "candidate and baseline are the same weights: compare with others, or --allow-same")
    elif gate.needs_baseline and verdict.comparison is not None:
        drop = _drop_that_is_shown(verdict)
        if drop is not None:
            blocks.insert(0, drop)
        elif (doubt := _drop_that_is_left(verdict)) is not None:
            doubts.append(doubt)
        else:
            notes.insert(0, _drop_that_is_excluded(verdict))
    is_tested = verdict.is_compared or not gate.needs_baseline  # otherwise it is doubted already
    if is_tested and verdict.n < gate.minimum_cases:
        doubts.append(f"too few cases: {verdict.n} of at least {gate.minimum_cases} that the policy asks for")
    status = Status.PASS
    if blocks:
        status = Status.REGRESSED
    elif verdict.failures:
        status = Status.FAILED
    elif doubts:
        status = Status.INCONCLUSIVE
    if verdict.distrusted:
        status = Status.INCONCLUSIVE
    reasons = (*verdict.distrusted, *blocks, *verdict.failures, *doubts, *notes)
    return dataclasses.replace(verdict, status=status, reasons=reasons)


def _drop_that_is_shown(verdict: Verdict) -> str | None:
    """Say by how much the mean fell, where that is no accident and beyond the margin; else None."""
    p_value = verdict.p_value if verdict.adjusted_p is None else verdict.adjusted_p
    assert p_value is not None
    assert verdict.bounds is not None
    assert verdict.effect is not None
    is_shown = p_value <= verdict.gate.alpha and verdict.bounds[1] < 0.0
    if not is_shown or verdict.effect >= -verdict.margin_here - SAME:
        return None
    if verdict.gate.minimum_effect and verdict.bounds[1] >= -verdict.margin_here:
        return None
    return f"the mean fell by more than the margin of {percent(verdict.margin_here)}: {_numbers(verdict)}"


def _drop_that_is_left(verdict: Verdict) -> str | None:
    """Say why a drop of the size that a PASS excludes is not excluded, or None where it is."""
    if verdict.is_drop_excluded:
        return None
    assert verdict.rules_out is not None
    assert verdict.bounds is not None
    if not verdict.is_drop_possible:
        score = percent(round(verdict.baseline_mean or 0.0, 4))
        if verdict.gate.relative:
            return (
                f"the baseline scores {score}, so no drop can show: give the suite cases that it can answer"
            )
        return (
            f"the baseline scores {score}, so a drop of {percent(verdict.rules_out)} cannot show: give the "
            "suite cases that it can answer, or make margin and rules_out shares of its score "
            "(relative: true)"
        )
    return (
        f"a drop of {percent(verdict.rules_out)} is not ruled out: the interval reaches down to "
        f"{points(-(verdict.largest_drop_left or 0.0))} points ({_numbers(verdict)})"
    )


def _drop_that_is_excluded(verdict: Verdict) -> str:
    assert verdict.largest_drop_left is not None
    left = f"{100 * verdict.largest_drop_left:.1f}"
    return f"no drop is shown, and one of more than {left} points is ruled out: {_numbers(verdict)}"


def _numbers(verdict: Verdict) -> str:
    p_value = verdict.p_value if verdict.adjusted_p is None else verdict.adjusted_p
    return f"{points(verdict.effect or 0.0)} points, p = {p_value:.2g}, n = {verdict.n}"


def with_comparison(verdict: Verdict, comparison: Comparison) -> Verdict:
    """Return the verdict with a comparison and what it can show; its status is still to be settled."""
    gate, spread, base = verdict.gate, comparison.spread, comparison.baseline_mean
    delta = comparison.delta if comparison.adjusted_delta is None else comparison.adjusted_delta
    margin = gate.margin_on(base)
    detected = minimum_detectable_drop(spread, margin=margin, alpha=gate.alpha)
    return dataclasses.replace(
        verdict,
        comparison=comparison,
        # No drop is larger than what there is to lose.
        minimum_detectable_drop=detected if detected is not None and detected <= base else None,
        cases_for_drop=cases_to_settle_drop(
            spread, delta, margin=margin, rules_out=gate.excluded_drop_on(base), alpha=gate.alpha
        ),
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
    clusters = [cluster_of(pair.candidate) for pair in pairs]
    single = is_right_or_wrong(result for pair in pairs for result in (pair.candidate, pair.baseline))
    comparison = compare_pairs(
        scores[:, 0],
        scores[:, 1],
        clusters,
        alpha=evidence.gate.alpha,
        single=single,
    )
    rules_out = evidence.gate.excluded_drop_on(comparison.baseline_mean)
    exclusion = None
    if rules_out > 0.0:
        exclusion = exclude_drop(
            scores[:, 0], scores[:, 1], clusters, drop=rules_out, level=evidence.gate.alpha, single=single
        )
    tests = len({pair.candidate.test for pair in pairs}) > 1
    differences = (scores[:, 0] - scores[:, 1]).tolist()
    return dataclasses.replace(
        with_comparison(verdict, comparison),
        exclusion=exclusion,
        improved_ids=tuple(
            case_label(pair.candidate, tests=tests)
            for pair, difference in zip(pairs, differences, strict=True)
            if difference > SAME
        ),
        worsened_ids=tuple(
            case_label(pair.candidate, tests=tests)
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
    """Fail on `must_pass` cases that were missed, doubt where one was not decided."""
    flagged = [result for result in pairing.candidate if result.must_pass]
    missed = [r for r in flagged if r.score is not None and r.outcome is not Outcome.PASSED]
    undecided = [r for r in flagged if r.score is None]
    failures, doubts = verdict.failures, verdict.doubts
    if missed:
        failures = (*failures, f"must_pass cases were missed: {naming(missed)}")
    if undecided:
        doubts = (*doubts, f"must_pass cases were not decided: {naming(undecided)}")
    ids = tuple(dict.fromkeys(result.case_id for result in missed))
    return dataclasses.replace(verdict, failures=failures, doubts=doubts, missed_must_pass=ids)


def _with_must_keep(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Block on `must_keep` cases that the baseline passed and the candidate lost."""
    lost = [
        pair.candidate
        for pair in pairing.pairs
        if pair.candidate.must_keep
        and pair.baseline.outcome is Outcome.PASSED
        and pair.candidate.outcome is not Outcome.PASSED
    ]
    undecided = [r for r in pairing.candidate if r.must_keep and r.score is None]
    blocks, doubts = verdict.blocks, verdict.doubts
    if lost:
        blocks = (*blocks, f"must_keep cases were lost: {naming(lost)}")
    if undecided:
        doubts = (*doubts, f"must_keep cases were not decided: {naming(undecided)}")
    ids = tuple(dict.fromkeys(result.case_id for result in lost))
    return dataclasses.replace(verdict, blocks=blocks, doubts=doubts, lost_must_keep=ids)


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
        return dataclasses.replace(verdict, failures=(*verdict.failures, reason))
    reason = f"{said}, but its one-sided interval reaches {percent(upper)} (n = {len(scores)})"
    if verdict.policy == "no-significant-drop":
        return dataclasses.replace(verdict, notes=(*verdict.notes, reason))
    grouped = group(scores, clusters)
    error = cluster_standard_error(grouped)
    # Where nothing varied, what was not seen yet is thought of as right or wrong, cluster by cluster.
    variance = len(scores) * (error**2 if error else 0.25 / len(grouped))
    needed = cases_to_settle_floor(mean, floor, variance, alpha=alpha)
    return dataclasses.replace(
        verdict, doubts=(*verdict.doubts, reason), floor=Floor((lower, upper), cases_needed=needed)
    )
