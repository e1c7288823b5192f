"""The `json_schema` and `json_equals` checks: is the answer JSON, and is it the right JSON?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.scoring.check_type import CheckType, Example, Scorer
from harness.scoring.json_text import difference, extract_json
from harness.scoring.output_schema import check_schema, schema_violations
from harness.scoring.parameters import FLAG
from harness.strict_json import InvalidJsonError

__all__ = ["JSON_CHECKS"]


def json_schema(schema: Mapping[str, Any] | bool, strict: bool = False) -> Scorer:
    """The answer is JSON that the schema accepts; an answer that is no JSON is invalid."""
    check_schema(schema)

    def judge(value: Any) -> str | None:
        return "; ".join(schema_violations(schema, value)[:5]) or None

    return _scorer(judge, strict)


def json_equals(
    value: Any, ignore_order: bool = False, extra_keys: bool = False, strict: bool = False
) -> Scorer:
    """The answer is JSON equal to `value`; an answer that is no JSON is invalid."""
    return _scorer(
        lambda found: difference(value, found, ignore_order=ignore_order, extra_keys=extra_keys), strict
    )


def _scorer(judge: Callable[[Any], str | None], strict: bool) -> Scorer:
    def scorer(case: Case, response: Response) -> Score:
        try:
            value = extract_json(response.text, strict=strict)
        except InvalidJsonError as problem:
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(f"{problem}{cut}")
        answer, complaint = canonical_json(value), judge(value)
        return Score.passed(answer) if complaint is None else Score.missed(complaint, answer)

    return scorer


JSON_CHECKS = (
    CheckType(
        "json_schema",
        json_schema,
        {"schema": {"type": ["object", "boolean"]}, "strict": FLAG},
        ("schema",),
        examples=(
            Example(
                {"schema": {"type": "object", "required": ["sku"]}},
                ('{"sku": 1}', 'Here:\n```json\n{"sku": 1}\n```'),
                ('{"id": 1}', "sku 1", "[]"),
            ),
        ),
    ),
    CheckType(
        "json_equals",
        json_equals,
        {"value": {}, "ignore_order": FLAG, "extra_keys": FLAG, "strict": FLAG},
        ("value",),
        target="value",
        examples=(
            Example({"value": {"a": [1, 2]}}, ('{"a": [1.0, 2]}',), ('{"a": [2, 1]}', '{"a": true}', "a")),
            Example({"value": [1, 2], "ignore_order": True}, ("[2, 1]",), ("[2]", "[2, 1, 1]")),
        ),
    ),
)
