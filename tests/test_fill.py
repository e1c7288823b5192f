"""Filling the cache: what is asked, when it is kept, and what is lost by a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from scripted_backend import Scripted, checkpoint, question

from harness.cases import Message, Request, Response
from harness.engine import fill as fill_module
from harness.engine.cache import ResponseCache
from harness.engine.fill import FillReport, fill
from harness.engine.plan import Plan
from harness.likelihood import Continuation, Likelihood
from harness.protocols import Checkpoint

MODEL = checkpoint()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ResponseCache]:
    opened = ResponseCache(tmp_path / "cache.sqlite", session="s")
    yield opened
    opened.close()


def planned(*texts: str, of: Checkpoint = MODEL, **fields: Any) -> Plan:
    plan = Plan()
    for text in texts:
        plan.add(of, question(text, **fields))
    return plan


def numbered(count: int) -> tuple[str, ...]:
    return tuple(f"question {number}" for number in range(count))


def kept(path: Path) -> int:
    """How many answers another process would find."""
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM responses").fetchone()[0])


class Watcher:
    """Remembers what a fill tells, and how many rows were in the database then."""

    def __init__(self, path: Path, on_waiting: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.on_waiting = on_waiting
        self.begun: list[tuple[str, int, int]] = []
        self.told: list[tuple[str, int, int]] = []
        self.rows: list[int] = []
        self.waited: list[Path] = []

    def begins(self, checkpoint: Checkpoint, wanted: int, reused: int) -> None:
        self.begun.append((checkpoint.name, wanted, reused))

    def answered(self, checkpoint: Checkpoint, done: int, wanted: int, tokens: int) -> None:
        self.told.append((checkpoint.name, done, wanted))
        self.rows.append(kept(self.path))

    def waits_for(self, lock: Path) -> None:
        self.waited.append(lock)
        self.on_waiting()


# --- what a kill loses -----------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from scripted_backend import Scripted, checkpoint, question
from harness.cases import Response
from harness.engine.cache import ResponseCache
from harness.engine.fill import fill
from harness.engine.plan import Plan

def answer(name, request):
    if request.messages[-1].content == "question 150":
        os.kill(os.getpid(), signal.SIGKILL)
    return Response("kept")

plan = Plan()
for number in range(200):
    plan.add(checkpoint(), question(f"question {number}"))
fill(plan, ResponseCache(Path(sys.argv[1]), session="dies"), lambda _: Scripted(answer))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX does")
def test_a_killed_fill_keeps_its_finished_batches(tmp_path: Path, cache: ResponseCache) -> None:
    """64 answers are committed together: of 150 given ones 128 are kept, and the rest is asked again."""
    command = [sys.executable, "-c", DYING, str(cache.path), str(Path(__file__).parent)]
    died = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert kept(cache.path) == 128
    backend = Scripted(lambda name, request: Response("anew"))
    report, answers = fill(planned(*numbered(200)), cache, lambda _: backend)
    assert report == FillReport(wanted=200, reused=128, generated=72)
    assert backend.texts() == [list(numbered(200)[128:])]
    assert [response.text for response in answers.values()].count("kept") == 128


def test_answers_are_committed_while_others_are_still_to_come(cache: ResponseCache) -> None:
    """What is in the database when the backend is asked for its n-th answer."""
    seen: dict[int, int] = {}

    def answer(name: str, request: Request) -> Response:
        seen[len(seen)] = kept(cache.path)
        return Response("a")

    fill(planned(*numbered(130)), cache, lambda _: Scripted(answer))
    assert [seen[number] for number in (0, 63, 64, 127, 128, 129)] == [0, 0, 64, 64, 128, 128]
    assert kept(cache.path) == 130


def test_slow_answers_are_committed_every_second(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 1))  # each look at the clock finds half a second gone
    monkeypatch.setattr(fill_module.time, "monotonic", lambda: next(clock) / 2)
    watcher = Watcher(cache.path)
    fill(planned(*numbered(6)), cache, lambda _: Scripted(), progress=watcher)
    assert [done for _, done, _ in watcher.told] == [2, 4, 6]
    assert watcher.rows == [2, 4, 6]


def test_an_interrupted_fill_keeps_what_was_answered(cache: ResponseCache) -> None:
    """Ctrl-C and a backend that breaks: what came before is kept, and nothing else is made up."""

    def answer(name: str, request: Request) -> Response:
        if request.messages[-1].content == "question 3":
            raise KeyboardInterrupt
        return Response("before")

    plan = planned(*numbered(6))
    with pytest.raises(KeyboardInterrupt):
        fill(plan, cache, lambda _: Scripted(answer))
    assert kept(cache.path) == 3
    assert fill(plan, cache, lambda _: Scripted())[0] == FillReport(wanted=6, reused=3, generated=3)


# --- what is asked ---------------------------------------------------------------------------------------


def test_a_full_cache_is_read_without_a_lock_and_without_a_backend(cache: ResponseCache) -> None:
    plan = planned("a", "b")
    first = fill(plan, cache, lambda _: Scripted())[1]

    def no_backend(checkpoint: Checkpoint) -> Scripted:
        raise AssertionError("nothing is missing")

    lock = Path(f"{cache.path}.lock")
    lock.unlink(missing_ok=True)
    report, answers = fill(plan, cache, no_backend)
    assert report == FillReport(wanted=2, reused=2)
    assert answers == first
    assert not lock.exists()


def test_only_what_is_missing_is_asked_and_counted(cache: ResponseCache) -> None:
    fill(planned("a", "b"), cache, lambda _: Scripted())
    backend = Scripted(
        lambda name, request: (
            Response("", "error", detail="busy") if request.messages[-1].content == "d" else Response("new")
        )
    )
    report, answers = fill(planned("a", "c", "b", "d"), cache, lambda _: backend)
    assert backend.texts() == [["c", "d"]]
    assert report == FillReport(wanted=4, reused=2, generated=1, failed=1)
    assert sorted(response.text for response in answers.values()) == ["", "A", "B", "new"]


def test_reports_of_stages_add_up() -> None:
    assert FillReport(1, 2, 3, 4) + FillReport(10, 20, 30, 40) == FillReport(11, 22, 33, 44)
    assert FillReport() == FillReport(wanted=0, reused=0, generated=0, failed=0)


def test_each_checkpoint_is_asked_once_for_all_of_its_own(cache: ResponseCache) -> None:
    plan = Plan()
    one, two = checkpoint("one"), checkpoint("two")
    for text in ("a", "b"):
        for model in (two, one):
            plan.add(model, question(text))
    backend = Scripted(lambda name, request: Response(f"{name}: {request.messages[-1].content}"))
    report, answers = fill(plan, cache, lambda _: backend)
    assert [name for name, _ in backend.asked] == ["one", "two"]
    assert backend.texts() == [["a", "b"], ["a", "b"]]
    assert report == FillReport(wanted=4, generated=4)
    assert [answers[key.key].text for key in plan] == ["two: a", "one: a", "two: b", "one: b"]


def test_a_request_that_the_backend_forgot_is_a_failure_and_is_asked_again(cache: ResponseCache) -> None:
    backend = Scripted(
        lambda name, request: None if request.messages[-1].content == "b" else Response("answered")
    )
    plan = planned("a", "b", "c")
    watcher = Watcher(cache.path)
    report, answers = fill(plan, cache, lambda _: backend, progress=watcher)
    assert report == FillReport(wanted=3, generated=2, failed=1)
    silent = next(response for response in answers.values() if response.failed)
    assert silent.detail == "backend scripted gave no answer"
    assert watcher.told[-1] == ("model", 3, 3)
    again = ResponseCache(cache.path, session="another")
    assert fill(plan, again, lambda _: Scripted())[0] == FillReport(wanted=3, reused=2, generated=1)
    again.close()


def test_a_failure_is_the_sessions_own_and_not_asked_twice_in_it(cache: ResponseCache) -> None:
    plan = planned("a")
    failing = Scripted(lambda name, request: Response("", "error", detail="outage"))
    fill(plan, cache, lambda _: failing)
    assert fill(plan, cache, lambda _: failing)[0] == FillReport(wanted=1, reused=1)
    assert len(failing.asked) == 1


def test_progress_is_told_after_each_commit(cache: ResponseCache) -> None:
    watcher = Watcher(cache.path)
    fill(planned(*numbered(70)), cache, lambda _: Scripted(), progress=watcher)
    assert watcher.begun == [("model", 70, 0)]
    assert watcher.told == [("model", 64, 70), ("model", 70, 70)]
    assert watcher.rows == [64, 70]


# --- who fills -------------------------------------------------------------------------------------------


class Holder(threading.Thread):
    """Another session: holds the lock until it is told to go on, does its work and lets go."""

    def __init__(self, cache: ResponseCache, work: Callable[[], None] = lambda: None) -> None:
        super().__init__(daemon=True)
        self._path, self._work = f"{cache.path}.lock", work
        self.holds, self.goes_on = threading.Event(), threading.Event()
        self.start()
        assert self.holds.wait(timeout=60)

    def run(self) -> None:
        with FileLock(self._path):
            self.holds.set()
            self.goes_on.wait(timeout=60)
            self._work()


def test_one_fills_and_the_others_wait_say_so_and_read(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one fills the same plan while it holds the lock; nothing is asked a second time."""
    monkeypatch.setattr(fill_module, "_UNTOLD_SECONDS", 0.05)
    plan = planned("a", "b")

    def fill_it() -> None:
        filled = ResponseCache(cache.path, session="other")
        filled.put_many((one.key, "f", one.request.as_dict(), Response("of the other")) for one in plan)
        filled.close()

    other = Holder(cache, fill_it)
    watcher = Watcher(cache.path, on_waiting=other.goes_on.set)
    backend = Scripted()
    report, answers = fill(plan, cache, lambda _: backend, progress=watcher)
    assert watcher.waited == [Path(f"{cache.path}.lock")]
    assert backend.asked == []
    assert report == FillReport(wanted=2, reused=2)
    assert {response.text for response in answers.values()} == {"of the other"}


