"""The `vllm` backend over a stand-in for vLLM's interface: what goes in, and what is made of what comes out.

No real engine runs here: these tests say nothing of vLLM's own numbers.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHAT_TEMPLATE, WORDS, save_adapter, save_model

from harness.cases import Message, Request, Response, Sampling
from harness.conformance import check_backend
from harness.engine.cache import ResponseCache
from harness.engine.engine import Engine
from harness.engine.fill import fill
from harness.engine.plan import Plan
from harness.errors import CheckpointError, ConfigurationError, MissingDependencyError
from harness.likelihood import Continuation
from harness.plugins.backends.hf import HFBackend
from harness.plugins.backends.vllm import VLLMBackend
from harness.protocols import BackendOptions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is not None, reason="the real vllm is installed"
)
STAND_INS = Path(__file__).with_name("stand_ins")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vllm")
    base = save_model(folder / "base")
    save_adapter(folder / "adapter", base)
    save_model(folder / "other", seed=5, hidden=64)
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The stand-in's log, with the stand-in in vLLM's place."""
    monkeypatch.syspath_prepend(str(STAND_INS))
    import vllm

    vllm.CALLS.clear()
    yield vllm.CALLS
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def backend(place: Path, **arguments: str) -> VLLMBackend:
    return VLLMBackend(BackendOptions(root=place, state=place / ".harness", arguments=arguments))


def drawn(count: int, **sampling: Any) -> list[Request]:
    texts = [f"{WORDS[n % 7]} {WORDS[n % 20]}" for n in range(count)]
    return [Request((Message("user", text),), Sampling(max_tokens=6, **sampling)) for text in texts]


def scored() -> list[Request]:
    ask = (Message("user", "the red box is"),)
    return [
        Request(ask, continuations=(Continuation(" blue"), Continuation(" seven nine")), raw=True),
        Request(ask, continuations=(Continuation("no"), Continuation("yes"))),
        Request((), continuations=(Continuation("a b", "please help"), Continuation("order now", ""))),
        Request((), continuations=(Continuation(" ".join(WORDS * 9), ""),)),  # longer than the window
    ]


def answers(of: Any, spec: str, asked: list[Request]) -> list[Response]:
    checkpoint = of.resolve(spec, spec)
    found = dict(of.generate(checkpoint, asked))
    assert sorted(found) == list(range(len(asked)))
    return [found[index] for index in range(len(asked))]


@pytest.mark.parametrize(("vllm_name", "hf_name"), [("base", "base"), ("base:adapter", "adapter")])
def test_the_marshalling_is_that_of_the_hf_backend(
    place: Path, calls: list[dict[str, Any]], vllm_name: str, hf_name: str
) -> None:
    asked = [*drawn(9), *drawn(3, stop=("box", "of")), *scored()]
    theirs = answers(HFBackend(BackendOptions(root=place, state=place / ".harness")), hf_name, asked)
    # The engine keeps room for two more tokens: with these, both read long texts in the same windows.
    ours = answers(backend(place, max_model_len="130"), vllm_name, asked)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.text, mine.prompt_tokens) == (other.text, other.prompt_tokens)
        assert len(mine.likelihoods) == len(other.likelihoods)
        for one, two in zip(mine.likelihoods, other.likelihoods, strict=True):
            assert one.logprob == pytest.approx(two.logprob, abs=2e-3)
            assert (one.tokens, one.greedy) == (two.tokens, two.greedy)
    assert len({answer.text for answer in ours[:9]}) > 3


def test_the_engine_asks_it_for_likelihoods(place: Path, calls: list[dict[str, Any]], tmp_path: Path) -> None:
    made = backend(place)
    checkpoint = made.resolve("base", "vllm/base")
    plan = Plan()
    for request in scored():
        plan.add(checkpoint, request)
    cache = ResponseCache(tmp_path / "cache.sqlite", session="s")
    report, answers = fill(plan, cache, lambda _: made)
    cache.close()
    assert (report.generated, report.failed) == (4, 0), [answer.detail for answer in answers.values()]


