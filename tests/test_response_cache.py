"""The response cache by itself: what it keeps, for whom, and what it refuses to serve."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cases import Response, ToolCall
from harness.engine import cache as cache_module
from harness.engine.cache import ResponseCache
from harness.errors import IntegrityError, StoreError

ANSWER = Response("text", prompt="p", completion_tokens=3, tool_calls=(ToolCall("f", {"x": 1}, "1"),))
FAILURE = Response("", "error", detail="outage")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache.sqlite"


@contextlib.contextmanager
def opened(path: Path, session: str = "s") -> Iterator[ResponseCache]:
    cache = ResponseCache(path, session=session)
    try:
        yield cache
    finally:
        cache.close()


def put(cache: ResponseCache, **rows: Response) -> None:
    cache.put_many([(key, "fingerprint", {"key": key}, response) for key, response in rows.items()])


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(query).fetchall()


# --- what is kept ----------------------------------------------------------------------------------------


def test_an_answer_is_there_for_every_later_session_as_it_was(path: Path) -> None:
    with opened(path) as cache:
        put(cache, a=ANSWER)
        assert cache.get("a") == ANSWER
        assert cache.get("b") is None
    with opened(path, "another") as cache:
        assert cache.get_many(["b", "a", "c"]) == {"a": ANSWER}
        assert cache.get_many([]) == {}


def test_the_first_answer_stays(path: Path) -> None:
    """Two sessions that were asked the same at once agree on one answer."""
    with opened(path) as cache:
        put(cache, a=Response("first"))
        put(cache, a=Response("second"))
        assert cache.get("a") == Response("first")


def test_a_row_says_what_was_asked_of_whom_and_when(path: Path) -> None:
    before = time.time()
    with opened(path) as cache:
        put(cache, a=ANSWER)
    ((key, fingerprint, request, created),) = rows(
        path, "SELECT key, checkpoint, request, created FROM responses"
    )
    assert (key, fingerprint, request) == ("a", "fingerprint", '{"key": "a"}')
    assert isinstance(created, float)
    assert before <= created <= time.time()


@pytest.mark.parametrize("count", [499, 500, 501, 1203])
def test_any_number_of_keys_is_looked_up(path: Path, count: int) -> None:
    """More than one query's worth, in any order; failures are found among them too."""
    names = [f"key-{number:04}" for number in range(count)]
    with opened(path) as cache:
        cache.put_many((name, "f", {}, FAILURE if name[-1] == "7" else Response(name)) for name in names)
        found = cache.get_many(names[::-1])
    assert set(found) == set(names)
    assert all(found[name].failed == (name[-1] == "7") for name in names)
    assert all(found[name].text in ("", name) for name in names)


