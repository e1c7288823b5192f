"""The API backends against a server that speaks their wire formats: answers, faults, deadlines, secrets."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from loopback import KEY, Drip, Hang, LoopbackLLM, Question, Raw, Redirect, Reply, Status, give_key

from harness.cases import Message, Request, Response, Sampling, ToolCall
from harness.errors import CheckpointError, ConfigurationError, UsageError
from harness.plugins.backends.anthropic import AnthropicBackend
from harness.plugins.backends.openai import OpenAIBackend
from harness.protocols import Backend, BackendOptions

pytestmark = pytest.mark.needs("openai", "anthropic")

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Look it up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@dataclass(frozen=True)
class Client:
    """One of the two backends, aimed at a loopback server."""

    provider: str
    kind: type[OpenAIBackend] | type[AnthropicBackend]
    variable: str

    def url(self, server: LoopbackLLM) -> str:
        return server.openai_url if self.provider == "openai" else server.anthropic_url

    def backend(self, concurrency: int = 4, /, **arguments: str) -> OpenAIBackend | AnthropicBackend:
        quick = {"timeout": "2", "deadline": "4", "retry_wait": "0.01"}
        return self.kind(
            BackendOptions(Path.cwd(), Path.cwd(), concurrency=concurrency, arguments=quick | arguments)
        )

    def ask(
        self, server: LoopbackLLM, *requests: Request, concurrency: int = 4, **arguments: str
    ) -> list[Response]:
        backend = self.backend(concurrency, **arguments)
        checkpoint = backend.resolve(f"gpt@{self.url(server)}", "spec")
        answers = dict(backend.generate(checkpoint, requests))
        assert sorted(answers) == list(range(len(requests)))
        return [answers[index] for index in range(len(requests))]


CLIENTS = {
    "openai": Client("openai", OpenAIBackend, "OPENAI_API_KEY"),
    "anthropic": Client("anthropic", AnthropicBackend, "ANTHROPIC_API_KEY"),
}


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = CLIENTS[request.param]
    give_key(monkeypatch)
    return client


def ask(text: str = "Hi", **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**sampling))


def test_both_are_backends(client: Client) -> None:
    assert isinstance(client.backend(), Backend)


def test_an_answer_and_what_came_with_it(client: Client) -> None:
    with LoopbackLLM() as server:
        (answer,) = client.ask(server, ask("Grüße\u2028"))
    assert (answer.text, answer.finish_reason, answer.detail) == ("Grüße\u2028", "stop", None)
    assert answer.model == "gpt"
    assert (answer.prompt_tokens, answer.completion_tokens) == (7 if client.provider == "openai" else 9, 3)
    assert answer.latency_ms is not None
    assert 0 < answer.latency_ms < 2000


def test_many_at_once_but_no_more_than_allowed(client: Client) -> None:
    with LoopbackLLM(delay_s=0.03) as server:
        answers = client.ask(server, *(ask(f"q{number}") for number in range(20)), concurrency=5)
        assert [answer.text for answer in answers] == [f"q{number}" for number in range(20)]
        assert server.most_at_once == 5
        assert server.attempts == 20


def test_answers_come_as_they_are_finished(client: Client) -> None:
    def answers(question: Question) -> str:
        if question.text == "slow":
            time.sleep(0.3)
        return question.text

    with LoopbackLLM(answers) as server:
        backend = client.backend()
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        order = [index for index, _ in backend.generate(checkpoint, [ask("slow"), ask("a"), ask("b")])]
    assert order[-1] == 0


@pytest.mark.parametrize(
    ("ended", "reason"), [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")]
)
def test_finish_reasons(client: Client, ended: str, reason: str) -> None:
    with LoopbackLLM(lambda _: Reply("text", ended)) as server:
        (answer,) = client.ask(server, ask())
    assert (answer.text, answer.finish_reason) == ("text", reason)
    assert (answer.detail is not None) == (reason == "content_filter")


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_answer_is_an_answer(client: Client, text: str | None) -> None:
    with LoopbackLLM(lambda _: Reply(text)) as server:
        (answer,) = client.ask(server, ask())
    assert (answer.text, answer.finish_reason) == ("", "stop")


def test_tools_there_and_back(client: Client) -> None:
    conversation = (
        Message("system", "Be brief."),
        Message("user", "Weather in Rome and Oslo?"),
        Message(
            "assistant",
            "",
            (ToolCall("weather", {"city": "Rome"}, "c1"), ToolCall("weather", {"city": "Oslo"}, "c2")),
        ),
        Message("tool", "sunny", tool_call_id="c1"),
        Message("tool", "snow", tool_call_id="c2"),
    )
    reply = Reply("", "tool_calls", (("weather", {"city": "Bern"}),))
    with LoopbackLLM(lambda _: reply) as server:
        (answer,) = client.ask(server, Request(conversation, tools=(WEATHER,)))
        body = server.questions[0].body
    assert answer.finish_reason == "tool_calls"
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("weather", {"city": "Bern"})]
    if client.provider == "openai":
        assert body["tools"] == [WEATHER]
        assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"city": "Rome"}'
    else:
        assert body["system"] == "Be brief."
        assert body["tools"][0]["input_schema"] == WEATHER["function"]["parameters"]  # type: ignore[index]
        assert [block["tool_use_id"] for block in body["messages"][2]["content"]] == ["c1", "c2"]
        assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use", "tool_use"]


@pytest.mark.parametrize("arguments", ['{"city": ', '["Rome"]', '{"city": NaN}'])
def test_a_call_that_cannot_be_read_is_said(client: Client, arguments: str) -> None:
    with LoopbackLLM(lambda _: Reply("", "tool_calls", (("weather", arguments),))) as server:
        (answer,) = client.ask(server, ask())
    assert not answer.failed
    assert answer.tool_calls == ()
    (unread,) = answer.unread_calls
    assert "the arguments of the call to 'weather'" in unread


def test_openai_sends_the_sampling_and_a_seed_per_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    sampling = Sampling(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",), seed=41)
    requests = [Request((Message("user", "Hi"),), sampling, sample) for sample in range(3)]
    with LoopbackLLM() as server:
        CLIENTS["openai"].ask(server, *requests, concurrency=1)
        CLIENTS["openai"].ask(
            server, requests[0], max_tokens_field="max_completion_tokens", omit="seed, top_p"
        )
        bodies = [question.body for question in server.questions]
    sent = {key: bodies[0][key] for key in ("max_tokens", "temperature", "top_p", "stop", "seed")}
    assert sent == {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 41}
    assert len({body["seed"] for body in bodies[:3]}) == 3
    assert bodies[3]["max_completion_tokens"] == 9
    assert not {"max_tokens", "seed", "top_p"} & set(bodies[3])


def test_openai_itself_is_sent_max_completion_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    backend = CLIENTS["openai"].backend()
    checkpoint = backend.resolve("gpt-x", "openai/gpt-x")
    assert checkpoint.location == "gpt-x@https://api.openai.com/v1"
    from harness.plugins.backends.endpoint import ApiKey, Endpoint
    from harness.plugins.backends.served import ServedModel

    model = ServedModel(Endpoint.parse("https://api.openai.com/v1/", "test"), "gpt-x", ApiKey("x", "X"))
    payload = backend._payload(model, ask(max_tokens=5))
    assert payload["max_completion_tokens"] == 5
    assert "max_tokens" not in payload


def test_anthropic_sends_what_each_version_of_the_api_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    client = CLIENTS["anthropic"]
    request = Request(
        (Message("system", "A"), Message("system", "B"), Message("user", "Hi")),
        Sampling(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",)),
    )
    with LoopbackLLM() as server:
        answers = client.ask(server, request) + client.ask(server, request, api_version="2023-06-01")
        (late,) = client.ask(
            server, Request((Message("user", "Hi"), Message("system", "B"), Message("user", "Ho")))
        )
        new, old = (question.body for question in server.questions)
        location = f"gpt@{server.anthropic_url}"
    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert (new["system"], new["stop_sequences"], new["max_tokens"]) == ("A\n\nB", ["END"], 9)
    assert "temperature" not in new
    assert (old["temperature"], old["top_p"]) == (0.5, 0.9)
    assert late.failed
    assert "system messages only before the first turn" in str(late.detail)
    numerics = [
        client.backend(**arguments).resolve(location, "spec").numerics
        for arguments in ({}, {"api_version": "2023-06-01"})
    ]
    assert [kept["not_sent"] for kept in numerics] == ["seed,temperature,top_p", "seed"]


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        Status(429, headers={"retry-after": "0.05"}),
        Status(429, headers={"retry-after-ms": "50"}),
        Status(500),
        Status(529, "overloaded"),
        Status(408),
        Raw(b"<!DOCTYPE html><html><body>Gateway</body></html>", "text/html"),
        Raw(b"{}"),
        Raw(b"[]"),
        Raw(b'{"choices": [], "content": null}'),
        Raw(b'{"choices": [{"message": null}], "content": "text"}'),
        Raw(b'{"error": {"message": "upstream is away"}}'),
        Raw(b'{"choices": [{"message": {"content": "cut'),
        Raw(b"[" * 100_000),
        Raw(b'{"n": ' + b"9" * 5000 + b"}"),
        Raw(b""),
    ],
    ids=lambda fault: repr(fault)[:40],
)
def test_a_passing_fault_is_retried(client: Client, fault: Any) -> None:
    with LoopbackLLM(script=[fault]) as server:
        (answer,) = client.ask(server, ask("Hi"))
        assert (answer.text, answer.finish_reason) == ("Hi", "stop")
        assert server.attempts == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(503, "down for maintenance"), "answered 503: down for maintenance"),
        (Raw(b"<html>Sorry</html>", "text/html"), "answered 200 with a web page"),
        (Raw(b"{}"), "answered 200 without"),
        (Raw(b'{"error": "no workers"}'), "answered 200 with an error: no workers"),
        (Reply("text", "abort"), "reason 'abort'"),
        (Reply("text", None), "reason None"),
    ],
    ids=repr,
)
def test_a_lasting_fault_is_an_error_and_never_an_answer(client: Client, fault: Any, reason: str) -> None:
    with LoopbackLLM(lambda _: fault) as server:
        (answer,) = client.ask(server, ask(), max_retries="2")
        assert server.attempts == 3
    assert answer.failed
    assert answer.text == ""
    assert reason in str(answer.detail)
    assert "\n" not in str(answer.detail)


def test_what_the_server_rejects_is_not_retried(client: Client) -> None:
    with LoopbackLLM(lambda _: Status(400, "bad\nparameter")) as server:
        (answer,) = client.ask(server, ask())
        assert server.attempts == 1
    assert answer.failed
    assert "rejects the request (400): bad parameter" in str(answer.detail)


def test_spent_credit_is_not_retried(client: Client) -> None:
    quota = Status(429, "You exceeded your current quota", error={"code": "insufficient_quota"})
    with LoopbackLLM(lambda _: quota) as server:
        (answer,) = client.ask(server, ask())
        assert server.attempts == 1
    assert "no credit left (429)" in str(answer.detail)


def test_a_prompt_that_does_not_fit_says_both_lengths(client: Client) -> None:
    message = (
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."
    )
    with LoopbackLLM(lambda _: Status(400, message)) as server:
        (answer,) = client.ask(server, ask())
        assert server.attempts == 1
    assert (answer.text, answer.finish_reason) == ("", "context_overflow")
    assert answer.detail == "prompt of 5000 tokens does not fit the context window of 4096"


def test_the_retry_time_that_a_server_asks_for_is_kept(client: Client) -> None:
    with LoopbackLLM(script=[Status(429, headers={"retry-after": "0.4"})]) as server:
        started = time.monotonic()
        assert client.ask(server, ask("Hi"))[0].text == "Hi"
    assert 0.4 <= time.monotonic() - started < 2


def test_a_retry_time_past_the_deadline_ends_it_at_once(client: Client) -> None:
    for after in ("3600", formatdate(time.time() + 3600, usegmt=True)):
        fault = Status(429, headers={"retry-after": after})
        with LoopbackLLM(script=[fault]) as server:
            started = time.monotonic()
            (answer,) = client.ask(server, ask())
            assert server.attempts == 1
        assert time.monotonic() - started < 2
        assert "asks to wait 3.6e+03 s" in str(answer.detail)


@pytest.mark.parametrize("fault", [Hang(), Drip(0.01)], ids=repr)
def test_a_deadline_holds_whatever_the_server_does(client: Client, fault: Any) -> None:
    with LoopbackLLM(lambda _: fault) as server:
        started = time.monotonic()
        (answer,) = client.ask(server, ask(), timeout="0.25", deadline="0.6")
        took = time.monotonic() - started
        assert server.attempts == 3
    assert took < 2
    assert answer.failed
    assert "no complete answer within" in str(answer.detail)


def test_a_slow_answer_does_not_hold_up_the_others(client: Client) -> None:
    with LoopbackLLM(lambda question: Hang() if question.text == "slow" else "ok") as server:
        slow, *others = client.ask(
            server, ask("slow"), *(ask(str(n)) for n in range(6)), timeout="0.3", max_retries="0"
        )
    assert slow.failed
    assert [answer.text for answer in others] == ["ok"] * 6


def test_a_slow_taker_costs_no_deadline(client: Client) -> None:
    with LoopbackLLM() as server:
        backend = client.backend(1, timeout="0.2")
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        answers = []
        for _, answer in backend.generate(checkpoint, [ask(str(number)) for number in range(3)]):
            time.sleep(0.25)
            answers.append(answer)
    assert not any(answer.failed for answer in answers)


def test_a_server_that_is_not_there(client: Client) -> None:
    with LoopbackLLM() as server:
        pass
    (answer,) = client.ask(server, ask(), max_retries="1")
    assert answer.failed
    assert server.origin in str(answer.detail)


def test_an_outage_is_not_asked_about_again_and_again(client: Client) -> None:
    with LoopbackLLM(lambda _: Status(500, "out")) as server:
        answers = client.ask(
            server, *(ask(str(number)) for number in range(60)), concurrency=2, max_retries="0"
        )
        assert 10 <= server.attempts <= 12
    assert all(answer.failed for answer in answers)
    assert "not asked, the 1" in str(answers[-1].detail)
    assert "answered 500: out" in str(answers[-1].detail)


def test_scattered_failures_are_no_outage(client: Client) -> None:
    with LoopbackLLM(lambda question: Status(500) if int(question.text) % 2 else "ok") as server:
        answers = client.ask(
            server, *(ask(str(number)) for number in range(24)), concurrency=2, max_retries="0"
        )
    assert [answer.failed for answer in answers] == [bool(number % 2) for number in range(24)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(401, "no"), "refuses the key in {variable} (401): no"),
        (Status(403, "no"), "refuses the key in {variable} (403): no"),
        (Status(404, "no such model"), "has no model 'gpt', or no chat API there (404): no such model"),
        (
            Redirect("http://elsewhere.example:8080/v1?token=x"),
            "redirects to http://elsewhere.example, and keys",
        ),
        (Redirect("/v2/chat"), "redirects to another path"),
    ],
    ids=repr,
)
def test_what_would_fail_every_request_is_one_usage_error(client: Client, fault: Any, reason: str) -> None:
    with (
        LoopbackLLM(lambda _: fault, delay_s=0.02) as server,
        pytest.raises(CheckpointError) as caught,
    ):
        client.ask(server, *(ask(str(number)) for number in range(40)), concurrency=4)
    assert server.attempts <= 8
    assert reason.format(variable=client.variable) in str(caught.value)
    assert caught.value.exit_code == 4


def test_answers_before_a_usage_error_are_kept(client: Client) -> None:
    with LoopbackLLM(lambda question: Status(401) if question.text == "3" else "ok") as server:
        backend = client.backend(1)
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        answers = backend.generate(checkpoint, [ask(str(number)) for number in range(6)])
        assert [next(answers)[0] for _ in range(3)] == [0, 1, 2]
        with pytest.raises(CheckpointError):
            next(answers)


def test_stopping_early_abandons_what_is_in_flight(client: Client) -> None:
    with LoopbackLLM(lambda question: Hang() if question.text != "0" else "ok") as server:
        backend = client.backend()
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        answers = backend.generate(checkpoint, [ask(str(number)) for number in range(50)])
        next(answers)
        started = time.monotonic()
        answers.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started < 1
        assert server.attempts < 10


def test_it_works_inside_a_running_event_loop(client: Client) -> None:
    async def notebook() -> list[Response]:
        return client.ask(server, ask("Hi"))

    with LoopbackLLM() as server:
        assert asyncio.run(notebook())[0].text == "Hi"


# Configuration and secrets


def test_what_a_served_model_is_known_by(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = client.backend()
    one = backend.resolve("org/gpt@http://localhost:1/v1/", "spec")
    assert (one.name, one.backend, one.spec) == ("gpt", client.provider, "spec")
    assert one.location == "org/gpt@http://localhost:1/v1"
    same = client.backend(base_url="http://localhost:1/v1").resolve("org/gpt", "spec")
    monkeypatch.setenv(f"{client.provider.upper()}_BASE_URL", "http://localhost:1/v1")
    assert {one.fingerprint} == {same.fingerprint, backend.resolve("org/gpt", "spec").fingerprint}
    others = (
        "org/gpt@http://localhost:2/v1",
        "org/gpt@http://localhost:1/v2",
        "gpt",
        "org/gpt@https://localhost:1/v1",
    )
    assert len({one.fingerprint, *(backend.resolve(other, "").fingerprint for other in others)}) == 5


def test_a_missing_key_is_a_usage_error_that_names_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(client.variable)
    for name in ("gpt", "gpt@https://models.example/v1"):
        with pytest.raises(UsageError, match=f"set {client.variable} "):
            client.backend().resolve(name, "spec")
    with pytest.raises(UsageError, match="set OTHER_KEY "):
        client.backend(api_key_env="OTHER_KEY").resolve("gpt@https://models.example/v1", "spec")
    with LoopbackLLM(key="none") as server:
        assert client.ask(server, ask("Hi"))[0].text == "Hi"
    monkeypatch.setenv(client.variable, "sk-one sk-two")
    with pytest.raises(UsageError, match="characters that no key has"):
        client.backend().resolve("gpt", "spec")


def test_another_endpoint_may_have_its_own_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-other-0123456789")
    with LoopbackLLM(key="sk-other-0123456789") as server:
        assert client.ask(server, ask("Hi"), api_key_env="OTHER_KEY")[0].text == "Hi"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://h/v1",
        "http://",
        "http://h:port",
        "http://h/v1?key=x",
        "http://h/#x",
        "http://[::1",
    ],
)
def test_a_malformed_base_url_is_refused(client: Client, url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url: expected a base URL such as"):
        client.backend(base_url=url).resolve("gpt", "spec")


def test_credentials_in_a_url_are_refused_and_not_shown(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="carries credentials") as caught:
        client.backend().resolve("gpt@http://me:hunter2@localhost:1/v1", "spec")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": "0"},
        {"deadline": "nan"},
        {"max_retries": "-1"},
        {"retry_wait": "x"},
    ],
    ids=repr,
)
def test_bad_values_are_refused_when_built(client: Client, arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"-M {next(iter(arguments))}="):
        client.backend(**arguments)
    assert set(arguments) <= set(client.kind.ARGUMENTS)


def test_bad_values_of_ones_own_arguments() -> None:
    with pytest.raises(ConfigurationError, match="-M max_tokens_field=tokens: expected one of auto, "):
        CLIENTS["openai"].backend(max_tokens_field="tokens")
    with pytest.raises(ConfigurationError, match=r"-M omit=sed: expected some of .*did you mean 'seed'"):
        CLIENTS["openai"].backend(omit="sed")
    with pytest.raises(ConfigurationError, match="-M api_version=1: expected one of 2026-10-21, 2023-06-01"):
        CLIENTS["anthropic"].backend(api_version="1")


ECHOES: list[Callable[[Question], Any]] = [
    lambda _: Status(401, f"Incorrect API key provided: {KEY}."),
    lambda _: Status(401, f"Incorrect API key provided: {KEY[:7]}****{KEY[-4:]}."),
    lambda _: Status(400, f"headers were {{'authorization': 'Bearer {KEY}'}}"),
    lambda _: Status(500, f"headers were {{'authorization': 'Bearer {KEY}'}}"),
    lambda _: Raw(f'{{"error": "Bearer {KEY}"}}'.encode()),
    lambda _: Raw(f"<html>{KEY}</html>".encode(), "text/html"),
    lambda _: Redirect(f"http://{KEY}.example/{KEY}"),
    lambda _: Reply(f"The key is {KEY}."),
    lambda _: "ok",
]


@pytest.mark.parametrize("echo", ECHOES, ids=range(len(ECHOES)))
def test_the_key_is_nowhere_to_be_seen(
    client: Client,
    echo: Callable[[Question], Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "anthropic", "httpx2", "httpcore2", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    with LoopbackLLM(echo) as server:
        backend = client.backend(max_retries="1")
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        seen = [repr(checkpoint), repr(backend), repr(vars(backend))]
        try:
            seen += [repr(answer) for answer in backend.generate(checkpoint, [ask()])]
        except CheckpointError as error:
            seen.append(
                "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            )
        assert server.attempts >= 1
    assert caplog.records
    written = capfd.readouterr()
    # A transport's own debug log quotes the headers that a server sends; a key in them is the server's.
    log = "" if isinstance(echo(server.questions[0]), Redirect) else caplog.text
    for text in [*seen, log, written.out, written.err]:
        assert KEY not in text
        assert KEY[-4:] not in text.replace("sk-***", "")


def test_importing_and_resolving_load_no_sdk(client: Client, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        f"from harness.plugins.backends.{client.provider} import {client.kind.__name__} as Kind\n"
        "from harness.protocols import BackendOptions\n"
        "Kind(BackendOptions(Path('.'), Path('.'))).resolve('gpt@http://localhost:1/v1', 'spec')\n"
        "print([name for name in ('openai', 'anthropic', 'httpx2', 'pydantic') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.fixture(autouse=True)
def quiet_sdk_loggers() -> Iterator[None]:
    loggers = [
        logging.getLogger(name)
        for name in ("openai", "anthropic", "httpx2", "httpcore2", "httpx", "httpcore")
    ]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_interrupted_streams_leave_no_connection_open(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: warned.append(str(unraisable.exc_value)))
    questions = [Request((Message("user", f"question {number}"),)) for number in range(8)]
    with LoopbackLLM() as server:
        backend = client.backend(8)
        checkpoint = backend.resolve(f"gpt@{client.url(server)}", "spec")
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            for _ in range(10):
                stream = backend.generate(checkpoint, questions)
                next(stream)
                del stream
                gc.collect()
    assert warned == []
