"""Turn a row of `cases.jsonl` into a case, and say everything that is wrong with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from harness.cases import Case, Message, ToolCall
from harness.json_schema import compile_predicate, packaged_schema, violations
from harness.scoring.registry import check_problems

__all__ = ["case_problems", "parse_case"]

_ASKS = ("input", "messages", "turns")


def case_problems(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a row, one phrase each, its checks' parameters included; [] if nothing."""
    if not _predicate()(row) and (problems := violations(packaged_schema("case"), row)):
        return problems
    given = [name for name in _ASKS if name in row]
    if len(given) != 1:
        found = " and ".join(given) if given else "none of them"
        return [f"expected one of input, messages and turns, found {found}"]
    problems = []
    if "messages" in row and row["messages"][-1]["role"] not in ("user", "tool"):
        role = row["messages"][-1]["role"]
        problems.append(f"messages: the last one must be the user's (or a tool's), not the {role}'s")
    return problems + check_problems(parse_case(row))


def parse_case(row: Mapping[str, Any]) -> Case:
    """Return the case that a row without `case_problems` describes."""
    messages, turns = row.get("messages"), row.get("turns", ())
    if messages is None:
        messages = [{"role": "user", "content": turns[0] if turns else row["input"]}]
    return Case(
        id=row["id"],
        messages=tuple(map(_message, messages)),
        turns=tuple(turns[1:]),
        target=row.get("target"),
        checks=tuple(row.get("checks", ())),
        tags=tuple(row.get("tags", ())),
        cluster=row.get("cluster"),
        must_pass=row.get("must_pass", False),
        tools=tuple(row.get("tools", ())),
        accepts=tuple(row.get("accepts", ())),
        rejects=tuple(row.get("rejects", ())),
        metadata=row.get("metadata", {}),
    )


def _message(row: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["function"]["name"], call["function"]["arguments"], call.get("id"))
        for call in row.get("tool_calls", ())
    )
    return Message(row["role"], row["content"], calls, row.get("tool_call_id"))


@functools.cache
def _predicate() -> Callable[[Any], bool]:
    return compile_predicate(packaged_schema("case"))
