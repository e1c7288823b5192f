"""Raw prompts and likelihoods over the text completions API, from a server that runs a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback import LoopbackLLM, Question, Raw, Reply, Status, give_key
from tiny_models import WORDS, save_model

from harness.cases import Message, Request, Response, Sampling
from harness.conformance import check_backend
from harness.likelihood import Continuation
from harness.plugins.backends.anthropic import AnthropicBackend
from harness.plugins.backends.hf import HFBackend
from harness.plugins.backends.openai import OpenAIBackend
from harness.protocols import BackendOptions

pytestmark = pytest.mark.needs("openai", "torch")

RETRIES = {"timeout": "5", "deadline": "8", "retry_wait": "0.01", "max_retries": "2"}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    give_key(monkeypatch)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    save_model(folder / "model")
    return folder


class Echo:
    """What vLLM's server answers to an echo request, computed by a model in this process."""

    def __init__(self, path: Path, *, bos: bool = False) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._model = AutoModelForCausalLM.from_pretrained(path).eval()
        self._bos = bos

    def __call__(self, question: Question) -> Raw:
        return Raw(json.dumps(self.body(question.body)).encode())

    def body(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert (asked["echo"], asked["logprobs"], asked["max_tokens"]) == (True, 1, 1)
        choices = [self._choice(place, prompt) for place, prompt in enumerate(asked["prompt"])]
        usage = {"prompt_tokens": 1, "completion_tokens": len(choices)}
        return {"model": asked["model"], "choices": choices[::-1], "usage": usage}

    def _choice(self, place: int, prompt: str) -> dict[str, Any]:
        import torch

        ids = self._tokenizer(prompt)["input_ids"]
        ids = [self._tokenizer.bos_token_id, *ids] if self._bos else ids
        with torch.inference_mode():
            rows = torch.log_softmax(self._model(torch.tensor([ids])).logits[0].float(), dim=-1)
        ids.append(int(rows[-1].argmax()))
        tokens = self._tokenizer.convert_ids_to_tokens(ids)
        own: list[float | None] = [None]
        likeliest: list[dict[str, float] | None] = [None]
        for row, token, text in zip(rows, ids[1:], tokens[1:], strict=True):
            own.append(float(row[token]))
            best = self._tokenizer.convert_ids_to_tokens(int(row.argmax()))
            likeliest.append({text: float(row[token]), best: float(row.max())})
        said = {"tokens": tokens, "token_logprobs": own, "top_logprobs": likeliest}
        return {"index": place, "text": prompt + tokens[-1], "finish_reason": "length", "logprobs": said}


def ask(server: LoopbackLLM, *requests: Request) -> list[Response]:
    backend = OpenAIBackend(BackendOptions(Path.cwd(), Path.cwd(), concurrency=3, arguments=RETRIES))
    checkpoint = backend.resolve(f"gpt@{server.openai_url}", "spec")
    answers = dict(backend.generate(checkpoint, requests))
    assert sorted(answers) == list(range(len(requests)))
    return [answers[index] for index in range(len(requests))]


def choices(question: str, *texts: str) -> Request:
    return Request((Message("user", question),), continuations=tuple(map(Continuation, texts)), raw=True)


def text(whole: str) -> Request:
    return Request((), continuations=(Continuation(whole, ""),), raw=True)


def test_likelihoods_are_those_of_the_local_engine(place: Path) -> None:
    asked = [
        choices("the red box", " is", " of the order", " is seven"),
        choices("please help \n", "now", "yes"),
        Request((), continuations=(Continuation(" blue", "a red"), Continuation(" blue", "the box is"))),
        *(choices(f"{WORDS[n]} {WORDS[-n]}", *(f" {word}" for word in WORDS)) for n in range(6)),
    ]
    local = HFBackend(BackendOptions(place, place / ".harness", arguments={"device": "cpu"}))
    expected = dict(local.generate(local.resolve("model", "model"), asked))
    with LoopbackLLM(Echo(place / "model")) as server:
        found = ask(server, *asked)
        assert server.attempts == len(asked)
        prompts = [question.body["prompt"] for question in server.questions]  # in any order: several at once
        assert sorted(texts.count("the red box") for texts in prompts)[-1] == 1
    for index, response in enumerate(found):
        assert response.text == expected[index].text
        for ours, theirs in zip(response.likelihoods, expected[index].likelihoods, strict=True):
            assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-4)
            assert (ours.tokens, ours.greedy) == (theirs.tokens, theirs.greedy)
    greedy = [one.greedy for response in found for one in response.likelihoods]
    assert True in greedy
    assert False in greedy