def test_more_keys_than_one_query_takes_are_asked_in_several(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_CHUNK", 2)
    asked: list[str] = []
    with opened(path) as cache:
        put(cache, a=ANSWER, c=ANSWER, e=ANSWER)
        cache._connection.set_trace_callback(asked.append)
        assert sorted(cache.get_many(["e", "d", "c", "b", "a"])) == ["a", "c", "e"]
    queries = [query.partition(" IN ")[2] for query in asked if "FROM responses" in query]
    assert queries == ["('a','b')", "('c','d')", "('e')"]
    assert sum("FROM failures" in query for query in asked) == 1, "where none failed, none is looked for"


def test_an_answer_that_json_cannot_say_is_not_kept(path: Path) -> None:
    with opened(path) as cache:
        with pytest.raises(ValueError, match="JSON"):
            put(cache, a=replace(ANSWER, latency_ms=float("nan")))
        assert cache.get("a") is None


def test_the_database_waits_for_others_and_survives_a_kill(path: Path) -> None:
    """In the write-ahead log, NORMAL loses nothing to a killed process, and syncs once a checkpoint only."""
    with opened(path / "nested" / "cache.sqlite") as cache:
        pragmas = [cache._connection.execute(f"PRAGMA {name}").fetchone() for name in PRAGMAS]
    assert pragmas == [(30_000,), (1,), ("wal",)]


PRAGMAS = ("busy_timeout", "synchronous", "journal_mode")


# --- failures --------------------------------------------------------------------------------------------


def test_a_failure_is_known_to_its_session_alone(path: Path) -> None:
    with opened(path, "one") as one, opened(path, "two") as two, opened(path, "one") as worker_of_one:
        put(one, a=FAILURE, b=ANSWER)
        assert one.get_many(["a", "b"]) == {"a": FAILURE, "b": ANSWER}
        assert worker_of_one.get("a") == FAILURE
        assert two.get_many(["a", "b"]) == {"b": ANSWER}
        put(two, c=FAILURE)
        assert two.get_many(["a", "b", "c"]) == {"b": ANSWER, "c": FAILURE}


def test_an_answer_wins_over_an_earlier_failure(path: Path) -> None:
    with opened(path) as cache:
        put(cache, a=FAILURE)
        put(cache, a=ANSWER)
        assert cache.get("a") == ANSWER


def test_the_latest_failure_is_the_one_that_is_told(path: Path) -> None:
    with opened(path) as cache:
        put(cache, a=FAILURE)
        put(cache, a=Response("", "error", detail="still down"))
        found = cache.get("a")
    assert found is not None
    assert found.detail == "still down"


def test_failures_of_other_sessions_are_forgotten_after_a_day(path: Path) -> None:
    with opened(path, "old") as old:
        put(old, a=FAILURE)
    with opened(path, "new") as new:
        put(new, a=FAILURE)
    age = "UPDATE failures SET created = created - {} WHERE session = 'old'"
    for hours, left in ((23, 2), (2, 1)):
        rows(path, age.format(hours * 3600))
        with opened(path, "new") as new:
            new.forget_other_failures()
        assert len(rows(path, "SELECT session FROM failures")) == left
    rows(path, "UPDATE failures SET created = 0")
    with opened(path, "new") as new:
        new.forget_other_failures()
        assert new.get("a") == FAILURE, "a session's own failures are its own to keep"


# --- all or nothing --------------------------------------------------------------------------------------


def test_a_batch_is_kept_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as cache:
        put(cache, a=ANSWER)
        bad = [("b", "f", {}, ANSWER), ("c", "f", {}, FAILURE)]
        monkeypatch.setattr(cache, "_session", object())  # SQLite cannot store one: the second insert fails
        with pytest.raises(IntegrityError, match=r"cache\.sqlite"):
            cache.put_many(bad)
        monkeypatch.undo()
        assert cache.get_many(["a", "b", "c"]) == {"a": ANSWER}
        put(cache, b=ANSWER)  # the transaction that failed is over
        assert cache.get("b") == ANSWER


# --- what it refuses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["response", "digest", "key"])
def test_an_altered_row_is_not_served(path: Path, column: str) -> None:
    with opened(path) as cache:
        put(cache, a=ANSWER, b=ANSWER)
        rows(
            path,
            f"UPDATE responses SET {column} = replace({column}, substr({column}, 1, 1), 'z') WHERE key = 'a'",
        )
        assert cache.get("b") == ANSWER
        with pytest.raises(
            IntegrityError, match=r"cache\.sqlite: the row .* was altered; move the file away"
        ):
            cache.get_many(["a", "z"])


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"noise" * 1000)
    with pytest.raises(
        IntegrityError, match=r"cache\.sqlite: .*; move it away, answers will be generated anew"
    ):
        ResponseCache(path, session="s")


def test_a_database_of_a_newer_version_is_refused_and_of_this_one_is_not(path: Path) -> None:
    with opened(path) as cache:
        put(cache, a=ANSWER)
    assert rows(path, "PRAGMA user_version") == [(1,)]
    with opened(path) as cache:
        assert cache.get("a") == ANSWER
    rows(path, "PRAGMA user_version=2")
    with pytest.raises(
        IntegrityError, match=r"written by a newer version \(schema 2\); upgrade or delete it"
    ):
        ResponseCache(path, session="s")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/state: cannot be created: "):
        ResponseCache(tmp_path / "file" / "state" / "cache.sqlite", session="s")


