"""The A/A spread: what repeats of one checkpoint say, and which margins it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from case_results import case_result
from typer.testing import CliRunner

from harness.case_result import CaseResult
from harness.cli.main import app
from harness.errors import ConfigurationError, HarnessError, IntegrityError
from harness.gate.noise import (
    NoiseRecord,
    SuiteNoise,
    margin_problem,
    measure,
    of_all_repeats,
    other_numerics,
    read_noise,
    write_noise,
)
from harness.gate.policy import Gate

FINGERPRINT = "ab" * 32


def repeat(scores: Sequence[float | None], clusters: Sequence[str] | None = None) -> list[CaseResult]:
    return [
        case_result(f"c{i:03}", score, cluster=f"c{i:03}" if clusters is None else clusters[i])
        for i, score in enumerate(scores)
    ]


def test_answers_that_never_change_have_no_noise() -> None:
    (found,) = measure([repeat([1.0, 0.0, 1.0, 1.0])] * 3)
    assert (found.flips, found.mean_difference, found.standard_deviation, found.within) == (0, 0.0, 0.0, 0.0)
    assert found.between == pytest.approx(0.25)
    assert margin_problem(Gate(margin=0.0), found, epochs=1) is None


def test_the_spread_of_the_difference_is_what_simulation_says() -> None:
    """Cases with their own chances: the estimate from two repeats, averaged, is the true spread."""
    rng = np.random.default_rng(1)
    chances = rng.uniform(0.2, 0.95, size=80)
    draws = rng.random((600, 2, 80)) < chances
    true = float((draws[:, 0].mean(axis=1) - draws[:, 1].mean(axis=1)).std())
    found = [
        measure([repeat(a.astype(float).tolist()), repeat(b.astype(float).tolist())])[0]
        for a, b in draws[:150]
    ]
    assert math.sqrt(np.mean([one.standard_deviation**2 for one in found])) == pytest.approx(true, rel=0.1)
    within, between = np.mean([one.within for one in found]), np.mean([one.between for one in found])
    assert within == pytest.approx((chances * (1 - chances)).mean(), rel=0.05)
    assert between == pytest.approx(chances.var(ddof=1), rel=0.2)


def test_clusters_that_flip_together_are_noisier() -> None:
    first, second = [1.0] * 20, [0.0] * 5 + [1.0] * 15
    (alone,) = measure([repeat(first), repeat(second)])
    names = [f"g{i // 5}" for i in range(20)]
    (together,) = measure([repeat(first, names), repeat(second, names)])
    assert together.standard_deviation == pytest.approx(math.sqrt(5) * alone.standard_deviation)
    assert together.flips == alone.flips == 5


def test_what_was_not_measured_has_no_noise() -> None:
    with pytest.raises(HarnessError, match="not decided every time: c001"):
        measure([repeat([1.0, 0.0]), repeat([1.0, None])])
    with pytest.raises(HarnessError, match="different cases"):
        measure([repeat([1.0, 0.0]), repeat([1.0])])
    with pytest.raises(HarnessError, match="at least two"):
        measure([repeat([1.0])])


NOISE = SuiteNoise("refunds", "refunds/v1", 100, 2, 1, 20, 0.04, 0.03, 0.1, 0.1)


def test_a_margin_below_the_noise_is_refused_unless_told() -> None:
    problem = margin_problem(Gate(margin=0.02), NOISE, epochs=1)
    assert problem is not None
    assert "the margin of 2 % lies below the noise" in problem
    assert "--epochs=7" in problem
    assert margin_problem(Gate(margin=0.02), NOISE, epochs=7) is None
    assert margin_problem(Gate(margin=0.05), NOISE, epochs=1) is None
    assert margin_problem(Gate(margin=0.02, allow_margin_below_noise=True), NOISE, epochs=1) is None
    assert margin_problem(Gate(policy="absolute", min_score=0.5), NOISE, epochs=1) is None


def test_the_worst_of_several_answers_has_a_noise_of_its_own() -> None:
    """Four answers, each right four times in five: their mean is steady, all four together are not."""
    rng = np.random.default_rng(2)

    def asked() -> list[CaseResult]:
        answers = (rng.random((400, 4)) < 0.8).astype(float)
        return [
            dataclasses.replace(r, samples=tuple(a))
            for r, a in zip(repeat([1.0] * 400), answers, strict=True)
        ]

    repeats = [asked(), asked()]
    (mean,) = measure(repeats, epochs=4)
    (worst,) = measure(repeats, epochs=4, reduce={"refunds": "all"})
    assert (mean.reduce, worst.reduce) == ("mean", "all")
    expected = math.sqrt(0.8**4 * (1 - 0.8**4) / (0.8 * 0.2 / 4))
    assert worst.standard_deviation / mean.standard_deviation == pytest.approx(expected, rel=0.15)
    gate = Gate(margin=0.035, reduce="all")
    problem = margin_problem(gate, worst, epochs=4)
    assert problem is not None
    assert "--epochs" not in problem  # more of them make it noisier
    assert margin_problem(gate, worst, epochs=8) is None  # not measured
    assert margin_problem(gate, mean, epochs=4) is None
    assert margin_problem(Gate(margin=0.001), mean, epochs=4) is not None
    assert margin_problem(Gate(margin=0.001, reduce="all"), NOISE, epochs=1) is not None  # one answer is one


def test_noise_is_of_one_checkpoint() -> None:
    done = CliRunner().invoke(app, ["noise", "base,other"])
    assert isinstance(done.exception, ConfigurationError)
    assert "base,other: name one checkpoint" in str(done.exception)


def test_noise_is_of_the_numerics_that_it_was_measured_under() -> None:
    measured = of_all_repeats({"dtype": "bfloat16", "batch_size": "8", "template_date": "2026-03-14"})
    noise = NoiseRecord("base", FINGERPRINT, "2026-03-14T09:26:53Z", {}, (NOISE,), measured)
    assert other_numerics(noise, {"dtype": "float32"}) == "dtype bfloat16 → float32"
    assert other_numerics(noise, {"dtype": "bfloat16", "batch_size": "auto"}) == ""
    assert other_numerics(noise, {"dtype": "bfloat16", "template_date": "2026-03-15"}) == ""
    untold = dataclasses.replace(noise, numerics={})
    assert other_numerics(untold, {"dtype": "float32"}) == "dtype unset → float32"
    assert other_numerics(untold, {}) == ""  # a served model: nothing is computed here


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    record = NoiseRecord("base", FINGERPRINT, "2026-03-14T09:26:53Z", {"temperature": 1.0}, (NOISE,))
    path = write_noise(record, tmp_path)
    assert read_noise(tmp_path, FINGERPRINT) == record
    assert read_noise(tmp_path, "cd" * 32) is None
    other = dataclasses.replace(record, suites=(dataclasses.replace(NOISE, suite="orders", flips=1),))
    write_noise(other, tmp_path)
    kept = read_noise(tmp_path, FINGERPRINT)
    assert kept is not None
    assert [one.suite for one in kept.suites] == ["orders", "refunds"]
    path = write_noise(dataclasses.replace(record, numerics={"dtype": "bfloat16"}), tmp_path)
    kept = read_noise(tmp_path, FINGERPRINT)
    assert kept is not None
    assert [one.suite for one in kept.suites] == ["refunds"]  # the others were measured in another way
    whole = path.read_text()
    listed = json.dumps(json.loads(whole) | {"numerics": ["float32"]})
    for damage in ("{}", "[]", whole.replace("0.03", '"x"'), whole[:40], listed):
        path.write_text(damage, encoding="utf-8")
        with pytest.raises(IntegrityError):
            read_noise(tmp_path, FINGERPRINT)