def test_a_fill_that_nobody_watches_waits_without_a_word(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill_module, "_UNTOLD_SECONDS", 0.01)
    other = Holder(cache)
    threading.Timer(0.1, other.goes_on.set).start()
    assert fill(planned("a"), cache, lambda _: Scripted())[0] == FillReport(wanted=1, generated=1)


def test_a_fill_gives_its_lock_back(cache: ResponseCache) -> None:
    fill(planned("a"), cache, lambda _: Scripted())
    with FileLock(f"{cache.path}.lock", timeout=1):
        pass


# --- what may stand as an answer -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (Response("half \ud83d of a pair"), Response("half \ufffd of a pair")),
        (Response("whole \U0001f600"), Response("whole \U0001f600")),
        (Response("x", detail="\udc80 in the detail"), Response("x", detail="\ufffd in the detail")),
        (Response("\ud83d", detail=None), Response("\ufffd", detail=None)),
        (Response("\ud83d", detail="kept as it is"), Response("\ufffd", detail="kept as it is")),
    ],
    ids=["text", "a pair", "detail", "no detail", "other detail"],
)
def test_lone_surrogates_are_replaced_before_anything_is_stored(
    cache: ResponseCache, given: Response, stored: Response
) -> None:
    _, answers = fill(planned("a"), cache, lambda _: Scripted(lambda name, request: given))
    assert list(answers.values()) == [stored]
    assert list(cache.get_many(list(answers)).values()) == [stored]


