"""Every answer that served models are known to give: read rightly, or an error that says what it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from anthropic_behaviours import ANTHROPIC
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import KEY, Body, LoopbackLLM, Status, give_key
from openai_behaviours import OPENAI
from served_behaviours import CASES, Behaviour

from harness.cases import Case, Message, Request, Response, Sampling
from harness.errors import CheckpointError, ConfigurationError, InferenceError
from harness.plugins.backends.answering_model import is_same_model, read_aliases
from harness.plugins.backends.anthropic import AnthropicBackend
from harness.plugins.backends.anthropic_message import read_message
from harness.plugins.backends.api_call import ApiCall
from harness.plugins.backends.api_error import ApiError, error_in, meaning
from harness.plugins.backends.asking import RejectedError, UnavailableError, UnreadableError
from harness.plugins.backends.chat_completion import read_chat_completion
from harness.plugins.backends.endpoint import ApiKey, Endpoint, ServedModel
from harness.plugins.backends.finish_reason import normalise
from harness.plugins.backends.openai import OpenAIBackend
from harness.protocols import BackendOptions
from harness.scoring import score

pytestmark = pytest.mark.needs("openai", "anthropic")

BEHAVIOURS: Mapping[str, Sequence[Behaviour]] = {"openai": OPENAI, "anthropic": ANTHROPIC}
BACKENDS: Mapping[str, type[OpenAIBackend] | type[AnthropicBackend]] = {
    "openai": OpenAIBackend,
    "anthropic": AnthropicBackend,
}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        give_key(patch)
        yield


def ask(provider: str, server: LoopbackLLM, requests: Sequence[Request], **arguments: str) -> list[Response]:
    """Ask all at once, each with one attempt; as many in a row may fail as there are."""
    given = {"max_retries": "0", "timeout": "60"} | arguments
    options = BackendOptions(Path.cwd(), Path.cwd(), concurrency=len(requests), arguments=given)
    backend = BACKENDS[provider](options)
    url = server.openai_url if provider == "openai" else server.anthropic_url
    answers = dict(backend.generate(backend.resolve(f"gpt@{url}", f"{provider}/gpt"), requests))
    return [answers[index] for index in range(len(requests))]


def request(behaviour: Behaviour, **sampling: Any) -> Request:
    tools = tuple(CASES[behaviour.asks].get("tools", ()))
    return Request((Message("user", behaviour.name),), Sampling(**{"max_tokens": 64} | sampling), tools=tools)


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str], Response]:
    """The answers of both backends to all behaviours, by wire format and name."""
    found = {}
    for provider, behaviours in BEHAVIOURS.items():
        by_name = {behaviour.name: behaviour.answer for behaviour in behaviours}
        assert len(by_name) == len(behaviours)
        with LoopbackLLM(lambda question, by_name=by_name: by_name[question.text]) as server:
            given = ask(provider, server, [request(behaviour) for behaviour in behaviours])
        found.update({(provider, one.name): answer for one, answer in zip(behaviours, given, strict=True)})
    return found


@pytest.mark.parametrize(
    ("provider", "behaviour"),
    [
        pytest.param(provider, behaviour, id=f"{provider}-{behaviour.name}")
        for provider, behaviours in BEHAVIOURS.items()
        for behaviour in behaviours
    ],
)
def test_it_is_read_rightly_or_ends_in_an_error_that_says_why(
    answers: dict[tuple[str, str], Response], provider: str, behaviour: Behaviour
) -> None:
    response = answers[provider, behaviour.name]
    fields = {name: value for name, value in CASES[behaviour.asks].items() if name in ("checks", "tools")}
    case = Case(behaviour.name, (Message("user", "Where?"),), **{k: tuple(v) for k, v in fields.items()})
    try:
        given = score(case, response)
        outcome, why = str(given.outcome), f"{given.explanation}"
    except InferenceError as error:
        outcome, why = "error", str(error)
    assert (outcome, behaviour.says in why) == (behaviour.outcome, True), f"{outcome}: {why}\n{response}"
    assert "\n" not in (response.detail or "")
    assert Response.from_dict(response.as_dict()) == response


def test_what_came_with_an_answer(answers: dict[tuple[str, str], Response]) -> None:
    def told(provider: str, name: str) -> tuple[Any, ...]:
        found = answers[provider, name]
        return found.finish_reason, found.prompt_tokens, found.completion_tokens, found.model

    assert told("openai", "plain") == ("stop", 9, 5, "gpt")
    assert told("openai", "dated model") == ("stop", 9, 5, "gpt-2026-08-06")
    assert told("openai", "usage missing") == ("stop", None, None, "gpt")
    assert told("openai", "usage of fractions") == ("stop", 9, 5, "gpt")
    assert told("openai", "reason stop at the limit") == ("length", 9, 64, "gpt")
    assert told("openai", "reason model_length") == ("length", 9, 5, "gpt")
    assert told("openai", "model missing") == ("stop", 9, 5, None)
    assert told("anthropic", "plain") == ("stop", 9, 5, "gpt")
    assert told("anthropic", "dated model") == ("stop", 9, 5, "gpt-20260806")
    assert told("anthropic", "usage missing") == ("stop", None, None, "gpt")


def test_an_unread_call_is_no_absence_of_calls(answers: dict[tuple[str, str], Response]) -> None:
    broken = answers["openai", "one of two broken"]
    assert [call.name for call in broken.tool_calls] == ["now"]
    assert len(broken.unread_calls) == 1
    assert broken.unusable == broken.unread_calls[0]
    assert answers["openai", "call"].unusable is None


@pytest.mark.parametrize("provider", sorted(BACKENDS))
def test_what_is_not_understood_is_not_asked_again(provider: str) -> None:
    name = {"openai": "reason unknown", "anthropic": "pause_turn"}[provider]
    (behaviour,) = (one for one in BEHAVIOURS[provider] if one.name == name)
    with LoopbackLLM(lambda _: behaviour.answer) as server:
        (answer,) = ask(provider, server, [request(behaviour)], max_retries="3")
        assert server.attempts == 1
    assert answer.failed


def test_what_is_left_out_already_stays_in_the_remedy() -> None:
    (behaviour,) = (one for one in OPENAI if one.name == "no temperature")
    with LoopbackLLM(lambda _: behaviour.answer) as server:
        (answer,) = ask("openai", server, [request(behaviour)], omit="seed")
        (sent,) = (question.body for question in server.questions)
    assert "seed" not in sent
    assert "-M omit=seed,temperature:" in str(answer.detail)


def test_a_refused_stop_is_told_from_the_verb() -> None:
    messages = {"stop sequences are not supported": True, "please stop sending this": False}
    for message, is_about_it in messages.items():
        with LoopbackLLM(lambda _, message=message: Status(400, message)) as server:
            (answer,) = ask("openai", server, [Request((Message("user", "Hi"),), Sampling(stop=("END",)))])
        assert ("-M omit=stop" in str(answer.detail)) == is_about_it


def test_anthropic_names_the_version_that_sends_no_temperature() -> None:
    refusal = Status(400, "temperature: is not supported by this model")
    with LoopbackLLM(lambda _: refusal) as server:
        (old,) = ask("anthropic", server, [Request((Message("user", "Hi"),))], api_version="2023-06-01")
        (new,) = ask("anthropic", server, [Request((Message("user", "Hi"),))])
    assert "-M api_version=2026-10-21" in str(old.detail)
    assert "-M " not in str(new.detail)


@pytest.mark.parametrize("provider", sorted(BACKENDS))
def test_a_user_may_say_what_a_model_is_called_in_its_answers(provider: str) -> None:
    (behaviour,) = (one for one in BEHAVIOURS[provider] if one.name == "another model")
    name = dataclasses.asdict(behaviour)["answer"]["value"]["model"]
    with LoopbackLLM(lambda _: behaviour.answer) as server:
        (said,) = ask(provider, server, [request(behaviour)], answers_as=f"other=x, gpt={name}")
        (not_said,) = ask(provider, server, [request(behaviour)], answers_as=f"other={name}")
    assert (said.text, said.model) == ("Paris", name)
    assert not_said.failed
    with pytest.raises(ConfigurationError, match="-M answers_as=gpt: expected ASKED=ANSWERED"):
        ask(provider, server, [request(behaviour)], answers_as="gpt")


@pytest.mark.parametrize(
    ("asked", "answered", "is_same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "GPT-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("mistral-large-latest", "mistral-large-2411", True),
        ("gemini-1.5-pro", "models/gemini-1.5-pro-002", True),
        ("org/model", "model", True),
        ("router/org/model", "org/model", True),
        ("model", "/srv/models/model.gguf", True),
        ("llama3", "llama3:latest", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", False),
        ("gpt-4o-2024-08-06", "gpt-4o", False),
        ("base:adapter", "base", False),
        ("adapter", "base", False),
        ("mine/model", "theirs/model", False),
        ("llama3:8b", "llama3:70b", False),
        ("checkpoint-3", "checkpoint-300", False),
        ("checkpoint", "checkpoint-300", False),
        ("model", "model-v2", False),
        ("model", "model-1399", False),
        ("latest", "-2024-08-06", False),
        ("-latest", "-2024-08-06", False),
        ("model", "", False),
    ],
)
def test_which_names_stand_for_one_model(asked: str, answered: str, is_same: bool) -> None:
    assert is_same_model(asked, answered) == is_same


def test_aliases() -> None:
    assert read_aliases("") == {}
    assert read_aliases("a=b, a=c ,d=e") == {"a": ("b", "c"), "d": ("e",)}
    for bad in ("a", "a=", "=b", "a=b=c", "a=b,c"):
        with pytest.raises(ConfigurationError, match="expected ASKED=ANSWERED"):
            read_aliases(bad)


def test_finish_reasons_are_read_in_any_spelling() -> None:
    assert [normalise(word) for word in ("Stop", "TOOL-CALLS", "max_tokens", "ABORT")] == [
        "stop",
        "tool_calls",
        "length",
        "error",
    ]
    assert [normalise(word) for word in ("", "stopped", "pause_turn", "null")] == [None] * 4


# --- whatever comes --------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MODEL = ServedModel(Endpoint.parse("http://localhost:1/v1", "test"), "gpt", ApiKey(KEY, "KEY"))
READERS = {"openai": read_chat_completion, "anthropic": read_message}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value within a JSON value."""
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in held:
        yield (*path, name)
        yield from places(inner, (*path, name))