def test_a_database_that_stays_locked_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BUSY_TIMEOUT_S", 0.05)
    with opened(path) as cache, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=r"cache\.sqlite: database is locked; nothing already stored is lost"
        ):
            put(cache, a=ANSWER)
        other.execute("COMMIT")
        put(cache, a=ANSWER)
        assert cache.get("a") == ANSWER


def test_readers_go_on_while_another_writes(path: Path) -> None:
    """The write-ahead log is on: a reader sees what was committed before."""
    with opened(path) as cache, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        put(cache, a=ANSWER)
        assert rows(path, "PRAGMA journal_mode") == [("wal",)]
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM responses")
        assert cache.get("a") == ANSWER
        other.execute("ROLLBACK")


def test_opening_waits_for_whoever_holds_the_file(path: Path) -> None:
    """Before the write-ahead log is on, SQLite does not wait for others by itself."""
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (x)")
    other.execute("BEGIN IMMEDIATE")
    leaving = threading.Timer(0.2, other.execute, ["COMMIT"])
    leaving.start()
    with opened(path) as cache:
        put(cache, a=ANSWER)
    leaving.join()
    other.close()


def test_opening_gives_up_at_last_and_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BUSY_TIMEOUT_S", 0.05)
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE other (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"cache\.sqlite: database is locked"):
            ResponseCache(path, session="s")


# --- network mounts --------------------------------------------------------------------------------------


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    """Let these lines be what the system says about its mounts."""
    table = tmp_path / "mounts"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    plain = cache_module.Path
    monkeypatch.setattr(
        cache_module, "Path", lambda *parts: table if parts == ("/proc/self/mounts",) else plain(*parts)
    )


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "lustre"])
def test_a_network_mount_is_refused(
    kind: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path, "/dev/sda1 / ext4 rw 0 0", f"server:/x {tmp_path.resolve()} {kind} rw 0 0")
    with pytest.raises(StoreError, match=rf"state: is on a network file system \({kind}\).*HARNESS_STATE"):
        ResponseCache(path, session="s")
    assert not path.exists()


def test_the_innermost_mount_decides(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = f"tmpfs {tmp_path.resolve()} tmpfs rw 0 0"
    outer = f"server:/x {tmp_path.resolve().parent} nfs rw 0 0"
    elsewhere = f"server:/y {tmp_path.resolve()}/elsewhere nfs rw 0 0"
    for lines in ((inner, outer, elsewhere), (outer, inner), ("", "two fields", inner, outer)):
        with monkeypatch.context() as patched:
            mounted(patched, tmp_path, *lines)
            with opened(path):
                pass
    on_the_root, bare = "server:/ / nfs rw 0 0", f"server:/x {tmp_path.resolve()} nfs"
    for line in (outer, on_the_root, bare):
        with monkeypatch.context() as patched:
            mounted(patched, tmp_path, line)
            with pytest.raises(StoreError, match="network file system"):
                ResponseCache(path, session="s")


def test_what_was_mounted_last_on_a_place_is_what_one_sees(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an automounter holds the place until the share is needed."""
    waits, share = (f"x {tmp_path.resolve()} {kind} rw 0 0" for kind in ("autofs", "nfs4"))
    mounted(monkeypatch, tmp_path, waits, share)
    with pytest.raises(StoreError, match=r"network file system \(nfs4\)"):
        ResponseCache(path, session="s")


def test_a_name_that_is_no_utf_8_among_the_mounts_disturbs_nobody(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path)
    (tmp_path / "mounts").write_bytes(b"x /caf\xe9 ext4 rw 0 0\n")
    with opened(path):
        pass


def test_a_mount_point_with_a_space_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my share"
    folder.mkdir()
    mounted(
        monkeypatch, tmp_path, "/dev/sda1 / ext4 rw 0 0", f"s:/x {tmp_path.resolve()}/my\\040share nfs rw 0 0"
    )
    with pytest.raises(StoreError, match="network file system"):
        ResponseCache(folder / "cache.sqlite", session="s")


def test_a_system_that_tells_no_mounts_is_taken_at_its_word(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path, f"server:/x {tmp_path.resolve()} nfs rw 0 0")
    (tmp_path / "mounts").unlink()
    with opened(path) as cache:
        put(cache, a=ANSWER)
