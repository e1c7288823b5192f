"""What a case asks next."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cases import Case, Message, Request, Response, Sampling, ToolCall
from harness.engine.dialogue import next_request
from harness.likelihood import Continuation

SAMPLING = Sampling(max_tokens=7, seed=3)
TOOL = {"type": "function", "function": {"name": "f"}}


def case(*messages: Message, **fields: Any) -> Case:
    return Case("c1", messages, **fields)


def user(text: str) -> Message:
    return Message("user", text)


def spoken(request: Request | None) -> list[tuple[str, str]] | None:
    return None if request is None else [(message.role, message.content) for message in request.messages]


def test_a_case_of_one_question_asks_it_once() -> None:
    single = case(Message("system", "be brief"), user("hello"), tools=(TOOL,))
    request = next_request(single, SAMPLING, 2, [])
    assert request == Request(single.messages, SAMPLING, 2, (TOOL,), "c1")
    assert next_request(single, SAMPLING, 2, [Response("hi")]) is None


@pytest.mark.parametrize("raw", [False, True])
def test_a_raw_prompt_stays_raw(raw: bool) -> None:
    request = next_request(case(user("1 + 1 ="), raw=raw), SAMPLING, 0, [])
    assert request is not None
    assert request.raw is raw


def test_turns_follow_one_another_with_the_answers_between_them() -> None:
    talk = case(Message("system", "s"), turns=("one", "two", "three"))
    assert spoken(next_request(talk, SAMPLING, 0, [])) == [("system", "s"), ("user", "one")]
    call = ToolCall("f", {"x": 1}, "7")
    first, second, third = Response("A", tool_calls=(call,)), Response("B"), Response("C")
    request = next_request(talk, SAMPLING, 0, [first])
    assert spoken(request) == [("system", "s"), ("user", "one"), ("assistant", "A"), ("user", "two")]
    assert request is not None
    assert request.messages[2].tool_calls == (call,)
    assert spoken(next_request(talk, SAMPLING, 0, [first, second])) == [
        ("system", "s"),
        ("user", "one"),
        ("assistant", "A"),
        ("user", "two"),
        ("assistant", "B"),
        ("user", "three"),
    ]
    assert next_request(talk, SAMPLING, 0, [first, second, third]) is None


def test_a_question_of_its_own_comes_before_the_turns() -> None:
    talk = case(user("zero"), turns=("one",))
    assert spoken(next_request(talk, SAMPLING, 0, [])) == [("user", "zero")]
    asked = next_request(talk, SAMPLING, 0, [Response("A")])
    assert spoken(asked) == [("user", "zero"), ("assistant", "A"), ("user", "one")]
    assert next_request(talk, SAMPLING, 0, [Response("A"), Response("B")]) is None


def test_a_conversation_that_ends_with_the_assistant_goes_on_with_a_turn() -> None:
    talk = case(user("zero"), Message("assistant", "fixed"), turns=("one", "two"))
    opening = [("user", "zero"), ("assistant", "fixed"), ("user", "one")]
    assert spoken(next_request(talk, SAMPLING, 0, [])) == opening
    asked = next_request(talk, SAMPLING, 0, [Response("A")])
    assert spoken(asked) == [*opening, ("assistant", "A"), ("user", "two")]


def test_a_conversation_that_ends_with_the_assistant_and_has_no_turns_is_asked_as_it_is() -> None:
    talk = case(user("zero"), Message("assistant", "And so"))
    assert spoken(next_request(talk, SAMPLING, 0, [])) == [("user", "zero"), ("assistant", "And so")]


@pytest.mark.parametrize(
    ("reason", "goes_on"), [("stop", True), ("length", True), ("error", False), ("context_overflow", False)]
)
def test_a_turn_without_an_answer_ends_the_dialogue(reason: str, goes_on: bool) -> None:
    talk = case(turns=("one", "two", "three"))
    asked = next_request(talk, SAMPLING, 0, [Response("A"), Response("", reason)])
    assert (asked is not None) is goes_on


def test_likelihoods_are_asked_once_and_drawn_by_nobody() -> None:
    """Their key holds no sampling: the same question under another temperature is the same question."""
    choices = (Continuation(" yes"), Continuation(" no"))
    asks = case(user("which?"), continuations=choices, raw=True)
    request = next_request(asks, SAMPLING, 4, [])
    assert request == Request(asks.messages, case_id="c1", continuations=choices, raw=True)
    assert next_request(asks, SAMPLING, 0, [Response("")]) is None
