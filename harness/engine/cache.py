"""The response cache: one SQLite database in WAL mode, the meeting point of reruns, workers and resumes.

Responses are kept, never scores: a changed scorer always scores anew. Rows are JSON with a digest over the
row, so that a damaged, cut or hand-edited database is seen and not served.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path

from harness.cases import Response
from harness.errors import IntegrityError, StoreError
from harness.files.state_folder import make_state_folder

__all__ = ["ResponseCache"]

_SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 30.0
_CHUNK = 500  # keys per query, below SQLite's limit on variables
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre"})
_SPELL = json.JSONEncoder(allow_nan=False).encode
_READ = json.JSONDecoder().decode
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    key TEXT PRIMARY KEY,
    checkpoint TEXT NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    digest TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    session TEXT NOT NULL,
    key TEXT NOT NULL,
    response TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (session, key)
) WITHOUT ROWID;
"""


class ResponseCache:
    """Responses by request key.

    A failed request (infrastructure error) is kept apart and only for its own session, so that the workers
    of one session agree about it and the next session asks again.

    Args:
        path: The database file; created with its folder when missing.
        session: Identifies the session; workers of one session share it.

    Raises:
        StoreError: The file system cannot hold it (network mounts break WAL), or it stays locked.
        IntegrityError: The file is no cache database, or one from a newer version.
    """

    def __init__(self, path: Path, *, session: str) -> None:
        self.path = path
        self._session = session
        try:
            make_state_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot be created: {error.strerror}") from error
        _refuse_network_mount(path.parent)
        with self._reporting():
            self._connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            _use_wal(self._connection)
            self._connection.execute("PRAGMA synchronous=NORMAL")
            version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            if version > _SCHEMA_VERSION:
                raise IntegrityError(
                    f"{path}: written by a newer version (schema {version}); upgrade or delete it"
                )
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}; nothing already stored is lost, run again") from error
        except sqlite3.Error as error:
            raise IntegrityError(
                f"{self.path}: {error}; move it away, answers will be generated anew"
            ) from error

    def get(self, key: str) -> Response | None:
        """Return the response stored under a key, or this session's failure, or None."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Response]:
        """Return what is stored under these keys; keys without an answer are absent.

        Raises:
            IntegrityError: A row is not what was written.
        """
        found: dict[str, Response] = {}
        keys = sorted(keys)  # as the table is: neighbours lie on one page
        with self._reporting():
            own = "SELECT 1 FROM failures WHERE session = ? LIMIT 1"
            has_failures = self._connection.execute(own, [self._session]).fetchone() is not None
            for start in range(0, len(keys), _CHUNK):
                chunk = list(keys[start : start + _CHUNK])
                marks = ",".join("?" * len(chunk))
                rows = self._connection.execute(
                    f"SELECT key, response, digest FROM responses WHERE key IN ({marks})",  # noqa: S608 - only question marks are interpolated
                    chunk,
                )
                for key, stored, digest in rows:
                    if _digest(key, stored) != digest:
                        raise IntegrityError(
                            f"{self.path}: the row {key[:12]}… was altered; move the file away, "
                            "answers will be generated anew"
                        )
                    found[key] = Response.from_dict(_READ(stored))
                if not has_failures:
                    continue
                rows = self._connection.execute(
                    f"SELECT key, response FROM failures WHERE session = ? AND key IN ({marks})",  # noqa: S608 - as above
                    [self._session, *chunk],
                )
                for key, stored in rows:
                    found.setdefault(key, Response.from_dict(_READ(stored)))
        return found

    def put_many(self, rows: Iterable[tuple[str, str, Mapping[str, object], Response]]) -> None:
        """Commit answers in one transaction: (key, checkpoint fingerprint, request, response) each.

        When this returns, a kill of the process loses none of them.
        """
        now = time.time()
        answers: list[tuple[object, ...]] = []
        failures: list[tuple[object, ...]] = []
        for key, fingerprint, request, response in rows:
            stored = _SPELL(response.as_dict())
            if response.failed:
                failures.append((self._session, key, stored, now))
            else:
                digest = _digest(key, stored)
                answers.append((key, fingerprint, json.dumps(request), stored, digest, now))
        with self._reporting():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?, ?)", answers
                )
                self._connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", failures)
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def forget_other_failures(self, older_than_s: float = 86_400.0) -> None:
        """Drop failures of sessions that ended long ago."""
        with self._reporting():
            self._connection.execute(
                "DELETE FROM failures WHERE session != ? AND created < ?",
                (self._session, time.time() - older_than_s),
            )

    def close(self) -> None:
        """Close the connection; what was committed stays."""
        self._connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Put the database into WAL mode; SQLite's own busy timeout does not wait for others here."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

    waiting = Retrying(
        retry=retry_if_exception_type(sqlite3.OperationalError),
        stop=stop_after_delay(_BUSY_TIMEOUT_S),
        wait=wait_fixed(0.02),
        reraise=True,
    )
    waiting(connection.execute, "PRAGMA journal_mode=WAL")


def _digest(key: str, stored: str) -> str:
    """Return `content_digest([key, stored])`, put together by hand: a rerun asks for that of every answer."""
    spelling = f"[{encode_basestring_ascii(key)},{encode_basestring_ascii(stored)}]"
    return hashlib.sha256(spelling.encode("ascii")).hexdigest()


def _refuse_network_mount(folder: Path) -> None:
    """Refuse a folder on a network file system, where SQLite's WAL is not safe (sqlite.org/wal.html)."""
    mounts = Path("/proc/self/mounts")
    if not mounts.is_file():
        return
    real = folder.resolve()
    best: tuple[int, str] = (-1, "")
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        if len(fields) > 2:
            point = fields[1].replace("\\040", " ")
            if real.is_relative_to(point) and len(point) >= best[0]:  # of two on one place the last is seen
                best = (len(point), fields[2])
    if best[1] in _NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"{folder}: is on a network file system ({best[1]}), where SQLite's WAL can lose data; "
            "set the ini key harness_state (or HARNESS_STATE) to a local folder"
        )
