"""promptfoo's test cases: YAML of `prompts` and `tests` with `vars` and `assert`.

Field meanings: https://www.promptfoo.dev/docs/configuration/reference/. Templates are filled with plain
`{{name}}` only: nothing of the file is executed, and JavaScript or Python assertions are refused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError, HarnessError
from harness.files.read_yaml import load_yaml, parse_yaml
from harness.interchange.format import Format, Row, as_id, only_text

__all__ = ["PROMPTFOO"]

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TEMPLATE = re.compile(r"\{\{.{0,40}|\{%.{0,40}")
_FILE = re.compile(
    r"\s*(?:file|https?|python|exec)://|\s*(?:python|javascript|fn):|\S+\.(?:txt|jsonl?|ya?ml|md|csv|[cm]?[jt]s|py|j2)\s*\Z"
)
"""What promptfoo reads from elsewhere, or runs."""
_TEST_KEYS = frozenset({"assert", "description", "metadata", "vars"})
_ASSERT_KEYS = frozenset({"metric", "type", "value"})
_UNREAD = frozenset({"defaultTest", "extensions", "nunjucksFilters", "scenarios"})
"""What changes every test of a file, and is refused; what says which models to ask, and how, is left out."""
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
    if (
        not isinstance(document, Mapping)
        or not isinstance(document.get("tests"), list)
        or not document["tests"]
    ):
        raise GoldenSetError("has no list of `tests`", path=path)
    if unread := _UNREAD & document.keys():
        raise GoldenSetError(f"`{min(unread)}` is not read: write what it says into each test", path=path)
    prompts = document.get("prompts") or ["{{input}}"]
    if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
        raise GoldenSetError("prompts must be texts in this file (no other files, no chat arrays)", path=path)
    for prompt in prompts:
        _refuse_file(prompt, "prompts", path)
    for number, test in enumerate(document["tests"], start=1):
        _only(test, _TEST_KEYS, f"test {number}", path)
        variables = test.get("vars") or {}
        if not isinstance(variables, Mapping) or any(isinstance(v, (list, dict)) for v in variables.values()):
            raise GoldenSetError(f"test {number}: vars must be names with one plain value each", path=path)
        for name, value in variables.items():
            _refuse_file(value, f"test {number}: vars.{name}", path)
            if isinstance(value, str) and _TEMPLATE.search(value):
                raise GoldenSetError(
                    f"test {number}: vars.{name} is a template, which is not filled", path=path
                )
        asserts = test.get("assert") or []
        if not isinstance(asserts, list):
            raise GoldenSetError(f"test {number}: assert must be a list", path=path)
        for index, prompt in enumerate(prompts):
            name = as_id(test.get("description"), f"{path.stem}-{number:04d}")
            row: Row = {"id": name if len(prompts) == 1 else f"{name}-p{index + 1}"}
            row["input"] = _filled(prompt, variables, path, number)
            if asserts:
                row["checks"] = [_check(each, variables, path, number) for each in asserts]
            row["metadata"] = {"vars": dict(variables)}
            yield row


def _refuse_file(value: Any, what: str, path: Path) -> None:
    if isinstance(value, str) and _FILE.match(value):
        raise GoldenSetError(
            f"{what} is {value.strip()!r}, which is not read: write its text here", path=path
        )


def _only(value: Any, keys: frozenset[str], what: str, path: Path) -> None:
    """Refuse what is no mapping of these keys: another one would change what is asked or scored.

    Raises:
        GoldenSetError: It names the first other key.
    """
    if not isinstance(value, Mapping):
        raise GoldenSetError(f"{what}: expected a mapping, found {type(value).__name__}", path=path)
    if other := [key for key in value if key not in keys]:
        raise GoldenSetError(f"{what}: `{other[0]}` is not read; known: {', '.join(sorted(keys))}", path=path)


def _filled(template: str, variables: Mapping[str, Any], path: Path, number: int) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise GoldenSetError(
                f"test {number}: the prompt wants {match[0]}, which its vars lack", path=path
            )
        return str(variables[match[1]])

    if found := _TEMPLATE.search(_VARIABLE.sub("", template)):
        raise GoldenSetError(f"test {number}: only {{{{name}}}} is filled in, not {found[0]!r}", path=path)
    return _VARIABLE.sub(value, template)


def _check(each: Any, variables: Mapping[str, Any], path: Path, number: int) -> Row:
    _only(each, _ASSERT_KEYS, f"test {number}: an assertion", path)
    kind, value = each.get("type"), each.get("value")
    if kind == "is-json":
        schema = _schema(value, variables, path, number)
        return {"type": "json_schema", "schema": schema, "strict": True}  # promptfoo parses the whole output
    if kind not in _TEXT_CHECKS:
        known = ", ".join(sorted([*_TEXT_CHECKS, "is-json"]))
        raise GoldenSetError(f"test {number}: assertion {kind!r} is not read; known: {known}", path=path)
    name, parameter, extra = _TEXT_CHECKS[kind]
    if isinstance(value, str) and kind.endswith(("-all", "-any")):
        _refuse_file(value, f"test {number}: the value of {kind}", path)
        value = next(csv.reader([value], skipinitialspace=True), [])  # as promptfoo reads it
        value = [part.strip() for part in value]
    values = [
        _text(one, f"test {number}: the value of {kind}", variables, path, number)
        for one in (value if isinstance(value, list) else [value])
    ]
    single = parameter != "values"
    return {"type": name, parameter: values[0] if single else values, **extra}


def _text(value: Any, what: str, variables: Mapping[str, Any], path: Path, number: int) -> str:
    """Return what an assertion compares with, as a text: numbers are spelled, anything else is refused."""
    _refuse_file(value, what, path)
    text = str(value) if type(value) in (int, float) else value
    if not isinstance(text, str) or not text:
        raise GoldenSetError(f"{what} must be a text or a number, not {value!r}", path=path)
    return _filled(text, variables, path, number)


def _schema(value: Any, variables: Mapping[str, Any], path: Path, number: int) -> Mapping[str, Any]:
    """Return the schema of `is-json`: an object or its text in JSON or YAML; {} where there is none."""
    what = f"test {number}: the schema of is-json"
    if value is None:
        return {}
    if isinstance(value, str):
        _refuse_file(value, what, path)
        try:
            value = parse_yaml(_filled(value, variables, path, number)).value
        except HarnessError as problem:
            raise GoldenSetError(f"{what}: {problem}", path=path) from None
    if not isinstance(value, Mapping) or not value:
        raise GoldenSetError(f"{what} must be an object, not {value!r}", path=path)
    return value


def _write(cases: Sequence[Case]) -> str:
    from ruamel.yaml import YAML

    tests = []
    for case in cases:
        only_text(case, "promptfoo", checks=True)
        if len(case.messages) != 1:
            raise GoldenSetError(f"case {case.id} is a conversation, which promptfoo tests cannot carry here")
        plain = isinstance(case.target, str) and not case.checks
        checks = [{"type": "equals"}] if plain else list(case.checks)
        if case.target is not None and not checks:
            raise GoldenSetError(f"case {case.id}: promptfoo has no assertion like a target that is no text")
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
        if not check.get("strict") and check.get("form") != "strict":
            raise GoldenSetError(
                f"case {case.id}: promptfoo's is-json reads the whole answer alone: make its schema `strict`"
            )
        return {"type": "is-json", "value": dict(check["schema"])}
    kind, parameter = _WRITTEN.get((check["type"], bool(check.get("ignore_case"))), (None, ""))
    if kind is None:
        raise GoldenSetError(f"case {case.id}: promptfoo has no assertion like the check {check['type']}")
    if other := check.keys() - {"type", "ignore_case", parameter}:
        raise GoldenSetError(f"case {case.id}: promptfoo's {kind} has nothing like `{min(other)}`")
    value = check.get(parameter, case.target)
    return {"type": kind, "value": value if isinstance(value, (str, list)) else str(value)}


PROMPTFOO = Format("promptfoo", "promptfoo tests, YAML", (".yaml", ".yml"), _read, _write)
