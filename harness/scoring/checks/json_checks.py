"""Checks of JSON: is the answer JSON, of the right shape, with the right values?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.files.read_json import InvalidJsonError
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.json_fields import compare_fields, parse_path
from harness.scoring.checks.output_schema import check_schema, schema_violations
from harness.scoring.checks.parameters import FLAG, NORMALIZE, SHARE, TEXT, TEXTS
from harness.scoring.text.json_text import FORMS, difference, extract_json, find_json

__all__ = ["json_equals", "json_fields", "json_parses", "json_schema"]

Judge = Callable[[Any], "str | None"]

_FORM: Mapping[str, Any] = {"type": "string", "enum": list(FORMS)}


@declare_check(
    "json",
    parameters={
        "form": _FORM,
        "credit": {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(FORMS, SHARE),
        },
    },
    examples=(
        Example({"form": "strict"}, ('{"a": 1}', " [1] "), ('```json\n{"a": 1}\n```', "Sure: {}")),
        Example(
            {},
            ('Here:\n```json\n{"a": 1}\n```', '```json\n{"a": 1}\n```\nSend it:\n```bash\ncurl x\n```'),
            ('Here: {"a": 1}', "```\n{}\n```\n```\n{}\n```", "```json\n1\n```\n```json\n2\n```"),
        ),
        Example({"form": "embedded"}, ('It is {"a": "}"}, see [1].',), ("{} or {}", '{"a": ')),
    ),
)
def json_parses(form: str = "fenced", credit: Mapping[str, float] | None = None) -> Scorer:
    """The answer is JSON: nothing else (`strict`), in the only fenced block or the only one marked `json`
    (`fenced`, the default), or the only object or array in prose (`embedded`); each form accepts those before
    it. `credit` scores a form below 1.
    """  # noqa: D205  (one paragraph is the documentation of the check)

    def scorer(case: Case, response: Response) -> Score:
        try:
            value, found = find_json(response.text, form=form)
        except InvalidJsonError as problem:
            return _no_json(problem, response)
        worth = (credit or {}).get(found, 1.0)
        return graded(worth, worth, f"{found} JSON", canonical_json(value))

    return scorer


@declare_check(
    "json_schema",
    parameters={"schema": {"type": ["object", "boolean"]}, "strict": FLAG, "form": _FORM},
    examples=(
        Example(
            {"schema": {"type": "object", "required": ["sku"]}},
            ('{"sku": 1}', 'Here:\n```json\n{"sku": 1}\n```'),
            ('{"id": 1}', "sku 1", "[]"),
        ),
        Example({"schema": {"type": "array"}, "strict": True}, ("[1]",), ("```\n[1]\n```",)),
        Example(
            {"schema": {"required": ["a"]}, "form": "embedded"},
            ('It is {"a": 1}.',),
            ('It is {"b": 1}.',),
        ),
    ),
)
def json_schema(schema: Mapping[str, Any] | bool, strict: bool = False, form: str | None = None) -> Scorer:
    """The answer is JSON that the schema (2020-12) accepts; an answer that is no JSON is invalid. The path of
    each of the first five errors is said. A `format` that is not checked here is refused.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    check_schema(schema)

    def judge(value: Any) -> str | None:
        return "; ".join(schema_violations(schema, value)[:5]) or None

    return _scorer(judge, _form(strict, form))


@declare_check(
    "json_equals",
    parameters={"value": {}, "ignore_order": FLAG, "extra_keys": FLAG, "strict": FLAG, "form": _FORM},
    target="value",
    examples=(
        Example({"value": {"a": [1, 2]}}, ('{"a": [1.0, 2]}',), ('{"a": [2, 1]}', '{"a": true}', "a")),
        Example({"value": [1, 2], "ignore_order": True}, ("[2, 1]",), ("[2]", "[2, 1, 1]")),
        Example({"value": {"a": 1}, "extra_keys": True}, ('{"a": 1, "b": 2}',), ('{"b": 2}',)),
        Example({"value": [1], "strict": True}, ("[1]",), ("```\n[1]\n```",)),
        Example({"value": {"a": 1}, "form": "embedded"}, ('It is {"a": 1}.',), ('It is {"a": 2}.',)),
    ),
)
def json_equals(
    value: Any,
    ignore_order: bool = False,
    extra_keys: bool = False,
    strict: bool = False,
    form: str | None = None,
) -> Scorer:
    """The answer is JSON equal to `value`, numbers by value; an answer that is no JSON is invalid."""

    def judge(found: Any) -> str | None:
        return difference(value, found, ignore_order=ignore_order, extra_keys=extra_keys)

    return _scorer(judge, _form(strict, form))


