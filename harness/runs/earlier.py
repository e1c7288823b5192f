"""Earlier runs of the same candidate: whoever runs a gate until it passes is told so."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.errors import StoreError
from harness.gate.release import EarlierRun, Release
from harness.gate.verdict import Status
from harness.runs.record import RunRecord
from harness.runs.store import RunStore

__all__ = ["earlier_runs", "with_earlier_runs"]

LOOKED_AT = 200
"""So many of the newest stored runs are read."""


def earlier_runs(store: RunStore, fingerprint: str, suites: Sequence[str]) -> tuple[EarlierRun, ...]:
    """Return the stored runs that gated the same weights on one of these suites, oldest first.

    Whatever their baseline and policy: each was a try to pass. Runs of a part and damaged ones are left out.

    Args:
        store: Where runs are kept.
        fingerprint: Of the candidate.
        suites: The suites that it is gated on now.
    """
    tries = []
    for run in store.ids()[-LOOKED_AT:]:
        try:
            record = store.head(run)
        except StoreError:
            continue
        for entry in record.candidates:
            release = next((r for r in record.releases if r.checkpoint == entry.spec), None)
            gated = {verdict.suite for verdict in record.verdicts if verdict.checkpoint == entry.spec}
            if entry.fingerprint == fingerprint and release is not None and gated.intersection(suites):
                tries.append(EarlierRun(record.run, record.created, release.status))
    return tuple(sorted(tries, key=lambda earlier: (earlier.created, earlier.run)))


def with_earlier_runs(record: RunRecord, store: RunStore) -> RunRecord:
    """Return a record whose releases name the earlier runs of their candidates.

    A PASS after a run of the same weights that was blocked says so first.
    """
    prints = {entry.spec: entry.fingerprint for entry in record.candidates if entry.fingerprint}
    releases = []
    for release in record.releases:
        suites = [v.suite for v in record.verdicts if v.checkpoint == release.checkpoint]
        fingerprint = prints.get(release.checkpoint)
        tries = earlier_runs(store, fingerprint, suites) if fingerprint else ()
        releases.append(_told(dataclasses.replace(release, earlier=tries)))
    return dataclasses.replace(record, releases=tuple(releases))


def _told(release: Release) -> Release:
    blocked = [e for e in release.earlier if e.status in (Status.REGRESSED, Status.FAILED)]
    if release.status is not Status.PASS or not blocked:
        return release
    said = (
        f"the same weights were blocked before, in {len(blocked)} of {len(release.earlier)} earlier runs "
        f"(last: run {blocked[-1].run}, {blocked[-1].status.value}): a pass that was tried for is worth less"
    )
    return dataclasses.replace(release, reasons=(said, *release.reasons))
