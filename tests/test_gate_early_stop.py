"""When an unfinished suite is settled, told from the evidence alone."""

from __future__ import annotations

from dataclasses import replace

from case_results import evidence_of, two_sides

from harness.gate.early_stop import Course, draw, settled
from harness.gate.verdict import Status, Verdict

PLANNED = 400
TEST = "test_refund_reply"
ORDER = [
    key
    for unit in draw(
        {(TEST, f"case-{i:04}"): f"case-{i:04}" for i in range(PLANNED)}, seed=0, golden="refunds/v1"
    ).units
    for key in unit
]
"""The 400 cases as they are drawn."""


def after(asked: int, lost: int, *, family: int = 1, must_keep: bool = False) -> Verdict | None:
    """The verdict once the first cases were asked.

    Args:
        asked: How many.
        lost: How many of them the candidate missed, the first ones; the baseline passed all.
        family: How many comparisons share alpha.
        must_keep: Whether the first case is one that must be kept.
    """
    scores = [0.0 if place < lost else 1.0 for place in range(asked)]
    ours, theirs = (
        [
            replace(result, case_id=case_id, must_keep=must_keep and place == 0)
            for place, (result, (_, case_id)) in enumerate(zip(side, ORDER, strict=False))
        ]
        for side in two_sides(scores, [1.0] * asked)
    )
    course = Course(tuple((key,) for key in ORDER), frozenset(ORDER[:1] if must_keep else ()))
    return settled(evidence_of(ours, theirs), course, family=family)


def test_a_must_keep_case_that_was_lost_settles_at_once() -> None:
    assert after(1, 1) is None
    verdict = after(1, 1, must_keep=True)
    assert verdict is not None
    assert verdict.status is Status.REGRESSED
    assert verdict.settlement is not None
    assert verdict.settlement.rule == "a must_keep case was lost"
    assert after(1, 0, must_keep=True) is None


def test_the_more_comparisons_share_alpha_the_more_must_be_lost() -> None:
    def first_settled(family: int) -> int:
        return next(lost for lost in range(1, PLANNED) if after(lost, lost, family=family) is not None)

    assert first_settled(1) < first_settled(20) < first_settled(400)
