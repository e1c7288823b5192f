"""promptfoo's test cases: YAML of `prompts` and `tests` with `vars` and `assert`.

Field meanings: https://www.promptfoo.dev/docs/configuration/reference/. Templates are filled with plain
`{{name}}` only: nothing of the file is executed, and JavaScript or Python assertions are refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError, HarnessError
from harness.interchange.format import Format, Row, as_id, only_text
from harness.strict_yaml import load_yaml

__all__ = ["PROMPTFOO"]

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TEXT_CHECKS = {
    "equals": ("equals", "value", {}),
    "contains": ("contains", "value", {}),
    "icontains": ("contains", "value", {"ignore_case": True}),
    "contains-all": ("contains_all", "values", {}),
    "contains-any": ("contains_any", "values", {}),
    "icontains-all": ("contains_all", "values", {"ignore_case": True}),
    "icontains-any": ("contains_any", "values", {"ignore_case": True}),
    "not-contains": ("not_contains", "values", {}),
    "not-icontains": ("not_contains", "values", {"ignore_case": True}),
    "starts-with": ("starts_with", "value", {}),
    "regex": ("regex", "pattern", {}),
}
_WRITTEN = {(name, bool(extra)): (kind, parameter) for kind, (name, parameter, extra) in _TEXT_CHECKS.items()}


def _read(path: Path) -> Iterator[Row]:
    try:
        document = load_yaml(path).value
    except HarnessError as problem:
        raise GoldenSetError(str(problem)) from None
    tests = document.get("tests") if isinstance(document, Mapping) else None
    if not isinstance(tests, list) or not tests:
        raise GoldenSetError("has no list of `tests`", path=path)
    prompts = document.get("prompts") or ["{{input}}"]
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
        raise GoldenSetError("prompts must be texts in this file (no other files, no chat arrays)", path=path)
    for number, test in enumerate(tests, start=1):
        variables = test.get("vars") or {}
        for index, prompt in enumerate(prompts):
            name = as_id(test.get("description"), f"{path.stem}-{number:04d}")
            row: Row = {"id": name if len(prompts) == 1 else f"{name}-p{index + 1}"}
            row["input"] = _filled(prompt, variables, path, number)
            if asserts := test.get("assert"):
                row["checks"] = [_check(each, variables, path, number) for each in asserts]
            row["metadata"] = {"vars": dict(variables)}
            yield row


def _filled(template: str, variables: Mapping[str, Any], path: Path, number: int) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise GoldenSetError(
                f"test {number}: the prompt wants {match[0]}, which its vars lack", path=path
            )
        return str(variables[match[1]])

    return _VARIABLE.sub(value, template)


def _check(each: Mapping[str, Any], variables: Mapping[str, Any], path: Path, number: int) -> Row:
    kind, value = each.get("type"), each.get("value")
    if kind == "is-json":
        return {"type": "json_schema", "schema": value if isinstance(value, Mapping) else {}}
    if kind not in _TEXT_CHECKS:
        known = ", ".join(sorted([*_TEXT_CHECKS, "is-json"]))
        raise GoldenSetError(f"test {number}: assertion {kind!r} is not read; known: {known}", path=path)
    name, parameter, extra = _TEXT_CHECKS[kind]
    values = [
        _filled(each, variables, path, number) if isinstance(each, str) else each
        for each in (value if isinstance(value, list) else [value])
    ]
    single = parameter != "values"
    return {"type": name, parameter: values[0] if single else values, **extra}


def _write(cases: Sequence[Case]) -> str:
    from ruamel.yaml import YAML

    tests = []
    for case in cases:
        only_text(case, "promptfoo")
        if len(case.messages) != 1:
            raise GoldenSetError(f"case {case.id} is a conversation, which promptfoo tests cannot carry here")
        checks = case.checks or (
            [{"type": "equals", "value": case.target}] if case.target is not None else []
        )
        test: Row = {"description": case.id, "vars": {"input": case.input}}
        if checks:
            test["assert"] = [_assertion(case, check) for check in checks]
        tests.append(test)
    stream = io.StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.dump({"prompts": ["{{input}}"], "tests": tests}, stream)
    return stream.getvalue()


def _assertion(case: Case, check: Mapping[str, Any]) -> Row:
    if check["type"] == "json_schema":
        return {"type": "is-json", "value": dict(check["schema"])}
    key = (check["type"], bool(check.get("ignore_case")))
    if key not in _WRITTEN:
        raise GoldenSetError(f"case {case.id}: promptfoo has no assertion like the check {check['type']}")
    kind, parameter = _WRITTEN[key]
    value = check.get(parameter, case.target)
    return {"type": kind, "value": value if isinstance(value, (str, list)) else str(value)}


PROMPTFOO = Format("promptfoo", "promptfoo tests, YAML", (".yaml", ".yml"), _read, _write)