def test_a_text_alone_needs_a_token_before_it(place: Path) -> None:
    asked = [text("please help now"), text("the item is red")]
    local = HFBackend(BackendOptions(place, place / ".harness", arguments={"device": "cpu"}))
    expected = dict(local.generate(local.resolve("model", "model"), asked))
    with LoopbackLLM(Echo(place / "model", bos=True)) as server:
        found = ask(server, *asked)
    for index, response in enumerate(found):
        (ours,), (theirs,) = response.likelihoods, expected[index].likelihoods
        assert (ours.logprob, ours.tokens) == (pytest.approx(theirs.logprob, abs=1e-4), theirs.tokens)
    with LoopbackLLM(Echo(place / "model")) as server:
        (refused,) = ask(server, asked[0])
    assert refused.failed
    assert "puts no token before a text without a prompt" in str(refused.detail)


def changed(place: Path, change: Callable[[dict[str, Any]], Any]) -> Callable[[Question], Raw]:
    """Return the server's answer with a change made to its body."""
    echo = Echo(place / "model")

    def answers(question: Question) -> Raw:
        body = echo.body(question.body)
        change(body)
        return Raw(json.dumps(body).encode())

    return answers


def each(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda body: [choice.update({name: value}) for choice in body["choices"]]


def said(name: str, change: Callable[[list[Any]], list[Any]]) -> Callable[[dict[str, Any]], Any]:
    return lambda body: [
        choice["logprobs"].update({name: change(choice["logprobs"][name])}) for choice in body["choices"]
    ]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (each("text", " seven"), "no log-probabilities of prompts (echo)"),
        (each("logprobs", None), "no log-probabilities of prompts (echo)"),
        (said("top_logprobs", lambda found: found[1:]), "log-probability and likeliest token of each"),
        (said("top_logprobs", lambda found: [None] * len(found)), "no log-probability of token 0"),
        (said("token_logprobs", lambda found: [None] * len(found)), "no log-probability of token 0"),
        (said("token_logprobs", lambda found: ["-1"] * len(found)), "no log-probability of token 0"),
        (said("token_logprobs", lambda found: [0.5] * len(found)), "no log-probability of token 0"),
        (lambda body: body["usage"].update(completion_tokens=0), "wrote 0 tokens after 3 prompts"),
        (lambda body: body.pop("usage"), "wrote None tokens after 3 prompts"),
        (lambda body: body["choices"].pop(), "with 2 choices for 3 prompts"),
        (each("index", 1), "two choices have the index 1"),
        (each("index", None), "a choice has the index None"),
        (each("index", [0]), "a choice has the index [0]"),
        (lambda body: body.update(usage={"completion_tokens": "3"}), "`usage.completion_tokens` is '3'"),
        (lambda body: body.update(model="base"), "'base' has answered"),
    ],
)
def test_what_does_not_say_every_likelihood_is_an_error(
    place: Path, change: Callable[[dict[str, Any]], Any], detail: str
) -> None:
    with LoopbackLLM(changed(place, change)) as server:
        (response,) = ask(server, choices("the red", " box", " item"))
    assert response.failed
    assert response.likelihoods == ()
    assert detail in str(response.detail)