def test_base_and_adapter_share_an_engine_and_differ(place: Path, calls: list[dict[str, Any]]) -> None:
    made = backend(place)
    base, adapter = made.resolve("base", "vllm/base"), made.resolve("base:adapter", "vllm/base:adapter")
    assert base.fingerprint != adapter.fingerprint
    assert adapter.base == base.fingerprint
    assert (adapter.backend, base.backend) == ("vllm", "vllm")
    asked = drawn(9)
    texts = [
        [answer.text for _, answer in sorted(made.generate(one, asked))] for one in (base, adapter, base)
    ]
    assert texts[0] == texts[2] != texts[1]
    started = [call for call in calls if "model" in call]
    assert started == [{"model": base.location, "enable_lora": True, "max_lora_rank": 8}]
    named = [call["lora"] for call in calls if "lora" in call]
    assert [one is None for one in named] == [True, False, True]
    assert named[1].lora_path == adapter.path.as_posix()


def test_seeds_belong_to_requests_and_greedy_is_greedy(place: Path, calls: list[dict[str, Any]]) -> None:
    one = backend(place)
    answers(one, "base", [*drawn(2), *drawn(2, temperature=0.7, seed=3), *drawn(2, temperature=0.7, seed=4)])
    (call,) = (call for call in calls if "sampling" in call)
    greedy, hot, other = call["sampling"][:2], call["sampling"][2:4], call["sampling"][4:]
    assert [params.temperature for params in greedy] == [0.0, 0.0]
    assert len({params.seed for params in hot} | {params.seed for params in other}) == 4
    assert all(0 <= params.seed < 1 << 63 for params in call["sampling"])


def test_a_prompt_that_does_not_fit_is_told_with_both_lengths(
    place: Path, calls: list[dict[str, Any]]
) -> None:
    long = " ".join(WORDS * 7)
    asked = [
        Request((Message("user", long),)),
        *drawn(1),
        Request((), continuations=(Continuation(" no", long),)),
    ]
    found = answers(backend(place), "base", asked)
    assert [answer.finish_reason for answer in found] == ["context_overflow", "length", "context_overflow"]
    assert found[0].detail is not None
    assert "does not fit the context window of 128" in found[0].detail
    assert "do not fit the context window of 128" in str(found[2].detail)


def test_an_engine_that_fails_is_an_error_of_every_request(
    place: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import vllm

    def dies(*given: Any, **named: Any) -> None:
        raise RuntimeError("engine core died\nsecond line")

    monkeypatch.setattr(vllm.LLM, "generate", dies)
    found = answers(backend(place), "base", drawn(3))
    assert {(one.finish_reason, one.detail) for one in found} == {
        ("error", "vllm: RuntimeError: engine core died")
    }
    monkeypatch.setattr(vllm.LLM, "generate", lambda *given, **named: [])
    assert {one.finish_reason for one in answers(backend(place), "base", drawn(3))} == {"error"}


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """Have the engine change each of its outputs before it hands them over."""
    import vllm

    generate = vllm.LLM.generate

    def changed(self: Any, *given: Any, **named: Any) -> Any:
        outputs = generate(self, *given, **named)
        for output in outputs:
            change(output)
        return outputs

    monkeypatch.setattr(vllm.LLM, "generate", changed)


@pytest.mark.parametrize("word", ["abort", "error", "repetition", "STOP", None])
def test_an_answer_that_did_not_end_by_itself_is_an_error(
    place: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, word: str | None
) -> None:
    spoil(monkeypatch, lambda output: setattr(output.outputs[0], "finish_reason", word))
    (found,) = answers(backend(place), "base", drawn(1))
    assert (found.text, found.finish_reason) == ("", "error")
    assert f"vllm ended the answer with {word!r}" in str(found.detail)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda output: output.outputs.clear(), "vllm gave 0 answers to one prompt"),
        (lambda output: output.outputs.append(output.outputs[0]), "vllm gave 2 answers to one prompt"),
        (lambda output: setattr(output.outputs[0], "text", None), "without text"),
        (lambda output: output.prompt_token_ids.append(1), "answered another prompt"),
        (lambda output: setattr(output, "prompt_token_ids", None), "answered another prompt"),
    ],
)
def test_an_output_that_is_no_answer_to_the_prompt_is_an_error(
    place: Path,
    calls: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    detail: str,
) -> None:
    spoil(monkeypatch, change)
    (found,) = answers(backend(place), "base", drawn(1))
    assert (found.text, found.finish_reason) == ("", "error")
    assert detail in str(found.detail)


