"""The A/A spread: how far a checkpoint's scores lie from its own when nothing but chance differs.

The same checkpoint answers the same cases several times, with other seeds and in other batches. What a suite
then differs by is the noise below which a margin means nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, IntegrityError, StoreError
from harness.files.durable import replace_synced
from harness.files.read_json import read_json
from harness.files.state_folder import make_state_folder
from harness.numerics import differences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.case_result import CaseResult
    from harness.gate.policy import Gate

__all__ = [
    "NoiseRecord",
    "SuiteNoise",
    "margin_problem",
    "measure",
    "of_all_repeats",
    "other_numerics",
    "read_noise",
    "write_noise",
]

SCHEMA_VERSION = 1
_ONE_SIDED = 1.6448536269514722
"""Normal quantile of 95 %."""
_OF_A_REPEAT = frozenset({"batch_size", "template_date"})
"""Numerics that repeats may differ in: the one is varied on purpose, the other is the day."""


@dataclass(frozen=True)
class SuiteNoise:
    """What repeats of one suite say. Scores are in [0, 1].

    Attributes:
        suite: Its name.
        golden: Golden set and version.
        n: Cases × tests.
        repeats: How often each was answered.
        epochs: Samples per case in each repeat.
        flips: Cases whose score was not the same every time.
        mean_difference: Largest difference between the mean scores of two repeats.
        standard_deviation: Of the difference between the mean scores of two repeats, by clusters.
        within: Variance of a case's score between repeats, mean over the cases.
        between: Variance of the cases' true scores.
        reduce: How the samples of a case made its score, as the suite's gate says.
    """

    suite: str
    golden: str
    n: int
    repeats: int
    epochs: int
    flips: int
    mean_difference: float
    standard_deviation: float
    within: float
    between: float
    reduce: str = "mean"

    def reach(self, epochs: int | None = None) -> float:
        """Return the drop that one of 20 comparisons of a checkpoint with itself exceeds.

        Args:
            epochs: Samples per case, whose mean is the score; as many as were measured by default.
        """
        scale = math.sqrt(self.epochs / (epochs or self.epochs))
        return _ONE_SIDED * self.standard_deviation * scale


@dataclass(frozen=True)
class NoiseRecord:
    """What was measured of one checkpoint.

    Attributes:
        checkpoint: Its spec.
        fingerprint: Of what decides its answers.
        created: When, ISO 8601 in UTC.
        sampling: What the command line said over the golden sets: temperature, max_tokens.
        suites: The suites.
        numerics: Under which every repeat was computed; see `of_all_repeats`. Empty where nothing is computed
            here, and in records that do not say it.
    """

    checkpoint: str
    fingerprint: str
    created: str
    sampling: Mapping[str, Any]
    suites: tuple[SuiteNoise, ...]
    numerics: Mapping[str, str] = field(default_factory=dict)

    def of(self, suite: str, golden: str) -> SuiteNoise | None:
        """Return the noise of a suite on this version of its golden set, where it was measured."""
        return next((one for one in self.suites if (one.suite, one.golden) == (suite, golden)), None)


def of_all_repeats(numerics: Mapping[str, str]) -> dict[str, str]:
    """Return the numerics of a checkpoint without what its repeats may differ in."""
    return {key: value for key, value in numerics.items() if key not in _OF_A_REPEAT}


def other_numerics(noise: NoiseRecord, numerics: Mapping[str, str]) -> str:
    """Say how these numerics differ from those of what was measured, as `dtype bfloat16 → float32`; or empty.

    Rounding decides which answers flip, so noise holds for the numerics under which it was measured.
    """
    return differences(of_all_repeats(numerics), noise.numerics)


def measure(
    repeats: Sequence[Sequence[CaseResult]],
    *,
    epochs: int = 1,
    reduce: Mapping[str, str] | None = None,
) -> tuple[SuiteNoise, ...]:
    """Return the noise of every suite.

    Args:
        repeats: The results of one checkpoint, once for each time it was asked; at least two.
        epochs: Samples per case in each.
        reduce: Suite → how its gate makes a score of them; the mean by default.

    Raises:
        HarnessError: A case was not decided, or not asked, every time: what was not measured has no noise.
    """
    if len(repeats) < 2:
        raise HarnessError("noise takes at least two repeats")
    suites = sorted({result.suite for results in repeats for result in results})
    return tuple(
        _suite_noise(
            suite,
            [[r for r in results if r.suite == suite] for results in repeats],
            epochs,
            (reduce or {}).get(suite, "mean"),
        )
        for suite in suites
    )


def _suite_noise(suite: str, repeats: Sequence[Sequence[CaseResult]], epochs: int, reduce: str) -> SuiteNoise:
    import numpy as np

    from harness.gate.pairing import (  # whoever only looks for a record needs none of these
        cluster_of,
        naming,
        reduced,
    )
    from harness.stats.clusters import group

    undecided = [result for results in repeats for result in results if result.score is None]
    if undecided:
        raise HarnessError(
            f"suite {suite}: cases were not decided every time: {naming(undecided)}; run again"
        )
    columns = [{result.pair_key: reduced(result, reduce) for result in results} for results in repeats]
    keys = sorted(columns[0])
    if any(sorted(column) != keys for column in columns):
        raise HarnessError(f"suite {suite}: the repeats answered different cases")
    scores = np.array([[column[key].score for column in columns] for key in keys], dtype=np.float64)
    n, count = scores.shape
    means = scores.mean(axis=0)
    deviations = scores - scores.mean(axis=1, keepdims=True)
    clusters = [cluster_of(columns[0][key]) for key in keys]
    totals = np.stack([group(deviations[:, k], clusters).totals for k in range(count)])
    variance_of_mean = float((totals**2).sum()) / (count - 1) / n**2
    within = float((deviations**2).sum()) / (count - 1) / n
    return SuiteNoise(
        suite=suite,
        golden=columns[0][keys[0]].golden,
        n=n,
        repeats=count,
        epochs=epochs,
        flips=int((np.ptp(scores, axis=1) > 1e-12).sum()),
        mean_difference=float(means.max() - means.min()),
        standard_deviation=math.sqrt(2.0 * variance_of_mean),
        within=within,
        between=_between(scores, within),
        reduce=reduce,
    )


def _between(scores: NDArray[np.float64], within: float) -> float:
    """Return the variance of the cases' true scores: that of their means, less what chance adds to it."""
    n, count = scores.shape
    if n < 2:
        return 0.0
    spread = float(scores.mean(axis=1).var(ddof=1))
    return max(spread - within / float(count), 0.0)


