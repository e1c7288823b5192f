"""A result that is put together from its fields is the one that its class would make."""

from __future__ import annotations

import dataclasses

import pytest

from harness.case_result import CaseResult, Role
from harness.cases import Outcome

RESULT = CaseResult(
    suite="refunds",
    golden="refunds/v1",
    test="test_reply",
    case_id="refund-017",
    content_hash="c0ffee",
    checkpoint="checkpoint-300",
    role=Role.CANDIDATE,
    outcome=Outcome.PASSED,
    samples=(1.0, 0.5),
    outputs=("3 to 7 days", "a week"),
    finish_reasons=("stop", "length"),
    target={"days": [3, 7]},
)


def test_of_fields_is_what_the_class_makes() -> None:
    again = CaseResult.of_fields(RESULT.fields())
    assert again == RESULT
    assert dataclasses.replace(again, test="other") == dataclasses.replace(RESULT, test="other")
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.role = Role.BASELINE  # type: ignore[misc]


def test_of_fields_takes_all_fields_and_no_other() -> None:
    for wrong in ({**RESULT.fields(), "colour": "red"}, dict(list(RESULT.fields().items())[1:])):
        with pytest.raises(TypeError, match=r"missing or unknown: (colour|suite)"):
            CaseResult.of_fields(wrong)


def test_a_result_in_another_role_is_else_the_same() -> None:
    other = RESULT.in_role(Role.BASELINE)
    assert other.role is Role.BASELINE
    assert other.in_role(Role.CANDIDATE) == RESULT
    assert RESULT.role is Role.CANDIDATE
