"""Turn a row of `cases.jsonl` into a case, and say everything that is wrong with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from harness.cases import Case, Message, ToolCall
from harness.files.json_schema import compile_predicate, packaged_schema, violations
from harness.likelihood import Continuation
from harness.scoring.registry import check_problems

__all__ = ["case_problems", "case_row", "parse_case", "read_case"]

_ASKS = ("input", "messages", "turns")
_LISTS = frozenset({"checks", "tags", "tools", "accepts", "rejects"})


def case_problems(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a row, one phrase each, its checks' parameters included; [] if nothing."""
    return read_case(row)[1]


def read_case(row: Mapping[str, Any]) -> tuple[Case | None, list[str]]:
    """Return the case that a row describes and what is wrong with it; no case where it cannot be told."""
    if not _predicate()(row) and (problems := violations(packaged_schema("case"), row)):
        return None, problems
    given = [name for name in _ASKS if name in row]
    likelihood = "choices" in row or "continuation" in row
    if len(given) > 1 or not (given or likelihood):
        found = " and ".join(given) if given else "none of them"
        return None, [f"expected one of input, messages and turns, found {found}"]
    problems = _likelihood_problems(row) if likelihood else []
    if "messages" in row and row["messages"][-1]["role"] not in ("user", "tool"):
        role = row["messages"][-1]["role"]
        problems.append(f"messages: the last one must be the user's (or a tool's), not the {role}'s")
    case = parse_case(row)
    return case, problems + check_problems(case)


def _likelihood_problems(row: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{name}: cannot stand beside choices or continuation: nothing is generated"
        for name in ("turns", "tools")
        if name in row
    ]
    if "choices" in row and "continuation" in row:
        problems.append("expected one of choices and continuation, found both")
    texts = [choice.text for choice in _continuations(row) if choice.prompt is None]
    if len(set(texts)) != len(texts):
        problems.append("choices: one of them is there twice")
    if "choices" in row:
        from harness.scoring.checks.likelihood_checks import target_problem

        for check in row.get("checks") or ({"type": "choice"},):
            target = check.get("target", row.get("target"))
            if check.get("type") == "choice" and target is not None:
                problem = target_problem([choice.text for choice in _continuations(row)], target)
                problems += [] if problem is None else [problem]
    return problems


def parse_case(row: Mapping[str, Any]) -> Case:
    """Return the case that a row without `case_problems` describes."""
    fields: dict[str, Any] = {}
    for name, value in row.items():  # a row has few of the fields that it may have, and a set many rows
        if name in _ASKS:
            continue
        if name in ("choices", "continuation"):
            fields["continuations"] = _continuations(row)
        else:
            fields[name] = tuple(value) if name in _LISTS else value
    if "messages" in row:
        messages = tuple(map(_message, row["messages"]))
    elif "turns" in row:
        messages = (Message("user", row["turns"][0]),)
        fields["turns"] = tuple(row["turns"][1:])
    else:
        messages = (Message("user", row["input"]),) if "input" in row else ()
    return Case(messages=messages, **fields)


def case_row(case: Case) -> dict[str, Any]:
    """Return the row that `parse_case` reads back as this case, without fields that have nothing to say."""
    row: dict[str, Any] = {"id": case.id}
    plain = len(case.messages) == 1 and case.messages[0] == Message("user", case.messages[0].content)
    if case.turns and plain:
        row["turns"] = [case.messages[0].content, *case.turns]
    elif plain:
        row["input"] = case.messages[0].content
    elif case.messages:
        row["messages"] = [message.as_dict() for message in case.messages]
    given = [continuation.as_dict() for continuation in case.continuations]
    texts = [part["text"] if len(part) == 1 else part for part in given]
    if len(texts) == 1:
        row["continuation"] = texts[0]
    elif texts:
        row["choices"] = texts
    for name in ("raw", "must_pass", "must_keep"):
        if getattr(case, name):
            row[name] = True
    for name in ("target", "cluster"):
        if getattr(case, name) is not None:
            row[name] = getattr(case, name)
    for name in ("checks", "tags", "tools", "accepts", "rejects"):
        if getattr(case, name):
            row[name] = list(getattr(case, name))
    if case.metadata:
        row["metadata"] = dict(case.metadata)
    return row


def _continuations(row: Mapping[str, Any]) -> tuple[Continuation, ...]:
    given = row.get("choices", [row["continuation"]] if "continuation" in row else [])
    return tuple(Continuation(text) if isinstance(text, str) else Continuation(**text) for text in given)


def _message(row: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["function"]["name"], call["function"]["arguments"], call.get("id"))
        for call in row.get("tool_calls", ())
    )
    return Message(row["role"], row["content"], calls, row.get("tool_call_id"))


@functools.cache
def _predicate() -> Callable[[Any], bool]:
    return compile_predicate(packaged_schema("case"))