def margin_problem(gate: Gate, noise: SuiteNoise, *, epochs: int) -> str | None:
    """Say why a gate's margin means nothing on a suite this noisy, or None."""
    from harness.gate.verdict import percent

    by_mean = epochs == noise.epochs == 1 or (gate.reduce, noise.reduce) == ("mean", "mean")
    if not by_mean and (gate.reduce, epochs) != (noise.reduce, noise.epochs):
        return None  # the worst of k answers was not measured, and no law leads to it
    reach = noise.reach(epochs)
    if not gate.needs_baseline or gate.allow_margin_below_noise or gate.margin >= reach:
        return None
    enough = (
        math.ceil(noise.epochs * (noise.reach() / gate.margin) ** 2) if gate.margin > 0 and by_mean else None
    )
    more = f", ask --epochs={enough}" if enough is not None and enough <= 64 else ""
    return (
        f"suite {noise.suite!r}: the margin of {percent(gate.margin)} lies below the noise of its baseline: "
        f"one of 20 comparisons of it with itself falls by more than {percent(reach)} ({noise.flips} of "
        f"{noise.n} cases flipped between {noise.repeats} repeats). Raise the margin{more}, or set "
        "allow_margin_below_noise"
    )


# --- keeping -------------------------------------------------------------------------------------------


def write_noise(record: NoiseRecord, state: Path) -> Path:
    """Keep what was measured; suites that were measured before under the same sampling and numerics stay.

    Raises:
        StoreError: It could not be written.
    """
    path = _path(state, record.fingerprint)
    before = read_noise(state, record.fingerprint) if path.exists() else None
    suites = list(record.suites)
    if before is not None and (before.sampling, before.numerics) == (record.sampling, record.numerics):
        suites += [one for one in before.suites if record.of(one.suite, one.golden) is None]
    data = {
        "schema_version": SCHEMA_VERSION,
        **asdict(record),
        "sampling": dict(record.sampling),
        "numerics": dict(record.numerics),
        "suites": [asdict(one) for one in sorted(suites, key=lambda one: (one.suite, one.golden))],
    }
    try:
        make_state_folder(state)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_synced(path, (json.dumps(data, indent=1) + "\n").encode("ascii"))
    except OSError as problem:
        raise StoreError(f"{path}: cannot be written: {problem.strerror or problem}") from None
    return path


def read_noise(state: Path, fingerprint: str) -> NoiseRecord | None:
    """Return what was measured of a checkpoint; None where nothing was.

    Raises:
        IntegrityError: The file is damaged.
    """
    path = _path(state, fingerprint)
    if not path.exists():
        return None
    data = read_json(path, error=IntegrityError)
    try:
        if data.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("of another version")
        suites = tuple(SuiteNoise(**one) for one in data.pop("suites"))
        record = NoiseRecord(suites=suites, **data)
        if not all(math.isfinite(one.standard_deviation) and one.standard_deviation >= 0 for one in suites):
            raise ValueError("a standard deviation is no number")
        if not (isinstance(record.sampling, dict) and isinstance(record.numerics, dict)):
            raise ValueError("sampling or numerics are no object")
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise IntegrityError(
            f"{path}: no noise that harness noise wrote ({problem}): delete it, or measure again"
        ) from None
    return record


def _path(state: Path, fingerprint: str) -> Path:
    return state / "noise" / f"{fingerprint[:32]}.json"
