from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from case_results import case_result, stored_record, two_sides
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.clock import utc_now
from harness.errors import HarnessError, IntegrityError
from harness.files.write_json import encodable
from harness.runs.record import RunRecord, is_run_id, new_run_id
from harness.runs.run_checkpoint import RunCheckpoint
from harness.runs.run_environment import Environment


def validated(record: RunRecord) -> dict[str, Any]:
    schema = json.loads(files("harness.report").joinpath("record.schema.json").read_text(encoding="utf-8"))
    data: dict[str, Any] = json.loads(record.to_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator)
    return data


def test_a_record_keeps_the_contract_and_comes_back() -> None:
    ours, theirs = two_sides(
        [1.0, 0.0, None, 1.0], [1.0, 1.0, 1.0, 0.0], tags=("lang:en",), target={"a": [1]}
    )
    record = stored_record(ours, theirs, nonce="abc")
    data = validated(record)
    assert RunRecord.from_json(record.to_json()) == record
    assert [case["id"] for case in data["cases"]] == ["case-0000", "case-0001", "case-0002", "case-0003"]
    missed = data["cases"][1]
    assert (missed["outcome"], missed["score"], missed["baseline_score"]) == ("missed", 0.0, 1.0)
    assert missed["output"] == "answer of candidate to case-0001"
    assert missed["baseline_output"] == "answer of baseline to case-0001"
    assert data["cases"][2]["score"] is None
    assert data["verdicts"][0]["status"] == "INCONCLUSIVE"
    assert data["slices"][0]["tag"] == "lang:en"


def test_a_record_without_a_baseline_says_so() -> None:
    data = validated(stored_record(two_sides([1.0], [1.0])[0], []))
    assert data["cases"][0]["baseline_score"] is None
    assert data["baseline_cases"] == []


def test_a_result_in_another_role_is_the_same_but_for_that() -> None:
    result = case_result("a", 0.5, tags=("hard",), target={"a": [1]})
    other = result.in_role(Role.BASELINE)
    assert other == replace(result, role=Role.BASELINE)
    assert result.role is Role.CANDIDATE


anything = st.text(st.characters(exclude_categories=()), max_size=20)
results = st.builds(
    lambda i, role, score, output, target, tag: case_result(
        i, score, role=role, outputs=(output,), target=target, tags=(tag,), explanation=output, cluster=tag
    ),
    anything,
    st.sampled_from(Role),
    st.none() | st.floats(0, 1),
    anything,
    st.none() | anything | st.dictionaries(anything, st.integers() | st.booleans(), max_size=2),
    anything,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(results, max_size=4))
def test_whatever_a_model_writes_can_be_stored(cases: list[CaseResult]) -> None:
    record = RunRecord(run="r1", created="2026-03-14T09:26:53Z", cases=tuple(cases))
    text = record.to_json()
    assert text.isascii()
    back = RunRecord.from_json(text)
    expected = [encodable(c.as_dict()) for role in Role for c in cases if c.role is role]
    assert [c.as_dict() for c in back.cases] == expected
    assert back.to_json() == text
    json.dumps(back.as_dict(), ensure_ascii=False).encode("utf-8")


def test_half_a_surrogate_pair_is_spelled_out() -> None:
    assert encodable({"a": ["\ud800x", ("é", 1)]}) == {"a": ["\\ud800x", ["é", 1]]}


def test_a_number_that_is_none_cannot_be_written() -> None:
    record = replace(
        stored_record(*two_sides([1.0], [1.0])), environment=Environment(requests={"wanted": math.nan})
    )
    with pytest.raises(HarnessError, match="cannot be written as JSON"):
        record.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"schema_version": 1}, "schema version 1"),
        (lambda d: {k: v for k, v in d.items() if k != "verdicts"}, "'verdicts' is missing"),
        (lambda d: d | {"run": "../x"}, "no run id"),
        (lambda d: d | {"cases": [{}]}, "is missing"),
        (lambda d: d | {"cases": 3}, "not a run record"),
        (lambda d: [d], "expected a JSON object"),
    ],
)
def test_a_damaged_record_is_named(change: Any, message: str) -> None:
    data = json.loads(stored_record(*two_sides([1.0], [1.0])).to_json())
    with pytest.raises(IntegrityError, match=message):
        RunRecord.from_json(json.dumps(change(data)))


@pytest.mark.parametrize("text", ["", "{", "null", '{"schema_version": NaN}', "[" * 100_000])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="not a run record"):
        RunRecord.from_json(text)


def test_run_ids_sort_by_time_and_are_safe_names() -> None:
    early, late = new_run_id("2026-03-14T09:26:53Z"), new_run_id("2026-03-14T10:00:00+00:00")
    assert early.startswith("20260314-092653-")
    assert early < late
    assert is_run_id(new_run_id(utc_now()))
    for name in ("", ".", "..", "../x", "a/b", ".hidden", "a\n", "x" * 81):
        assert not is_run_id(name)


def test_results_of_a_verdict_are_found_by_spec_or_name() -> None:
    ours, theirs = two_sides([1.0], [0.0])
    record = stored_record(ours, theirs)
    renamed = replace(
        record,
        verdicts=(replace(record.verdicts[0], checkpoint="short"),),
        checkpoints=(RunCheckpoint(spec=ours[0].checkpoint, name="short", role="candidate"),),
    )
    assert record.results(record.verdicts[0]) == tuple(ours)
    assert record.results(record.verdicts[0], Role.BASELINE) == tuple(theirs)
    assert renamed.results(renamed.verdicts[0]) == tuple(ours)


def test_outcomes_stay_what_they_were() -> None:
    ours = [case_result("a", 0.0, outcome=Outcome.INVALID), case_result("b", None, skipped="xfail")]
    back = RunRecord.from_json(RunRecord(run="r", created=utc_now(), cases=tuple(ours)).to_json())
    assert list(back.cases) == ours
