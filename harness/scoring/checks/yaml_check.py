"""The `yaml` check: is the answer YAML, of the right shape?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.errors import ConfigurationError
from harness.files.read_yaml import parse_yaml
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.output_schema import check_schema, schema_violations
from harness.scoring.text.fences import unfenced
from harness.scoring.text.json_text import difference

__all__ = ["yaml"]


@declare_check(
    "yaml",
    parameters={"schema": {"type": ["object", "boolean"]}, "value": {"type": ["object", "array"]}},
    examples=(
        Example(
            {},
            ("a: 1\nb: [p, q]\n", "Sure:\n```yaml\n- one\n- two\n```"),
            ("just text", "a: [1", "a: 1\na: 2"),
        ),
        Example({"schema": {"required": ["name"]}}, ("name: Ann",), ("nom: Ann",)),
        Example(
            {"value": {"port": 80}},
            ("port: 80",),
            ("port: 81", "port: '80'", "x: !!python/name:os.system a"),
        ),
    ),
)
def yaml(schema: Mapping[str, Any] | bool | None = None, value: Any = None) -> Scorer:
    """The answer is a YAML mapping or list, alone or in the only fenced block: one that the JSON `schema`
    accepts, and equal to `value`, where given. Tags, keys given twice, aliases that fill the memory and
    spellings that YAML versions read differently (`no`, `010`) are invalid.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    if schema is not None:
        check_schema(schema)

    def scorer(case: Case, response: Response) -> Score:
        cut = ": the answer was cut off" if response.truncated else ""
        try:
            found = parse_yaml(unfenced(response.text, ("yaml", "yml")), "line").value
        except (ConfigurationError, ValueError) as problem:
            return Score.invalid(f"no YAML: {problem}{cut}")
        if not isinstance(found, (dict, list)):
            return Score.invalid(f"expected a YAML mapping or list, found plain text{cut}")
        answer = canonical_json(found)
        complaints = [] if schema is None else schema_violations(schema, found)[:5]
        if value is not None and (phrase := difference(value, found)) is not None:
            complaints.append(phrase)
        if complaints:
            return Score.missed("; ".join(complaints), answer)
        if cut:
            return Score.invalid("the answer was cut off, and what is left is YAML by accident", answer)
        return Score.passed(answer)

    return scorer
