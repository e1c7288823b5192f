"""What a suite can see is said before a run as the run will say it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from case_results import stored_record, two_sides

from harness.gate.policy import Gate
from harness.runs.power_table import PlannedSuite, overview
from harness.runs.store import RunStore
from harness.stats.power import Spread, minimum_detectable_drop


def planned(cases: int, clusters: int | None = None) -> PlannedSuite:
    return PlannedSuite("refunds", "refunds/v1", cases, clusters or cases, 0, Gate(), {})


@pytest.mark.parametrize("kind", ["right or wrong", "graded"])
@pytest.mark.parametrize("changed", [0, 1, 4, 5, 30])
def test_it_is_what_the_stored_run_said(tmp_path: Path, kind: str, changed: int) -> None:
    """One flip in 140 is no measure of how few there will be."""
    base = np.ones(140) if kind == "right or wrong" else np.random.default_rng(0).random(140) / 2 + 0.4
    ours = base.copy()
    ours[:changed] -= 1.0 if kind == "right or wrong" else 0.1
    record = stored_record(*two_sides(ours.tolist(), base.tolist()))
    RunStore(tmp_path).write(record)
    (row,) = overview([planned(140)], RunStore(tmp_path))
    assert f"{changed} of 140 changed" in row.basis
    (verdict,) = record.verdicts
    assert row.detects == pytest.approx(verdict.minimum_detectable_drop, rel=1e-6)


def test_a_run_of_a_part_says_nothing_of_the_whole(tmp_path: Path) -> None:
    record = stored_record(*two_sides([1.0] * 5, [1.0] * 5))
    (verdict,) = record.verdicts
    part = dataclasses.replace(record, verdicts=(dataclasses.replace(verdict, partial=True),), partial=True)
    RunStore(tmp_path).write(part)
    (row,) = overview([planned(140)], RunStore(tmp_path))
    assert "no stored run yet" in row.basis


def test_clusters_that_a_run_measured_count_as_they_did_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ours, theirs = two_sides((rng.random(140) < 0.5).astype(float), (rng.random(140) < 0.6).astype(float))
    sides = [
        [dataclasses.replace(one, cluster=f"c{i // 5}") for i, one in enumerate(side)]
        for side in (ours, theirs)
    ]
    record = stored_record(*sides)
    RunStore(tmp_path).write(record)
    (row,) = overview([planned(140, 28)], RunStore(tmp_path))
    assert row.detects == pytest.approx(record.verdicts[0].minimum_detectable_drop, rel=1e-6)


@pytest.mark.parametrize(("cases", "clusters"), [(10, None), (20, None), (140, None), (140, 28)])
def test_without_a_run_no_drop_is_seen_that_the_assumed_changes_cannot_make(
    tmp_path: Path, cases: int, clusters: int | None
) -> None:
    (row,) = overview([planned(cases, clusters)], RunStore(tmp_path))
    groups = clusters or cases
    assert row.detects == minimum_detectable_drop(
        Spread(groups, groups, 0.2, measured=False), margin=0.02, alpha=0.05
    )