def test_faults_are_retried_and_overflow_is_told(place: Path) -> None:
    faults = [Status(429), Status(500), None]
    with LoopbackLLM(Echo(place / "model"), script=faults) as server:
        (answered,) = ask(server, choices("the red", " box"))
        assert server.attempts == 3
    assert len(answered.likelihoods) == 1
    long = "This model's maximum context length is 128 tokens. However, you requested 140 tokens"
    with LoopbackLLM(lambda _: Status(400, long)) as server:
        (overflow,) = ask(server, choices("the red", " box"))
    assert (overflow.finish_reason, overflow.detail) == (
        "context_overflow",
        "prompt of 139 tokens does not fit the context window of 128",
    )


def test_a_server_without_the_api_fails_its_requests_and_no_others() -> None:
    def answers(question: Question) -> str | Status:
        return Status(404, "Not Found") if question.provider == "completions" else "ok"

    with LoopbackLLM(answers) as server:
        scored, chat = ask(server, choices("a", " b"), Request((Message("user", "Hi"),)))
    assert "no text completions API there (404)" in str(scored.detail)
    assert chat.text == "ok"


def test_choices_after_messages_are_refused_without_asking() -> None:
    with LoopbackLLM() as server:
        (refused,) = ask(server, Request((Message("user", "a"),), continuations=(Continuation("b"),)))
        assert server.attempts == 0
    assert "use raw prompts, or a local checkpoint" in str(refused.detail)


def test_a_raw_prompt_is_sent_as_it_is() -> None:
    raw = Request((Message("user", "Q: why?\nA:"),), Sampling(9, 0.5, 0.9, ("\n",), 3), raw=True)
    with LoopbackLLM(lambda _: Reply(" because", "length")) as server:
        (answer,) = ask(server, raw)
        (question,) = server.questions
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == (" because", "length", 3)
    assert question.provider == "completions"
    sent = {"prompt": "Q: why?\nA:", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 3}
    assert question.body == {"model": "gpt", "stop": ["\n"], **sent}


def test_what_a_raw_prompt_cannot_be() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    with LoopbackLLM() as server:
        (tools,) = ask(server, Request((Message("user", "a"),), tools=(tool,), raw=True))
        backend = AnthropicBackend(BackendOptions(Path.cwd(), Path.cwd(), arguments=RETRIES))
        checkpoint = backend.resolve(f"gpt@{server.anthropic_url}", "spec")
        ((_, raw),) = backend.generate(checkpoint, [Request((Message("user", "a"),), raw=True)])
        assert server.attempts == 0
    assert "tools are shown by the chat template" in str(tools.detail)
    assert "takes messages only, no raw prompts" in str(raw.detail)


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (Reply("x", "because"), "reason 'because' is not known"),
        (Reply("x", None), "finish reason None"),
        (Reply("x", "tool_calls"), "ended with tool calls"),
        (Reply(None), "a completion whose text is none"),
        (Reply("x", model="other"), "'other' has answered"),
    ],
)
def test_what_is_no_answer_to_a_raw_prompt(reply: Reply, detail: str) -> None:
    with LoopbackLLM(lambda _: reply) as server:
        (odd,) = ask(server, Request((Message("user", "a"),), raw=True))
    assert odd.failed
    assert detail in str(odd.detail)


def test_as_many_tokens_as_were_allowed_are_a_cut_answer() -> None:
    raw = [Request((Message("user", "a"),), Sampling(tokens), raw=True) for tokens in (3, 4)]
    with LoopbackLLM(lambda _: "x") as server:  # which counts 3
        cut, whole = ask(server, *raw)
    assert (cut.finish_reason, whole.finish_reason) == ("length", "stop")


def test_a_server_of_likelihoods_keeps_the_contract(place: Path, tmp_path: Path) -> None:
    echo = Echo(place / "model")
    with LoopbackLLM(answers=lambda asked: echo(asked) if asked.body.get("echo") else asked.text) as server:
        check_backend(OpenAIBackend, f"openai/gpt@{server.openai_url}", root=tmp_path, arguments=RETRIES)