def likelihoods(*found: Likelihood) -> Response:
    return Response("", likelihoods=found)


LIKELY, UNLIKELY = Likelihood(-0.5, 1, greedy=True), Likelihood(-9.0, 3, greedy=False)
CHOICES = (Continuation(" yes"), Continuation(" no"))


class Likely(Scripted):
    """A scripted backend that computes likelihoods, and says so."""

    LIKELIHOODS = True


def test_a_backend_without_likelihoods_is_not_asked_for_them(cache: ResponseCache) -> None:
    backend = Scripted()
    plan = planned("a")
    plan.add(MODEL, question("which?", continuations=CHOICES))
    report, answers = fill(plan, cache, lambda _: backend)
    assert backend.texts() == [["a"]]
    assert report == FillReport(wanted=2, generated=1, failed=1)
    refused = next(response for response in answers.values() if response.failed)
    assert refused.detail is not None
    assert refused.detail.startswith("backend scripted cannot give likelihoods")
    only = Plan()
    only.add(MODEL, question("and which?", continuations=CHOICES))
    fill(only, cache, lambda _: backend)
    assert len(backend.asked) == 1, "a plan of nothing but refusals asks nothing"


def test_a_backend_with_likelihoods_is_asked_for_them(cache: ResponseCache) -> None:
    plan = planned("which?", continuations=CHOICES)
    backend = Likely(lambda name, request: likelihoods(LIKELY, UNLIKELY))
    _, answers = fill(plan, cache, lambda _: backend)
    assert [response.likelihoods for response in answers.values()] == [(LIKELY, UNLIKELY)]


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ((LIKELY,), "gave 1 likelihoods for 2 texts"),
        ((), "gave 0 likelihoods for 2 texts"),
        ((LIKELY, UNLIKELY, LIKELY), "gave 3 likelihoods for 2 texts"),
        ((LIKELY, Likelihood(0.1, 1, greedy=False)), "for text 1: that is no likelihood"),
        ((Likelihood(float("nan"), 1, greedy=False), LIKELY), "for text 0: that is no likelihood"),
        ((Likelihood(float("-inf"), 1, greedy=False), LIKELY), "for text 0: that is no likelihood"),
        ((LIKELY, Likelihood(-1.0, 0, greedy=False)), "for text 1: that is no likelihood"),
    ],
)
def test_likelihoods_that_are_none_are_failures(
    cache: ResponseCache, found: tuple[Likelihood, ...], problem: str
) -> None:
    backend = Likely(lambda name, request: likelihoods(*found))
    report, answers = fill(planned("which?", continuations=CHOICES), cache, lambda _: backend)
    assert report == FillReport(wanted=1, failed=1)
    (response,) = answers.values()
    assert response.detail is not None
    assert problem in response.detail


