"""What each suite demands and what it can see, before anything is run: the table of `harness gates`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import StoreError
from harness.gate.policy import Gate
from harness.gate.verdict import Verdict, percent
from harness.runs.store import RunStore
from harness.stats.clusters import FEW_CHANGED
from harness.stats.paired import OF_SINGLE_ANSWERS
from harness.stats.power import Spread, minimum_detectable_drop

__all__ = ["ASSUMED", "GateRow", "PlannedSuite", "dump_plan", "load_plan", "overview"]

ASSUMED = 0.2
"""Share of cases on which two checkpoints are taken to disagree where no stored run says it."""


@dataclass(frozen=True)
class PlannedSuite:
    """A collected suite.

    Attributes:
        suite: Its name.
        golden: Golden set and version.
        cases: Results that a checkpoint will have: cases × tests.
        clusters: Independent clusters among the cases.
        must_pass: Cases that must pass.
        gate: The effective policy.
        sources: Where each of its values comes from.
    """

    suite: str
    golden: str
    cases: int
    clusters: int
    must_pass: int
    gate: Gate
    sources: Mapping[str, str]


@dataclass(frozen=True)
class GateRow:
    """A suite and what it can see.

    Attributes:
        planned: The suite.
        detects: Smallest true drop of the mean that is blocked 4 times out of 5; None where none is, or
            where nothing is compared.
        basis: What that is reckoned from, in words.
    """

    planned: PlannedSuite
    detects: float | None
    basis: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self.planned) | {"minimum_detectable_drop": self.detects, "basis": self.basis}


def dump_plan(planned: Iterable[PlannedSuite]) -> str:
    """Write suites as JSON, for the trip from pytest's process; `load_plan` reads them back."""
    return json.dumps([asdict(one) | {"gate": one.gate.as_dict()} for one in planned])


def load_plan(text: str) -> tuple[PlannedSuite, ...]:
    """Read what `dump_plan` wrote."""
    rows = json.loads(text)
    return tuple(PlannedSuite(**{**row, "gate": Gate.from_dict(_tuples(row["gate"]))}) for row in rows)


def overview(planned: Sequence[PlannedSuite], store: RunStore) -> tuple[GateRow, ...]:
    """Say for each suite what it can see, from what stored runs say of how much its cases vary.

    Runs of a part, and those that cannot be read, are passed over: nothing is decided here.
    """
    newest = _newest_verdicts(store)
    return tuple(_row(one, newest.get((one.suite, one.golden))) for one in planned)


def _row(planned: PlannedSuite, known: tuple[str, Verdict] | None) -> GateRow:
    gate = planned.gate
    if not gate.needs_baseline:
        return GateRow(planned, None, f"compares with no baseline; floor {percent(gate.min_score or 0.0)}")
    if known is not None:
        run, verdict = known
        changed = verdict.improved + verdict.worsened
        basis = f"as cases varied in run {run} ({changed} of {verdict.n} changed)"
        spread = _spread(planned, verdict, changed)
    else:
        basis = f"if {percent(ASSUMED)} of the cases change (no stored run yet)"
        # The worst case: clusters change as one, and a drop of more than that needs more changes.
        spread = Spread(planned.cases, planned.clusters, ASSUMED, measured=False)
    return GateRow(planned, minimum_detectable_drop(spread, margin=gate.margin, alpha=gate.alpha), basis)


def _spread(planned: PlannedSuite, verdict: Verdict, changed: int) -> Spread:
    """Return how much cases vary, reckoned as the run's own verdict did: a few changes are no measurement."""
    single = verdict.method.startswith(OF_SINGLE_ANSWERS)
    if single or changed < FEW_CHANGED or verdict.standard_error is None or verdict.delta is None:
        share = min(changed / (verdict.n if single else verdict.clusters), 1.0)
        return Spread(planned.cases, planned.clusters, share, measured=False)
    square = verdict.n * verdict.standard_error**2 + verdict.delta**2
    return Spread(planned.cases, planned.clusters, square, measured=True)


def _newest_verdicts(store: RunStore) -> dict[tuple[str, str], tuple[str, Verdict]]:
    found: dict[tuple[str, str], tuple[str, Verdict]] = {}
    for summary in reversed(store.list()):
        try:
            record = store.read(summary.run)
        except StoreError:
            continue
        for verdict in record.verdicts:
            if verdict.n and verdict.delta is not None and not verdict.partial:
                found.setdefault((verdict.suite, verdict.golden), (summary.run, verdict))
    return found


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