def put(value: Any, path: Sequence[Any], other: Any) -> Any:
    """Return a JSON value with another one put in a place of it."""
    if not path:
        return other
    if isinstance(value, dict):
        return {**value, path[0]: put(value[path[0]], path[1:], other)}
    return [put(held, path[1:], other) if n == path[0] else held for n, held in enumerate(value)]


@pytest.mark.parametrize("provider", sorted(READERS))
@settings(deadline=None)
@given(data=st.data())
def test_any_body_is_read_or_refused(provider: str, data: st.DataObject) -> None:
    bodies = [one.answer.value for one in BEHAVIOURS[provider] if isinstance(one.answer, Body)]
    body = data.draw(st.sampled_from([body for body in bodies if isinstance(body, dict)]))
    way = data.draw(st.sampled_from(list(places(body))))
    spoilt = put(body, way, data.draw(ANY_JSON))
    try:
        response = READERS[provider](spoilt, 1.0, max_tokens=64)
    except (UnavailableError, UnreadableError):
        return
    assert Response.from_dict(json.loads(json.dumps(response.as_dict()))) == response


@settings(deadline=None)
@given(body=ANY_JSON, status=st.sampled_from([200, 302, 400, 401, 404, 413, 422, 429, 500]), said=st.text())
def test_any_error_means_something(body: Any, status: int, said: str) -> None:
    call = ApiCall(print, {"temperature": 0, "stop": ["END"]}, lambda *_: Response(""), max_tokens=64)
    errors = [error_in(body) if isinstance(body, dict) else None, ApiError(status, said, said)]
    for error in [error for error in errors if error is not None]:
        meant = meaning(error, call, MODEL)
        assert isinstance(meant, (Response, UnavailableError, RejectedError, CheckpointError))
