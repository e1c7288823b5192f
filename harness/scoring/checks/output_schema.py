"""Validate a model's output against a user's JSON Schema, neither of which is trusted.

References never leave the schema, patterns run under a time limit, and a `format` that could not be checked
is refused instead of being ignored.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import ScoringError
from harness.files.json_schema import describe_violation
from harness.scoring.checks.regex_check import compile_pattern, search

__all__ = ["FORMATS", "check_schema", "schema_violations"]

FORMATS = ("date", "date-time", "email", "ipv4", "ipv6", "uuid")
"""The values of `format` that are checked; others are refused."""

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def check_schema(schema: Any) -> None:
    """Refuse a schema that is not valid JSON Schema (2020-12) or asks for what is not done here.

    Raises:
        ValueError: One line that says what is wrong.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as problem:
        raise ValueError(f"not a JSON Schema: {next(describe_violation(problem), problem.message)}") from None
    for part in _objects(schema):
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(part.get(keyword), str) and not part[keyword].startswith("#"):
                raise ValueError(f"{keyword} {part[keyword]!r} leaves the schema: put it under $defs")
        if isinstance(part.get("format"), str) and part["format"] not in FORMATS:
            raise ValueError(
                f"format {part['format']!r} is not checked here; these are: {', '.join(FORMATS)}"
            )
        if isinstance(part.get("pattern"), str):
            compile_pattern(part["pattern"])
        if isinstance(part.get("patternProperties"), dict):
            for pattern in part["patternProperties"]:
                compile_pattern(pattern)
            if "unevaluatedProperties" in part:
                raise ValueError("patternProperties beside unevaluatedProperties is not supported")
    try:
        schema_violations(schema, {})
        schema_violations(schema, [])
    except ScoringError as problem:
        raise ValueError(str(problem)) from None


def schema_violations(schema: Any, value: Any) -> list[str]:
    """Return what is wrong with a value, one phrase a violation, in the order of the places.

    Raises:
        ScoringError: A pattern ran out of time, or a reference leads nowhere or in a circle.
    """
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator_class, formats = _validator()
    validator = validator_class(schema, registry=Registry(), format_checker=formats)
    try:
        errors = list(validator.iter_errors(value))
    except RecursionError:
        raise ScoringError("a reference of the schema leads in a circle") from None
    except Unresolvable as problem:
        raise ScoringError(f"the schema refers to {problem.ref!r}, which it does not define") from None
    errors.sort(key=lambda error: [str(step) for step in error.absolute_path])
    return [phrase for error in errors for phrase in describe_violation(error)]


@functools.cache
def _validator() -> tuple[Any, Any]:
    """Return the validator class whose patterns run under a time limit, and the formats that it checks."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def pattern(validator: Any, expected: str, found: Any, schema: Any) -> Iterator[Any]:
        if isinstance(found, str) and search(compile_pattern(expected), found) is None:
            yield ValidationError(f"does not match {expected!r}")

    def pattern_properties(validator: Any, patterns: Any, found: Any, schema: Any) -> Iterator[Any]:
        if isinstance(found, dict):
            for expected, part in patterns.items():
                for name in [name for name in found if search(compile_pattern(expected), name)]:
                    yield from validator.descend(found[name], part, path=name, schema_path=expected)

    def additional(validator: Any, allowed: Any, found: Any, schema: Any) -> Iterator[Any]:
        if not isinstance(found, dict):
            return
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name in found:
            if name in named or any(search(compile_pattern(pattern), name) for pattern in patterns):
                continue
            if allowed is False:
                yield ValidationError(f"unexpected key {name!r}")
            else:
                yield from validator.descend(found[name], allowed, path=name)

    checker = FormatChecker(formats=[name for name in FORMATS if name != "date-time"])

    def is_date_time(value: object) -> bool:
        if not isinstance(value, str):
            return True
        if not _DATE_TIME.fullmatch(value):
            return False
        datetime.datetime.strptime(value[:19].upper().replace(" ", "T"), "%Y-%m-%dT%H:%M:%S")  # may raise
        return True

    checker.checks("date-time", raises=ValueError)(is_date_time)
    keywords = {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional,
    }
    return extend(Draft202012Validator, keywords), checker  # type: ignore[no-untyped-call]  # it has no hints


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object inside a schema, in data such as `enum` too."""
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
