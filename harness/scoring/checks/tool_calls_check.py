"""The `tool_calls` check: does the model call the right functions, with the right arguments?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cases import Case, Response, Score, canonical_json
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG, TEXT, TEXTS
from harness.scoring.checks.tool_call_match import ExpectedCall, match_calls
from harness.scoring.text.tool_call_text import MalformedCallError, calls_in_text, schemas_of

__all__ = ["expected_from_bfcl", "tool_calls"]

_CALL: Mapping[str, Any] = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": TEXT,
        "arguments": {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
        "optional": {**TEXTS, "minItems": 0},
    },
}
_WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


@declare_check(
    "tool_calls",
    parameters={"calls": {"type": "array", "items": _CALL}, "ordered": FLAG, "exact": FLAG},
    examples=(
        Example(
            {
                "calls": [
                    {
                        "name": "weather",
                        "arguments": {"city": ["Oslo"], "days": [1]},
                        "optional": ["days"],
                    }
                ]
            },
            (
                '<tool_call>\n{"name": "weather", "arguments": {"city": "oslo"}}\n</tool_call>',
                '{"name": "weather", "parameters": {"city": "Oslo", "days": 1}}',
                "weather(city='Oslo')",
            ),
            (
                "It will rain in Oslo.",
                '{"name": "forecast", "arguments": {"city": "Oslo"}}',
                "weather(city='Bergen')",
                "weather(city='Oslo', days='1')",
                "weather(city='Oslo', unit='C')",
                "weather()",
                "[weather(city='Oslo'), weather(city='Oslo')]",
                '<tool_call>{"name": "weather"',
            ),
            tools=(_WEATHER,),
        ),
        Example({"calls": []}, ("I can help with that.",), ("weather(city='Oslo')",), tools=(_WEATHER,)),
        Example(
            {
                "calls": [
                    {"name": "weather", "arguments": {"city": ["Oslo"]}},
                    {"name": "weather", "arguments": {"city": ["Rome"]}},
                ],
                "ordered": True,
            },
            accepts=("[weather(city='Oslo'), weather(city='Rome')]",),
            rejects=("[weather(city='Rome'), weather(city='Oslo')]",),
            tools=(_WEATHER,),
        ),
        Example(
            {"calls": [{"name": "weather", "arguments": {"city": ["Oslo"]}}], "exact": True},
            accepts=("weather(city='Oslo')",),
            rejects=("weather(city='oslo')",),
            tools=(_WEATHER,),
        ),
    ),
)
def tool_calls(calls: Sequence[Mapping[str, Any]], ordered: bool = False, exact: bool = False) -> Scorer:
    """The answer makes exactly `calls`, in any order unless `ordered`; with `calls` empty it makes none. A
    call is `{"name", "arguments": {parameter: [acceptable values]}, "optional": [parameters]}`. Types must be
    those of the case's `tools` (an integer serves for a float, never the reverse), parameters that are not
    listed are wrong, strings are compared without case, and without blanks and `,.-_` between words, unless
    `exact`. Calls are read from the response or else from its text, in the notation of any family that vLLM
    or llama.cpp reads; what looks like a call and cannot be read is invalid.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    expected = [_expected(call, exact) for call in calls]

    def scorer(case: Case, response: Response) -> Score:
        try:
            made = response.tool_calls or calls_in_text(response.text, case.tools)
        except MalformedCallError as problem:
            cut = ": the answer was cut off" if response.truncated else ""
            return Score.invalid(f"{problem}{cut}")
        answer = canonical_json([{"name": c.name, "arguments": dict(c.arguments)} for c in made])
        if not made and expected:
            if response.truncated:
                return Score.invalid("the answer was cut off before any call")
            return Score.missed(f"no call, expected {', '.join(repr(call.name) for call in expected)}")
        complaint = match_calls(expected, made, schemas_of(case.tools), ordered=ordered)
        return Score.passed(answer) if complaint is None else Score.missed(complaint, answer)

    return scorer


def expected_from_bfcl(
    possible_answer: Sequence[Mapping[str, Mapping[str, Sequence[Any]]]],
) -> list[dict[str, Any]]:
    """Return the `calls` parameter for a `possible_answer` of the Berkeley Function-Calling Leaderboard.

    There, an empty string among the acceptable values says that the parameter may be left out.
    """
    return [
        {
            "name": name,
            "arguments": {key: list(values) for key, values in arguments.items()},
            "optional": [key for key, values in arguments.items() if "" in values],
        }
        for call in possible_answer
        for name, arguments in call.items()
    ]


def _expected(call: Mapping[str, Any], exact: bool) -> ExpectedCall:
    arguments, optional = call.get("arguments", {}), call.get("optional", [])
    unknown = [name for name in optional if name not in arguments]
    if unknown:
        raise ValueError(f"{call['name']}: optional {unknown[0]!r} has no acceptable values in `arguments`")
    return ExpectedCall(call["name"], arguments, frozenset(optional), exact)
