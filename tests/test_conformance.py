"""Our backends keep the contract that others are held to, and the suite notices every way of breaking it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest
from loopback import LoopbackLLM, Question, Reply, Status, give_key

from harness.cases import Message, Request, Response
from harness.conformance import QUESTIONS, ConformanceError, check_backend
from harness.errors import CheckpointError, ConfigurationError
from harness.likelihood import Likelihood
from harness.plugins.backends.replay import ReplayBackend
from harness.protocols import BackendOptions, Checkpoint


class Acme:
    """A backend that keeps the contract: it says the last message backwards."""

    ARGUMENTS: ClassVar[Mapping[str, str]] = {"shout": "true answers in capitals (false)"}
    LIKELIHOODS = True
    REPLICATES = True

    def __init__(self, options: BackendOptions) -> None:
        self.shouts = options.arguments.get("acme.shout", options.arguments.get("shout", "false"))
        self.model: str | None = None

    def resolve(self, name: str, spec: str) -> Checkpoint:
        if name == "nothing":
            raise CheckpointError(f"{spec}: no such model; name one of: tiny, loud")
        shouts = "true" if name == "loud" else self.shouts
        digest = hashlib.sha256(name.encode()).hexdigest()
        return Checkpoint(spec, name, "acme", name, digest, {"shouts": shouts})

    def reconcile(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        both = len({checkpoint.numerics["shouts"] for checkpoint in checkpoints}) > 1
        return {"shout": "true"} if both else {}

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        self.model = checkpoint.location
        for index, request in reversed(list(enumerate(requests))):
            if request.continuations:
                yield index, self.weighed(request)
            elif len(request.messages[-1].content) > 100:
                yield index, Response("", "error", detail="more than 100 characters")
            else:
                yield index, Response(request.messages[-1].content[::-1], completion_tokens=1)

    def weighed(self, request: Request) -> Response:
        likelihoods = [Likelihood(-float(len(one.text)), 1, False) for one in request.continuations]
        best = min(request.continuations, key=lambda one: len(one.text))
        return Response(best.text, likelihoods=tuple(likelihoods))

    def close(self) -> None:
        self.model = None


LONG = Request((Message("user", "x" * 101),))


def check(make: Callable[[BackendOptions], Any], root: Path, **changes: Any) -> None:
    given = {"rivals": ["acme/loud"], "missing": "acme/nothing", "unanswerable": LONG, **changes}
    check_backend(make, "acme/tiny", root=root, **given)


def test_a_backend_that_keeps_the_contract_passes(tmp_path: Path) -> None:
    check(Acme, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_backend_need_not_have_is_not_asked_of_it(tmp_path: Path) -> None:
    class Plain:
        def __init__(self, options: BackendOptions) -> None:
            self.own = Acme(options)

        def resolve(self, name: str, spec: str) -> Checkpoint:
            return self.own.resolve(name, spec)

        def generate(
            self, checkpoint: Checkpoint, requests: Sequence[Request]
        ) -> Iterator[tuple[int, Response]]:
            assert not any(request.continuations for request in requests)
            return self.own.generate(checkpoint, requests)

        def close(self) -> None:
            self.own.close()

    check(Plain, tmp_path)


# --- each way of breaking it -----------------------------------------------------------------------------


def resolving(change: Callable[[Acme, Checkpoint], Any]) -> type[Acme]:
    class Changed(Acme):
        def resolve(self, name: str, spec: str) -> Any:
            return change(self, super().resolve(name, spec))

    return Changed


def answering(change: Callable[[Sequence[Request], list[tuple[int, Any]]], Any]) -> type[Acme]:
    class Changed(Acme):
        def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Any:
            return iter(change(requests, list(super().generate(checkpoint, requests))))

    return Changed


def with_response(**changes: Any) -> type[Acme]:
    return answering(
        lambda requests, answers: [
            (index, response if requests[index].continuations else dataclasses.replace(response, **changes))
            for index, response in answers
        ]
    )


def with_members(**members: Any) -> type[Acme]:
    return type("Changed", (Acme,), members)


def counted(acme: Acme, checkpoint: Checkpoint) -> Checkpoint:
    acme.calls = getattr(acme, "calls", 0) + 1  # type: ignore[attr-defined]  # of this test
    return dataclasses.replace(checkpoint, numerics={"calls": str(acme.calls)})  # type: ignore[attr-defined]  # of this test


class NeedsOnlyItsOwn(Acme):
    def __init__(self, options: BackendOptions) -> None:
        super().__init__(options)
        if strange := [key for key in options.arguments if key not in ("shout", "acme.shout")]:
            raise ConfigurationError(f"-M {strange[0]}: unknown")


class ClosesOnce(Acme):
    def close(self) -> None:
        del self.model


class LeavesAThread(Acme):
    ended = threading.Event()

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        threading.Thread(target=self.ended.wait, name="acme-poller").start()
        yield from super().generate(checkpoint, requests)


class Stubborn(Acme):
    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        if LONG in requests:
            raise RuntimeError("too long")
        yield from super().generate(checkpoint, requests)


class BreaksOff(Acme):
    """Cannot be asked again when an answer has been left lying."""

    asked = False

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        if self.asked:
            return
        self.asked = True
        yield from super().generate(checkpoint, requests)
        self.asked = False


class Draws(Acme):
    drawn = 0

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        for index, response in super().generate(checkpoint, requests):
            Draws.drawn += 1
            yield index, dataclasses.replace(response, text=f"{response.text}{Draws.drawn}")


NAN = float("nan")
LOCK: Any = threading.Lock()
BROKEN = {
    "it has no method generate": with_members(generate=property(lambda self: self._)),
    "its members: AttributeError: ": ClosesOnce,
    "ARGUMENTS: 'acme.shout' is no name": with_members(ARGUMENTS={"acme.shout": "x", "shout": "x"}),
    "ARGUMENTS: shout does not say what it means": with_members(ARGUMENTS={"shout": ""}),
    "LIKELIHOODS is 'yes', neither True nor False": with_members(LIKELIHOODS="yes"),
    "REPLICATES is 3, neither True nor False": with_members(REPLICATES=3),
    "it refuses arguments of other backends": NeedsOnlyItsOwn,
    "the checkpoint's spec is 'tiny', not 'acme/tiny'": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, spec="tiny")
    ),
    "the checkpoint's backend is 'ACME', not 'acme'": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, backend="ACME")
    ),
    r"the checkpoint's name is 'a\nb'": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, name="a\nb")
    ),
    "the fingerprint is 'tiny'": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, fingerprint="tiny")
    ),
    "numerics: 'shouts' is False; both must be texts": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, numerics={"shouts": False})
    ),
    "resolve, asked twice, returns two checkpoints": resolving(counted),
    "another instance resolves the spec otherwise": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, location=hex(id(acme)))
    ),
    "resolve: TypeError: cannot pickle": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, location=LOCK)
    ),
    "resolve returns another checkpoint after the answers": resolving(
        lambda acme, checkpoint: dataclasses.replace(checkpoint, trusted=(str(acme.model),))
    ),
    "no answer to request 3, of 4": answering(lambda requests, answers: answers[1:]),
    "request 3 is answered twice": answering(lambda requests, answers: [*answers[:1], *answers]),
    "request 99 is answered, of 4": answering(lambda requests, answers: [*answers, (99, Response("x"))]),
    "it answers, and nothing was asked": answering(lambda requests, answers: answers or [(0, Response("x"))]),
    "the answer is a str, not a harness.Response": answering(
        lambda requests, answers: [(index, response.text) for index, response in answers]
    ),
    "the finish reason is 'end_turn'": with_response(finish_reason="end_turn"),
    "question 0: no answer: too busy": with_response(finish_reason="error", detail="too busy"),
    "no answer: and no detail says why": with_response(finish_reason="error"),
    "below 0, or no number": with_response(latency_ms=NAN),
    "17 tokens, of 16 that were allowed": with_response(completion_tokens=17),
    "it does not come back from the cache as it was": with_response(detail=("a", "tuple")),
    "it has likelihoods that nobody asked for": with_response(likelihoods=(Likelihood(-1.0, 1, True),)),
    "after an interruption: no answer to request": BreaksOff,
    "generate raises RuntimeError for a single request": Stubborn,
    "cannot be answered ends in 'stop', not in an error": answering(
        lambda requests, answers: [
            (index, Response("fine") if response.failed else response) for index, response in answers
        ]
    ),
    "cannot be answered does not say why": answering(
        lambda requests, answers: [
            (index, Response("", "error") if response.failed else response) for index, response in answers
        ]
    ),
    "takes others with it": answering(
        lambda requests, answers: [
            (index, Response("", "error", detail="down") if LONG in requests else response)
            for index, response in answers
        ]
    ),
    "answers change with the order of the questions": answering(
        lambda requests, answers: [
            (index, dataclasses.replace(response, text=f"{response.text}{index}"))
            for index, response in answers
        ]
    ),
    "an answer changes with the questions beside it": answering(
        lambda requests, answers: [
            (index, dataclasses.replace(response, text=f"{response.text}{len(requests)}"))
            for index, response in answers
        ]
    ),
    "a second instance answers otherwise": Draws,
    "close leaves threads behind: acme-poller": LeavesAThread,
    "likelihoods 0: 1, for 2 texts": with_members(
        weighed=lambda self, request: Response("", likelihoods=(Likelihood(-1.0, 1, False),))
    ),
    "has Likelihood(logprob=0.5, tokens=1, greedy=False)": with_members(
        weighed=lambda self, request: Response(" blue", likelihoods=(Likelihood(0.5, 1, False),) * 2)
    ),
    "the text is ' a tall tree', not ' blue'": with_members(
        weighed=lambda self, request: dataclasses.replace(Acme.weighed(self, request), text=" a tall tree")
    ),
    "reconcile asks for {'shout': 'true'} with 0 checkpoints": with_members(
        reconcile=lambda self, checkpoints: {"shout": "true"}
    ),
    "reconcile returns volume, which ARGUMENTS does not list": with_members(
        reconcile=lambda self, checkpoints: {"volume": "11"} if len(checkpoints) > 1 else {}
    ),
    "under the arguments that it has returned": with_members(
        reconcile=lambda self, checkpoints: {"shout": "false"} if len(checkpoints) > 1 else {}
    ),
    "are not computed alike: acme/tiny would be computed under other numerics": with_members(
        reconcile=lambda self, checkpoints: {}
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_every_way_of_breaking_the_contract_is_told(fault: str, tmp_path: Path) -> None:
    LeavesAThread.ended.clear()
    try:
        with pytest.raises(ConformanceError) as caught:
            check(BROKEN[fault], tmp_path)
    finally:
        LeavesAThread.ended.set()
    assert any(fault in told for told in caught.value.faults), caught.value.faults
    assert str(caught.value).startswith("the backend of acme/tiny does not keep its contract:\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "resolve finds acme/nothing, which is not there"),
        (KeyError("nothing"), "resolve raises KeyError for acme/nothing, not a UsageError"),
        (CheckpointError("no\nsuch"), "resolve says more than one line of acme/nothing"),
    ],
)
def test_a_spec_of_nothing_is_refused_in_one_line(error: Exception | None, told: str, tmp_path: Path) -> None:
    class Other(Acme):
        def resolve(self, name: str, spec: str) -> Checkpoint:
            if name == "nothing":
                name = "tiny"
                if error is not None:
                    raise error
            return super().resolve(name, spec)

    with pytest.raises(ConformanceError) as caught:
        check(Other, tmp_path)
    assert [fault for fault in caught.value.faults if fault.startswith(told)]
    check(Other, tmp_path, missing=None)


def test_a_served_model_may_answer_otherwise_each_time(tmp_path: Path) -> None:
    class Served(Draws):
        LIKELIHOODS = REPLICATES = False

    check(Served, tmp_path, repeats=False)


def test_likelihoods_must_not_depend_on_their_company(tmp_path: Path) -> None:
    Changed = answering(  # noqa: N806  (a class)
        lambda requests, answers: [
            (
                index,
                dataclasses.replace(
                    response,
                    likelihoods=tuple(
                        dataclasses.replace(one, logprob=one.logprob - 0.01 * len(requests))
                        for one in response.likelihoods
                    ),
                ),
            )
            for index, response in answers
        ]
    )
    with pytest.raises(ConformanceError, match="likelihoods 1: change with the questions beside them"):
        check(Changed, tmp_path)


# --- ours ------------------------------------------------------------------------------------------------


def test_replay_keeps_the_contract(tmp_path: Path) -> None:
    rows = [{"id": request.case_id, "output": f"{request.case_id} {request.sample}"} for request in QUESTIONS]
    (tmp_path / "outputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    check_backend(
        ReplayBackend,
        "replay/outputs.jsonl",
        root=tmp_path,
        missing="replay/nothing.jsonl",
        unanswerable=Request((Message("user", "?"),), case_id="not recorded"),
    )


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    give_key(monkeypatch)


REFUSED = Request((Message("user", "refuse this"),))


def answer(question: Question) -> Reply | Status:
    return Status(400, "no") if question.text == "refuse this" else Reply(question.text.upper())


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_served_backends_keep_the_contract(
    provider: str, key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(provider)
    from harness.plugins.backends.anthropic import AnthropicBackend
    from harness.plugins.backends.openai import OpenAIBackend

    made: dict[str, Callable[[BackendOptions], Any]] = {
        "openai": OpenAIBackend,
        "anthropic": AnthropicBackend,
    }
    with LoopbackLLM(answers=answer) as server:
        url = server.openai_url if provider == "openai" else server.anthropic_url
        check_backend(
            made[provider],
            f"{provider}/model@{url}",
            root=tmp_path,
            arguments={"retry_wait": "0.01"},
            likelihoods=(),  # tests/test_text_completions.py has a server that gives them
            unanswerable=REFUSED,
        )


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_hf_keeps_the_contract(tmp_path: Path) -> None:
    from tiny_models import save_adapter, save_model

    from harness.plugins.backends.hf import HFBackend

    save_model(tmp_path / "base")
    save_adapter(tmp_path / "adapter", tmp_path / "base")
    check_backend(
        HFBackend,
        "hf/base",
        root=tmp_path,
        arguments={"device": "cpu"},
        rivals=["hf/adapter"],
        missing="hf/nothing",
        unanswerable=Request((Message("user", "the order " * 200),)),
    )
