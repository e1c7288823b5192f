"""`--early-stop`: fill and run the suites some cases at a time, and stop each when its verdict is settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.gate.early_stop import Course, decide_on_course, draw, settled
from harness.gate.evidence import Evidence
from harness.gate.verdict import Verdict
from harness.stats.stopping import looks

from ..pytest_internals import tear_down
from ..session.item import HarnessItem, harness_item_of, is_ours

__all__ = ["Arm", "EarlyStop", "refuse_workers"]

Fill = Callable[[Sequence[pytest.Item]], None]
Look = Callable[["Arm"], "Verdict | None"]


def refuse_workers(config: pytest.Config) -> None:
    """Refuse pytest-xdist: what runs next depends on every answer so far, and no worker knows them all.

    Raises:
        pytest.UsageError: Tests are to be distributed.
    """
    option = config.option
    if getattr(option, "numprocesses", None) or getattr(option, "tx", None):
        raise pytest.UsageError(
            "--early-stop and pytest-xdist exclude each other: what runs next depends on every answer so "
            "far. Leave out -n (answers come in batches anyway), or --early-stop"
        )


@dataclass
class Arm:
    """One suite × checkpoint.

    Attributes:
        suite: Name of the suite.
        checkpoint: Spec of the candidate.
        course: Its cases in the order of drawing.
        items: Test function and case → item.
        asked: Units handed out so far.
        verdict: The settled verdict, where there is one.
    """

    suite: str
    checkpoint: str
    course: Course
    items: dict[tuple[str, str], pytest.Item]
    asked: int = 0
    verdict: Verdict | None = None
    looks: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.looks = looks(len(self.course.units))

    @property
    def is_open(self) -> bool:
        """Whether there are cases left that may be needed."""
        return self.verdict is None and self.asked < len(self.course.units)

    def take(self) -> Iterable[pytest.Item]:
        """Hand out the items up to the next look."""
        until = next(look for look in self.looks if look > self.asked)
        for unit in self.course.units[self.asked : until]:
            yield from (self.items[key] for key in unit)
        self.asked = until


class EarlyStop:
    """The order of a session in which suites are stopped.

    Args:
        items: What was selected, in pytest's order.
        seed: Of the session.
        compares: Whether there is a baseline.
    """

    def __init__(self, items: Sequence[pytest.Item], *, seed: int, compares: bool) -> None:
        self._place = {item: index for index, item in enumerate(items)}
        self._ran: set[pytest.Item] = set()
        self._arms = {(arm.suite, arm.checkpoint): arm for arm in _arms(items, seed)}
        asked = (arm for arm in self._arms.values() if compares and _suite(arm).gate.needs_baseline)
        self._families = Counter(arm.checkpoint for arm in asked)

    def run(self, session: pytest.Session, fill: Fill, look: Look) -> None:
        """Run batch after batch until nothing is left that could change a verdict.

        Tests without a suite and `must_pass` cases are in the first batch. Within a batch pytest's order
        holds. Stops as pytest does for `-x` and `--maxfail`.

        Args:
            session: The session; its items have been selected.
            fill: Answers everything that items will ask.
            look: Returns the settled verdict of an arm, or None.
        """
        last: pytest.Item | None = None
        wanted = [item for item in self._place if not is_ours(item) or _always(harness_item_of(item))]
        while True:
            for arm in self._arms.values():
                if arm.is_open:
                    wanted.extend(arm.take())
            batch = sorted(set(wanted) - self._ran, key=self._place.__getitem__)
            if not batch:
                break
            fill(batch)
            for index, item in enumerate(batch):
                # Between batches session fixtures stay alive: what comes next is not known yet.
                following: Any = batch[index + 1] if index + 1 < len(batch) else session
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                last = item
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
            self._ran.update(batch)
            wanted = []
            for arm in self._arms.values():
                if arm.is_open:
                    arm.verdict = look(arm)
        if last is not None:
            _tear_down(session, last)

    def not_needed(self) -> dict[pytest.Item, str]:
        """Return what was never run because its suite was settled, each with the reason."""
        return {
            item: f"not needed: {arm.verdict.settlement.rule}"
            for arm in self._arms.values()
            if arm.verdict is not None and arm.verdict.settlement is not None
            for item in arm.items.values()
            if item not in self._ran
        }

    def settled(self, arm: Arm, evidence: Evidence) -> Verdict | None:
        """Return the verdict of an arm if it is settled; see `harness.gate.early_stop.settled`."""
        return settled(evidence, arm.course, family=self._families[arm.checkpoint])

    def verdict(self, evidence: Evidence) -> Verdict:
        """Return the verdict of an arm as it stands at the end of the session."""
        arm = self._arms[(evidence.suite, evidence.checkpoint)]
        if arm.verdict is not None:
            return arm.verdict
        return decide_on_course(evidence, arm.course)


def _arms(items: Sequence[pytest.Item], seed: int) -> Iterable[Arm]:
    found: dict[tuple[str, str], dict[tuple[str, str], pytest.Item]] = {}
    for item in items:
        if is_ours(item) and (suite := harness_item_of(item).suite) is not None:
            case = harness_item_of(item).case
            assert case is not None
            arm = (suite.name, harness_item_of(item).checkpoint.spec)
            found.setdefault(arm, {})[(harness_item_of(item).test, case.id)] = item
    for (name, checkpoint), members in found.items():
        cases = {key: harness_item_of(item).case for key, item in members.items()}
        course = draw(
            {key: case.cluster or case.id for key, case in cases.items() if case is not None},
            seed=seed,
            golden=_golden(next(iter(members.values()))),
            decisive=frozenset(
                key for key, case in cases.items() if case is not None and (case.must_pass or case.must_keep)
            ),
        )
        yield Arm(name, checkpoint, course, members)


def _golden(item: pytest.Item) -> str:
    suite = harness_item_of(item).suite
    assert suite is not None
    return suite.golden


def _suite(arm: Arm) -> Any:
    return harness_item_of(next(iter(arm.items.values()))).suite


def _always(param: HarnessItem) -> bool:
    """Whether an item runs whatever the others say: it has no suite, or its case must pass."""
    return param.suite is None or (param.case is not None and (param.case.must_pass or param.case.must_keep))


def _tear_down(session: pytest.Session, last: pytest.Item) -> None:
    """Tear session fixtures down, and report what fails there on the last item, as pytest does."""
    call = pytest.CallInfo.from_call(
        lambda: tear_down(session), when="teardown", reraise=(pytest.exit.Exception,)
    )
    if call.excinfo is not None:
        report = last.ihook.pytest_runtest_makereport(item=last, call=call)
        last.ihook.pytest_runtest_logreport(report=report)
