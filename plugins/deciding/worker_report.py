"""What the processes that collect tell the one that decides: suites, gates, expected cases, and the fill."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.engine.fill import FillReport
from harness.gate.policy import Gate
from harness.runs.measured_suite import MeasuredSuite

from ..session.item import harness_item_of, is_ours

__all__ = ["SuitePlan", "WorkerReport", "plan_of"]


@dataclass(frozen=True)
class SuitePlan:
    """What the process that collects knows of a suite, and the one that decides must be told.

    Attributes:
        name: The suite.
        golden: Golden set and version.
        gate: The policy.
        expected: Cases × tests of the whole golden set, for one checkpoint.
        selected: (test, case id, checkpoint spec) of every item that is to run.
        distrusted: Why the judge of its rubric cannot be trusted, one sentence each.
        gate_sources: Where each value of the gate comes from.
        digest: sha256 of all that decides the cases.
        code: Test → digest of its code.
    """

    name: str
    golden: str
    gate: Gate
    expected: int
    selected: tuple[tuple[str, str, str], ...]
    distrusted: tuple[str, ...] = ()
    gate_sources: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> MeasuredSuite:
        """What the record keeps of the suite."""
        return MeasuredSuite(self.golden, self.digest, self.code)


@dataclass(frozen=True)
class WorkerReport:
    """What a worker hands to the controller when it ends: its plan, its fill, what stopped it.

    Attributes:
        suites: What it was to run.
        unselected: Suites that lost every case to a deselection.
        usage_errors: What the user must mend.
        internal_error: Why its cache failed.
        fill: What was asked.
        left_out: Files that were to be collected and were not (`--lf`, `--ignore`), and what they held.
    """

    suites: tuple[SuitePlan, ...] = ()
    unselected: tuple[str, ...] = ()
    usage_errors: tuple[str, ...] = ()
    internal_error: str | None = None
    fill: FillReport = field(default_factory=FillReport)
    left_out: tuple[str, ...] = ()

    def dumps(self) -> str:
        """Serialise for the trip between processes."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def loads(cls, text: str) -> WorkerReport:
        """Read what `dumps` wrote."""
        data = json.loads(text)
        suites = tuple(
            SuitePlan(
                name=plan["name"],
                golden=plan["golden"],
                gate=Gate(**plan["gate"]),
                expected=plan["expected"],
                selected=tuple((test, case, spec) for test, case, spec in plan["selected"]),
                distrusted=tuple(plan["distrusted"]),
                gate_sources=plan["gate_sources"],
                digest=plan["digest"],
                code=plan["code"],
            )
            for plan in data.pop("suites")
        )
        data["usage_errors"] = tuple(data["usage_errors"])
        data["unselected"] = tuple(data["unselected"])
        data["left_out"] = tuple(data["left_out"])
        data["fill"] = FillReport(**data["fill"])
        return cls(suites=suites, **data)


def plan_of(
    items: Sequence[pytest.Item],
    expected: Mapping[tuple[str, str], int],
    distrusted: Mapping[str, tuple[str, ...]],
    code: Mapping[tuple[str, str], str],
) -> tuple[tuple[SuitePlan, ...], tuple[str, ...]]:
    """Return the plans of the suites that have selected items, and the names of those that lost them all.

    Args:
        items: What is left after deselection.
        expected: (suite, test) → cases of its whole golden set.
        distrusted: Suite → why its judge cannot be trusted.
        code: (suite, test) → digest of the test's code.
    """
    chosen: dict[str, list[tuple[str, str, str]]] = {}
    suites: dict[str, Any] = {}
    for item in items:
        ours = harness_item_of(item) if is_ours(item) else None
        if ours is not None and ours.suite is not None and ours.case is not None:
            suites[ours.suite.name] = ours.suite
            selected = (ours.test, ours.case.id, ours.checkpoint.spec)
            chosen.setdefault(ours.suite.name, []).append(selected)
    plans = tuple(
        SuitePlan(
            name=name,
            golden=suite.golden,
            gate=suite.gate,
            expected=sum(count for (of, _), count in expected.items() if of == name),
            selected=tuple(chosen[name]),
            distrusted=distrusted.get(name, ()),
            gate_sources=suite.gate_sources,
            digest=suite.digest,
            code={test: digest for (of, test), digest in code.items() if of == name},
        )
        for name, suite in suites.items()
    )
    return plans, tuple(sorted({name for name, _ in expected} - set(suites)))