@pytest.mark.parametrize(
    "said",
    [
        {"logprob": float("nan"), "rank": 1},
        {"logprob": 0.5, "rank": 1},
        {"logprob": -1.0, "rank": None},
        {"logprob": -1.0, "rank": 0},
    ],
    ids=repr,
)
def test_a_likelihood_that_is_none_is_an_error(
    place: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    def change(output: Any) -> None:
        for known in output.prompt_logprobs[1:]:
            for logprob in known.values():
                vars(logprob).update(said)

    spoil(monkeypatch, change)
    found = answers(backend(place), "base", scored()[:1])
    assert found[0].failed
    assert "no log-probability of token" in str(found[0].detail)


def test_an_answer_that_the_window_ends_says_so(place: Path, calls: list[dict[str, Any]]) -> None:
    (asked,) = drawn(1)
    asked = dataclasses.replace(asked, sampling=Sampling(max_tokens=100))
    (found,) = answers(backend(place, max_model_len="40"), "base", [asked])
    assert found.finish_reason == "length"
    assert "fill the context window of 40: the answer was cut after" in str(found.detail)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adapter", "is an adapter; write vllm/BASE:ADAPTER"),
        ("other:adapter", "is no adapter of other"),
        ("base:other", "is no adapter of base"),
        ("gone", "no checkpoint 'gone'"),
    ],
)
def test_what_cannot_be_resolved(place: Path, calls: list[dict[str, Any]], spec: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        backend(place).resolve(spec, f"vllm/{spec}")


def test_arguments_are_part_of_the_numerics_or_refused(place: Path, calls: list[dict[str, Any]]) -> None:
    made = backend(place, dtype="float32", max_model_len="64", gpu_memory_utilization="0.5")
    numerics = made.resolve("base", "vllm/base").numerics
    assert (numerics["dtype"], numerics["max_model_len"], numerics["engine"]) == ("float32", "64", "vllm")
    assert "gpu_memory_utilization" not in numerics
    with pytest.raises(ConfigurationError, match="-M dtype=fp8"):
        backend(place, dtype="fp8")
    with pytest.raises(ConfigurationError, match="-M max_model_len=long: expected a number"):
        backend(place, max_model_len="long")


def test_other_chat_templates_are_refused_unless_told(
    place: Path, calls: list[dict[str, Any]], tmp_path: Path
) -> None:
    """As with the `hf` backend, and against a checkpoint of that backend too."""
    save_model(tmp_path / "base")
    save_model(tmp_path / "retold", template=f"{CHAT_TEMPLATE}{{# another #}}")
    base = save_adapter(tmp_path / "adapter", tmp_path / "base")
    (base / "tokenizer_config.json").write_bytes((tmp_path / "base/tokenizer_config.json").read_bytes())
    (base / "chat_template.jinja").write_text(f"{CHAT_TEMPLATE}{{# its own #}}", encoding="utf-8")

    def resolve(*specs: str, **arguments: str) -> list[str | None]:
        engine = Engine(BackendOptions(root=tmp_path, state=tmp_path / ".harness", arguments=arguments))
        found = engine.resolve(list(specs), compared=len(specs))
        return [checkpoint.numerics.get("template") for checkpoint in found]

    pairs = [("vllm/retold", "vllm/base"), ("vllm/base:adapter", "vllm/base"), ("vllm/retold", "hf/base")]
    for ours, theirs in pairs:
        refusal = rf"{ours} .* {theirs} \(template [0-9a-f]{{12}} → [0-9a-f]{{12}}\).*-M template=own"
        with pytest.raises(ConfigurationError, match=refusal):
            resolve(ours, theirs)
        assert resolve(ours, theirs, template="own") == ["own", "own"]
    assert len(set(resolve("vllm/base", "hf/base"))) == 1
    with pytest.raises(ConfigurationError, match="-M template=mine"):
        resolve("vllm/base", template="mine")


def test_without_vllm_the_command_to_install_it_is_given(place: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'checkpoint-harness\[vllm\]'"):
        backend(place)


def test_it_keeps_the_contract(place: Path, calls: list[dict[str, Any]]) -> None:
    check_backend(
        VLLMBackend,
        "vllm/base",
        root=place,
        missing="vllm/nothing",
        unanswerable=Request((Message("user", "the order " * 200),)),
    )
    assert calls  # the stand-in was asked