@declare_check(
    "json_fields",
    parameters={
        "fields": {"type": "object", "minProperties": 1, "propertyNames": TEXT},
        "present": TEXTS,
        "at_least": SHARE,
        "tolerance": {"type": "number", "minimum": 0},
        "normalize": NORMALIZE,
        "form": _FORM,
    },
    examples=(
        Example(
            {"fields": {"name": "Ann", "items[0].price": 9.5}, "present": ["note"]},
            ('{"name": "Ann ", "items": [{"price": 9.50}], "note": null, "id": 3}',),
            (
                '{"name": "Ann", "items": [{"price": 9.5}]}',
                '{"name": "Ann", "items": [], "note": ""}',
                '{"name": "Bob", "items": [{"price": "9.5"}], "note": ""}',
                "Ann",
            ),
        ),
        Example({"fields": {"a": 1, "b": 2}, "at_least": 0.5}, ('{"a": 1}',), ('{"a": 2}',)),
        Example({"fields": {"a": 1.5}, "tolerance": 0.1}, ('{"a": 1.45}',), ('{"a": 1.7}',)),
        Example(
            {"fields": {"a": "Oslo"}, "normalize": ["casefold"]}, ('{"a": "OSLO"}',), ('{"a": "Bergen"}',)
        ),
        Example({"fields": {"a": 1}, "form": "strict"}, ('{"a": 1}',), ('```\n{"a": 1}\n```',)),
    ),
)
def json_fields(
    fields: Mapping[str, Any] | None = None,
    present: Sequence[str] = (),
    at_least: float = 1.0,
    tolerance: float = 0.0,
    normalize: Sequence[str] = ("strip",),
    form: str = "fenced",
) -> Scorer:
    """The answer is a JSON object whose `fields` (path such as `items[0].sku` → value) have these values, and
    in which the paths under `present` exist. The score is the share that is right; it passes from `at_least`
    (default all) on. Texts are compared after `normalize`, numbers within `tolerance`.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    expected = {path: (parse_path(path), value) for path, value in (fields or {}).items()}
    wanted = {path: parse_path(path) for path in present}
    if not expected and not wanted:
        raise ValueError("give `fields` or `present`")

    def scorer(case: Case, response: Response) -> Score:
        try:
            value = extract_json(response.text, form=form)
        except InvalidJsonError as problem:
            return _no_json(problem, response)
        wrong = compare_fields(value, expected, wanted, tolerance=tolerance, normalize=normalize)
        count = len(expected) + len(wanted)
        measure = f"{count - len(wrong)} of {count} fields right,"
        return graded(
            (count - len(wrong)) / count, at_least, measure, canonical_json(value), "; ".join(wrong)
        )

    return scorer


def _scorer(judge: Judge, form: str) -> Scorer:
    def scorer(case: Case, response: Response) -> Score:
        try:
            value = extract_json(response.text, form=form)
        except InvalidJsonError as problem:
            return _no_json(problem, response)
        answer, complaint = canonical_json(value), judge(value)
        return Score.passed(answer) if complaint is None else Score.missed(complaint, answer)

    return scorer


def _form(strict: bool, form: str | None) -> str:
    if strict and form not in (None, "strict"):
        raise ValueError(f"`strict` and form {form!r} contradict each other")
    return "strict" if strict else form or "fenced"


def _no_json(problem: InvalidJsonError, response: Response) -> Score:
    cut = ": the answer was cut off" if response.truncated else ""
    return Score.invalid(f"{problem}{cut}")