def test_a_likelihood_of_one_token_that_is_certain_is_one(cache: ResponseCache) -> None:
    certain = Likelihood(0.0, 1, greedy=True)
    backend = Likely(lambda name, request: likelihoods(certain, certain))
    assert fill(planned("which?", continuations=CHOICES), cache, lambda _: backend)[0].failed == 0


@pytest.mark.parametrize("reason", ["error", "context_overflow"])
def test_what_was_not_computed_stays_what_the_backend_said(cache: ResponseCache, reason: str) -> None:
    backend = Likely(lambda name, request: Response("", reason, detail="too long"))
    _, answers = fill(planned("which?", continuations=CHOICES), cache, lambda _: backend)
    assert list(answers.values()) == [Response("", reason, detail="too long")]


@pytest.mark.parametrize(
    ("response", "fails"),
    [(Response("yes"), False), (likelihoods(LIKELY), True), (likelihoods(LIKELY, UNLIKELY), False)],
)
def test_recorded_outputs_answer_with_a_choice_or_with_likelihoods(
    cache: ResponseCache, response: Response, fails: bool
) -> None:
    recorded = checkpoint(keyed_by_case=True)
    plan = planned("which?", of=recorded, continuations=CHOICES)
    report, _ = fill(plan, cache, lambda _: Scripted(lambda name, request: response))
    assert report.failed == int(fails)


def test_a_plain_answer_needs_no_likelihoods(cache: ResponseCache) -> None:
    request = Request((Message("user", "a"),))
    plan = Plan()
    plan.add(MODEL, request)
    assert fill(plan, cache, lambda _: Likely(lambda name, request: Response("text")))[0].failed == 0
