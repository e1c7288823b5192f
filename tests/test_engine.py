"""The engine: who answers, what is asked once, and what is refused before anything is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_backend import Scripted, checkpoint, question, register

from harness.cases import Case, Message, Request, Response, Sampling
from harness.engine.cache import ResponseCache
from harness.engine.engine import Engine, Question
from harness.engine.fill import FillReport
from harness.engine.plan import Plan
from harness.errors import CheckpointError, ConfigurationError, InferenceError
from harness.protocols import BackendOptions, Checkpoint

SAMPLING = Sampling(max_tokens=5)
Register = Callable[..., list[tuple[str, BackendOptions]]]


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Registers backends for this test, by name."""

    def register_all(workers: Any = None, **backends: Any) -> list[tuple[str, BackendOptions]]:
        return register(tmp_path / "site", monkeypatch, backends, workers)

    return register_all


@pytest.fixture
def engine_of(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines with an open cache; all of them share its file."""
    made: list[Engine] = []

    def make(session: str = "s", **options: Any) -> Engine:
        engine = Engine(BackendOptions(tmp_path, tmp_path / ".harness", **options))
        engine.open_cache(ResponseCache(tmp_path / "cache.sqlite", session=session))
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def case(name: str, *turns: str, text: str | None = None) -> Case:
    return Case(name, (Message("user", text or f"about {name}"),), turns=turns)


# --- resolving -------------------------------------------------------------------------------------------


def test_specs_are_resolved_in_order_by_the_backend_that_they_name(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    one, two = Scripted(), Scripted()
    built = registered(one=one, two=two)
    engine = engine_of(concurrency=3)
    found = engine.resolve(["two/b", "one/a", "two/c"])
    assert [model.spec for model in found] == ["two/b", "one/a", "two/c"]
    assert [model.location for model in found] == ["b", "a", "c"]
    assert [name for name, _ in built] == ["two", "one"], "each backend is built once"
    assert {options.concurrency for _, options in built} == {3}


def test_a_spec_without_a_backend_is_a_local_model(
    registered: Register, engine_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint 'elsewhere'"):
        engine_of().resolve(["elsewhere"])
    local = Scripted()
    registered(one=local)
    monkeypatch.setattr("harness.engine.engine._LOCAL", "one")
    engine = engine_of()
    (found,) = engine.resolve(["elsewhere"])
    assert found.location == "elsewhere"
    assert engine.changed_since([found]) == ()


def test_names_that_are_taken_twice_become_the_whole_spec(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    same = Scripted(checkpoints={name: checkpoint("base") for name in ("x/base", "y::base")})
    registered(one=same)
    found = engine_of().resolve(["one/x/base", "one/y::base", "one/z"])
    assert [model.name for model in found] == ["one/x/base", "one/y-base", "z"]


@pytest.mark.parametrize("argument", ["speed", "one.speed"])
def test_an_argument_that_a_backend_takes_is_passed_on(
    registered: Register, engine_of: Callable[..., Engine], argument: str
) -> None:
    backend = Scripted()
    backend.ARGUMENTS = ("speed",)  # type: ignore[attr-defined]  # as a third party's class has it
    built = registered(one=backend)
    engine_of(arguments={argument: "9"}).resolve(["one/a"])
    assert built[0][1].arguments == {argument: "9"}


@pytest.mark.parametrize("argument", ["sped", "two.speed", "one.sped"])
def test_an_argument_that_nobody_takes_is_refused(
    registered: Register, engine_of: Callable[..., Engine], argument: str
) -> None:
    backend = Scripted()
    backend.ARGUMENTS = ("speed", "colour")  # type: ignore[attr-defined]  # as above
    registered(one=backend)
    with pytest.raises(ConfigurationError) as caught:
        engine_of(arguments={"colour": "red", argument: "9"}).resolve(["one/a"])
    text = str(caught.value)
    assert text.startswith(f"-M {argument}: no backend of this session takes it (did you mean ")
    assert text.endswith("it takes: colour, speed")


def test_a_session_whose_backends_take_nothing_says_so(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    registered(one=Scripted())
    with pytest.raises(ConfigurationError, match="it takes: none"):
        engine_of(arguments={"speed": "9"}).resolve(["one/a"])


class Reconciling(Scripted):
    """Computes in what it is told, and demands the widest type among those compared."""

    ARGUMENTS = ("dtype",)

    def __init__(self) -> None:
        super().__init__()
        self.reconciled: list[list[str]] = []

    def reconcile(self, compared: list[Checkpoint]) -> dict[str, str]:
        self.reconciled.append([model.location for model in compared])
        types = {model.numerics["dtype"] for model in compared}
        return {"dtype": "float32"} if len(types) > 1 else {}


def told(backend: Reconciling, built: list[tuple[str, BackendOptions]]) -> None:
    """Let a reconciling backend compute as its latest options say; its own types otherwise."""
    own = {"wide": "float32", "half": "bfloat16"}

    def resolve(name: str, spec: str) -> Checkpoint:
        dtype = built[-1][1].arguments.get("one.dtype", own.get(name, "float32"))
        return replace(checkpoint(name), spec=spec, backend="one", numerics={"dtype": dtype})

    backend.resolve = resolve  # type: ignore[method-assign]  # depends on what was built


def test_checkpoints_that_are_compared_are_computed_as_the_most_demanding_must_be(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    backend = Reconciling()
    built = registered(one=backend)
    told(backend, built)
    engine = engine_of()
    found = engine.resolve(["one/half", "one/wide"], compared=2)
    assert [model.numerics["dtype"] for model in found] == ["float32", "float32"]
    assert backend.reconciled == [["half", "wide"]]
    assert backend.closed == 1, "what was built for other options is closed"
    assert engine.options.arguments == {"one.dtype": "float32"}


def test_what_is_not_compared_makes_no_demands(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    backend = Reconciling()
    told(backend, registered(one=backend))
    found = engine_of().resolve(["one/wide", "one/wide", "one/half"], compared=2)
    assert [model.numerics["dtype"] for model in found] == ["float32", "float32", "bfloat16"]
    assert backend.closed == 0
    assert backend.reconciled == [["wide", "wide"]]
    engine_of().resolve(["one/wide", "one/half", "one/wide"])
    assert backend.reconciled[1:] == [[]], "nothing is compared unless it is said"


def test_each_backend_reconciles_its_own_checkpoints(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    first, second = Reconciling(), Reconciling()
    models = {"a": checkpoint("a", backend="one", numerics={"dtype": "x"})}
    models["b"] = checkpoint("b", backend="two", numerics={"dtype": "y"})
    first.checkpoints = second.checkpoints = models
    registered(one=first, two=second)
    engine_of().resolve(["one/a", "two/b"], compared=2)
    assert (first.reconciled, second.reconciled) == ([["a"]], [["b"]])


def test_checkpoints_that_cannot_be_computed_alike_are_refused(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    models = {
        name: checkpoint(name, numerics={"dtype": dtype}, backend="one")
        for name, dtype in (("wide", "float32"), ("half", "bfloat16"))
    }
    registered(one=Scripted(checkpoints=models))
    with pytest.raises(ConfigurationError, match=r"one/half .*\(dtype float32 → bfloat16\)"):
        engine_of().resolve(["one/half", "one/wide"], compared=2)
    assert len(engine_of().resolve(["one/half", "one/wide"])) == 2


# --- workers ---------------------------------------------------------------------------------------------


class Replicated(Scripted):
    """A local model, of which there may be several."""

    REPLICATES = True


@pytest.mark.parametrize(("workers", "count"), [("threads", None), ("threads:3", 3)])
def test_a_local_model_is_put_behind_the_workers_that_are_asked_for(
    registered: Register, engine_of: Callable[..., Engine], workers: str, count: int | None
) -> None:
    asked: list[tuple[str, Any, int | None]] = []
    spread = Scripted(lambda name, request: Response("from a worker"))

    def spreads(name: str, backend: Any, options: BackendOptions, replicas: int | None) -> Any:
        asked.append((name, backend, replicas))
        spread.REPLICATES = True  # type: ignore[attr-defined]  # as what it replaces
        return spread

    local, served = Replicated(), Scripted()
    registered(workers=spreads, one=local, two=served)
    engine = engine_of(workers=workers)
    (model, _) = engine.resolve(["one/a", "two/b"])
    assert asked == [("one", local, count)]
    assert engine.ask_one(replace(model, backend="one"), question("hello")).text == "from a worker"


def test_workers_without_a_local_model_are_refused(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    registered(workers=lambda *arguments: None, one=Scripted())
    with pytest.raises(ConfigurationError, match="--workers: no checkpoint of this session is a local model"):
        engine_of(workers="threads").resolve(["one/a"])


def test_no_workers_are_made_unless_asked_for(registered: Register, engine_of: Callable[..., Engine]) -> None:
    def spreads(*arguments: Any) -> Any:
        raise AssertionError("nobody asked for workers")

    local = Replicated()
    registered(workers=spreads, one=local)
    engine_of().resolve(["one/a"])


# --- what changed meanwhile ------------------------------------------------------------------------------


def test_checkpoints_whose_files_changed_are_told(
    registered: Register, engine_of: Callable[..., Engine]
) -> None:
    backend = Scripted()
    registered(one=backend)
    engine = engine_of()
    found = engine.resolve(["one/a", "one/b"])
    assert engine.changed_since(found) == ()
    backend.checkpoints["b"] = checkpoint("b", fingerprint="f" * 64)
    assert engine.changed_since(found) == (found[1],)


# --- asking ----------------------------------------------------------------------------------------------


@pytest.fixture
def backend() -> Scripted:
    return Scripted(lambda name, request: Response(f"{name}: {request.messages[-1].content}"))


@pytest.fixture
def engine(registered: Register, engine_of: Callable[..., Engine], backend: Scripted) -> Engine:
    registered(scripted=backend)
    return engine_of()


ONE, TWO = checkpoint("one"), checkpoint("two")


def questions(cases: list[Case], *models: Checkpoint, samples: int = 1) -> list[Question]:
    return [
        Question(model, each, SAMPLING, sample)
        for each in cases
        for model in models
        for sample in range(samples)
    ]


def test_each_stage_of_the_dialogues_is_one_batch_per_checkpoint(engine: Engine, backend: Scripted) -> None:
    cases = [case("a", "a1", "a2"), case("b"), case("c", "c1")]
    asked = questions(cases, ONE, TWO)
    engine.ask(asked)
    stages = [["about a", "about b", "about c"], ["a1", "c1"], ["a2"]]
    assert backend.texts() == [texts for texts in stages for _ in (ONE, TWO)]
    assert engine.report == FillReport(wanted=12, generated=12)
    assert [answer.text for answer in engine.answers(asked[0])] == ["one: about a", "one: a1", "one: a2"]
    assert engine.answer(asked[1]).text == "two: a2"
    assert [len(engine.answers(one)) for one in asked] == [3, 3, 1, 1, 2, 2]


def test_the_turn_after_an_answer_is_asked_with_it(engine: Engine, backend: Scripted) -> None:
    engine.ask(questions([case("a", "a1")], ONE))
    (_, (second,)) = backend.asked[1]
    assert [(message.role, message.content) for message in second.messages] == [
        ("user", "about a"),
        ("assistant", "one: about a"),
        ("user", "a1"),
    ]


def test_equal_questions_are_asked_once(engine: Engine, backend: Scripted) -> None:
    asked = questions([case("a", text="same"), case("b", text="same")], ONE)
    engine.ask(asked)
    assert backend.texts() == [["same"]]
    assert engine.report.wanted == 1
    assert engine.answer(asked[0]) == engine.answer(asked[1])


def test_the_first_sample_is_meant_where_none_is_named(engine: Engine, backend: Scripted) -> None:
    engine.ask([Question(ONE, case("a"), SAMPLING)])
    engine.ask(questions([case("a")], ONE))
    assert [request.sample for _, requests in backend.asked for request in requests] == [0]


def test_samples_are_questions_of_their_own(engine: Engine, backend: Scripted) -> None:
    asked = questions([case("a")], ONE, samples=3)
    engine.ask(asked)
    assert [request.sample for request in backend.asked[0][1]] == [0, 1, 2]


def test_what_is_known_is_not_asked_again(
    engine: Engine, engine_of: Callable[..., Engine], backend: Scripted
) -> None:
    asked = questions([case("a", "a1"), case("b")], ONE)
    engine.ask(asked)
    before = len(backend.asked)
    engine.ask(asked)
    later = engine_of("later")
    later.ask(asked)
    assert len(backend.asked) == before
    assert later.report == FillReport(wanted=3, reused=3)
    assert [later.answer(one).text for one in asked] == [engine.answer(one).text for one in asked]


def test_a_dialogue_goes_on_from_what_this_session_knows_without_looking_it_up(
    engine: Engine, backend: Scripted
) -> None:
    """Its first answer came with another question; only the turn after it is still wanted."""
    engine.ask(questions([case("a", text="same")], ONE))
    engine.ask(questions([case("b", "more", text="same")], ONE))
    assert backend.texts() == [["same"], ["more"]]
    assert engine.report == FillReport(wanted=2, generated=2)


def test_nothing_to_ask_asks_nothing(engine: Engine, backend: Scripted) -> None:
    engine.ask([])
    engine.fill(Plan())
    assert backend.asked == []
    assert engine.report == FillReport()


def test_answers_are_told_without_asking(
    engine: Engine, engine_of: Callable[..., Engine], backend: Scripted
) -> None:
    (asked,) = questions([case("a", "a1")], ONE)
    assert engine.answers(asked) == ()
    opening = Plan()
    opening.add(ONE, Request(asked.case.messages, SAMPLING, case_id="a"))
    engine.fill(opening)
    for told in (engine, engine_of("later")):
        assert [answer.text for answer in told.answers(asked)] == ["one: about a"]
    assert backend.texts() == [["about a"]]


def test_an_answer_that_was_not_planned_is_asked_now(engine: Engine, backend: Scripted) -> None:
    (asked,) = questions([case("a", "a1")], ONE)
    assert engine.answer(asked).text == "one: a1"
    assert backend.texts() == [["about a"], ["a1"]]
    assert engine.answer(asked).text == "one: a1"
    assert len(backend.asked) == 2
    assert engine.report == FillReport(wanted=2, generated=2)


def test_a_single_request_is_answered_from_the_cache_where_it_is_known(
    engine: Engine, engine_of: Callable[..., Engine], backend: Scripted
) -> None:
    request = question("hello", sampling=SAMPLING)
    for told in (engine, engine, engine_of("later")):
        assert told.ask_one(ONE, request).text == "one: hello"
    assert backend.texts() == [["hello"]]
    assert engine.ask_one(TWO, request).text == "two: hello"


def test_a_failed_request_is_an_error_that_names_case_and_checkpoint(
    engine: Engine, backend: Scripted
) -> None:
    backend.answer = lambda name, request: Response("", "error", detail="the network is down")
    (asked,) = questions([case("a", "a1")], ONE)
    engine.ask([asked])
    with pytest.raises(InferenceError, match=r"case a: scripted/one: the network is down"):
        engine.answer(asked)
    assert len(backend.asked) == 1, "nothing is said to a checkpoint that gave no answer"
    assert engine.report == FillReport(wanted=1, failed=1)


def test_two_cases_two_samplings_and_two_samples_are_told_apart(engine: Engine) -> None:
    """What is kept of a question is found again by all that it consists of."""
    first, other = case("a"), case("b")
    warm = replace(SAMPLING, temperature=1.0)
    asked = [
        Question(model, each, sampling, sample)
        for model in (ONE, TWO)
        for each in (first, other)
        for sampling in (SAMPLING, warm)
        for sample in (0, 1)
    ]
    engine.ask(asked)
    expected = [f"{one.checkpoint.name}: about {one.case.id}" for one in asked]
    assert [engine.answer(one).text for one in asked] == expected
    assert engine.report.wanted == 16


def test_progress_reaches_whoever_watches(engine: Engine) -> None:
    told: list[tuple[str, int, int]] = []

    class Watcher:
        def begins(self, checkpoint: Checkpoint, wanted: int, reused: int) -> None:
            told.append((checkpoint.name, 0, wanted))

        def answered(self, checkpoint: Checkpoint, done: int, wanted: int, tokens: int) -> None:
            told.append((checkpoint.name, done, wanted))

        def waits_for(self, lock: Path) -> None:
            raise AssertionError("nobody else fills")

    engine.ask(questions([case("a"), case("b")], ONE), Watcher())
    assert told == [("one", 0, 2), ("one", 2, 2)]


def test_an_engine_without_a_cache_says_what_is_missing(registered: Register, tmp_path: Path) -> None:
    registered(scripted=Scripted())
    engine = Engine(BackendOptions(tmp_path, tmp_path / ".harness"))
    with pytest.raises(InferenceError, match="open_cache"):
        engine.ask(questions([case("a")], ONE))
    engine.close()


def test_opening_a_cache_forgets_failures_of_long_ago(
    engine_of: Callable[..., Engine], tmp_path: Path
) -> None:
    cache = ResponseCache(tmp_path / "cache.sqlite", session="old")
    cache.put_many([("k", "f", {}, Response("", "error"))])
    cache._connection.execute("UPDATE failures SET created = 0")
    engine_of("new")
    assert cache.get("k") is None
    cache.close()


def test_closing_closes_backends_and_cache(
    registered: Register, engine_of: Callable[..., Engine], backend: Scripted
) -> None:
    registered(scripted=backend)
    engine = engine_of()
    engine.resolve(["scripted/one"])
    engine.close()
    engine.close()
    assert backend.closed == 1
    with pytest.raises(Exception, match="closed"):
        engine.ask(questions([case("a")], ONE))
