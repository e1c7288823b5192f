"""The edges of a comparison: what the gate says where there is least to go by."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from case_results import changed, evidence_of, two_sides

from harness.errors import ConfigurationError
from harness.gate.compare_scores import compare_scores
from harness.gate.decide import decide
from harness.gate.policy import DIAGNOSTICS, Gate
from harness.gate.release import decide_releases
from harness.gate.verdict import Status
from harness.stats.binary import tango_interval
from harness.stats.paired import compare_pairs

STRICT = "non-inferior"
GRADED = [0.1 * (i % 11) for i in range(40)]

EDGES: dict[str, tuple[dict[str, Any], str, Status, float]] = {
    # name: (arguments, policy, status, p-value)
    "one case, lost": ({"candidate": [0], "baseline": [1]}, "no-significant-drop", Status.INCONCLUSIVE, 0.25),
    "one case, lost, strict": ({"candidate": [0], "baseline": [1]}, STRICT, Status.INCONCLUSIVE, 0.25),
    "one graded case": ({"candidate": [0.2], "baseline": [0.9]}, STRICT, Status.INCONCLUSIVE, 0.5),
    "one case, won": ({"candidate": [1], "baseline": [0]}, STRICT, Status.INCONCLUSIVE, 0.75),
    "all ties": ({"candidate": [1] * 40, "baseline": [1] * 40}, STRICT, Status.INCONCLUSIVE, 1.0),
    "all ties, graded": ({"candidate": GRADED, "baseline": GRADED}, STRICT, Status.INCONCLUSIVE, 1.0),
    "enough ties": ({"candidate": [1] * 200, "baseline": [1] * 200}, STRICT, Status.PASS, 1.0),
    "all wins": ({"candidate": [1] * 40, "baseline": [0] * 40}, STRICT, Status.PASS, 1.0),
    "all lost": (
        {"candidate": [0] * 40, "baseline": [1] * 40},
        STRICT,
        Status.REGRESSED,
        math.erfc(20**0.5) / 2,
    ),
    "no variance": ({"candidate": [0.4] * 40, "baseline": [0.6] * 40}, STRICT, Status.REGRESSED, 0.5 / 2**40),
    "one cluster": (
        {"candidate": [0] * 40, "baseline": [1] * 40, "clusters": ["one"] * 40},
        STRICT,
        Status.INCONCLUSIVE,
        0.5,
    ),
    "one cluster, graded": (
        {"candidate": [0.1] * 40, "baseline": GRADED, "clusters": ["one"] * 40},
        STRICT,
        Status.INCONCLUSIVE,
        0.5,
    ),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_exact(name: str) -> None:
    arguments, policy, status, p_value = EDGES[name]
    verdict = compare_scores(**arguments, policy=policy, margin=0.05)
    assert verdict.status is status
    assert verdict.p_value == pytest.approx(p_value, rel=1e-3, abs=1e-15)
    assert verdict.bounds is not None
    assert verdict.interval is not None
    for lower, upper in (verdict.bounds, verdict.interval):
        assert -1.0 <= lower <= upper <= 1.0
        assert math.isfinite(lower)
        assert math.isfinite(upper)
    assert verdict.reasons


def test_one_cluster_rules_nothing_out_and_has_no_standard_error() -> None:
    verdict = compare_scores([0.2] * 30, GRADED[:30], clusters=["one"] * 30)
    assert (verdict.interval, verdict.standard_error) == ((-1.0, 1.0), None)
    assert verdict.minimum_detectable_drop is None


def test_scores_at_the_ends_of_the_range_stay_within_it() -> None:
    for ours, theirs in (([0] * 30, [1] * 30), ([1] * 30, [0] * 30)):
        for single in (True, False):
            found = compare_pairs(np.array(ours, float), np.array(theirs, float), alpha=0.05, single=single)
            assert -1.0 <= found.interval[0] <= found.interval[1] <= 1.0
            assert found.delta in (-1.0, 1.0)
            assert found.interval[0] <= found.delta <= found.interval[1]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_clusters_that_agree_are_single_answers(size: int) -> None:
    """Copies of a right-or-wrong case in its cluster say what the case says: the same test, no less wide."""
    ours = np.repeat([1.0] * 22 + [0.0] * 8, size)
    theirs = np.repeat([1.0] * 20 + [0.0] * 2 + [1.0] * 8, size)
    clusters = None if size == 1 else np.repeat(np.arange(30), size).tolist()
    found = compare_pairs(ours, theirs, clusters, alpha=0.05)
    assert found.interval == tango_interval(2, 8, 30, level=0.025)
    assert (found.improved, found.worsened, found.groups) == (2 * size, 8 * size, 30)
    assert "McNemar" in found.method


SAME = [1.0] * 60


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content_hash": "f" * 64}, "the case itself differs on the two sides: case-0007"),
        ({"config_hash": "f" * 64}, "sampling or samples per case differ on the two sides: case-0007"),
        ({"samples": (1.0, 1.0)}, "sampling or samples per case differ on the two sides: case-0007"),
    ],
)
def test_a_pair_that_is_not_alike_is_named_and_never_passes(fields: dict[str, Any], reason: str) -> None:
    ours, theirs = two_sides(SAME, SAME)
    verdict = decide(evidence_of(changed(ours, 7, **fields), theirs))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.n == 59
    assert any(reason in said for said in verdict.reasons)


def test_scores_outside_the_range_are_counted_in_the_message() -> None:
    with pytest.raises(ConfigurationError, match=r"candidate\[1\] is 1\.5: scores must be"):
        compare_scores([1, 1.5, 0], [1, 1, 0])
    with pytest.raises(ConfigurationError, match=r"candidate\[0\] is nan \(and 1 more\): scores must be"):
        compare_scores([math.nan, 1.5, 0], [1, 1, 0])


def test_the_ends_of_what_a_policy_may_say_belong_to_it() -> None:
    smallest = 1e-6
    within: list[dict[str, Any]] = [{"weight": 1e6}, {"blocks_on": DIAGNOSTICS}, {"alpha": smallest}]
    beyond: list[dict[str, Any]] = [
        {"weight": 0.0},
        {"weight": 1.1e6},
        {"alpha": smallest / 10},
        {"alpha": 0.5},
    ]
    for fields in (*within, {"min_score": 0.0}, {"min_score": 1.0}):
        Gate(**fields)
    for fields in beyond:
        with pytest.raises(ConfigurationError):
            Gate(**fields)


def test_passing_suites_do_not_hide_that_all_together_may_have_dropped() -> None:
    """The critical suite lost nothing; the supporting one lost 15 of 300 in one of six clusters."""
    core = evidence_of(*two_sides([1] * 60, [1] * 60, suite="core"))
    scores = [0 if i % 6 == 3 and i < 90 else 1 for i in range(300)]
    ours, theirs = two_sides(scores, [1] * 300, suite="thin")
    thin = evidence_of(
        *([replace(r, cluster=f"group {i % 6}") for i, r in enumerate(side)] for side in (ours, theirs)),
        gate=Gate(tier="supporting"),
    )
    verdicts, (release,) = decide_releases([(evidence, decide(evidence)) for evidence in (core, thin)])
    assert [verdict.status for verdict in verdicts] == [Status.PASS, Status.INCONCLUSIVE]
    assert release.status is Status.INCONCLUSIVE
    assert "over all 2 suites together a drop of 10 % is not ruled out" in release.reasons[0]
