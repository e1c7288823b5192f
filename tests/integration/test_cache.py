"""The response cache: reruns, kills, several processes, and weights that change."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tiny_models import save_adapter, save_model

from .conftest import OTHERS_OFF, Project, right_except, sums

pytestmark = pytest.mark.needs("torch")

BASE = "--baseline=models/base"
MODEL = "--model=models/candidate"
NO_TORCH = """
import sys

def pytest_unconfigure():
    loaded = [name for name in ("torch", "transformers", "pandas") if name in sys.modules]
    print("LOADED", loaded)
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random models by seed, and an adapter on the first; made before a run puts sys.modules back."""
    folder = tmp_path_factory.mktemp("made")
    for seed in range(4):
        save_model(folder / f"seed-{seed}", seed=seed)
    save_adapter(folder / "adapter", folder / "seed-0", spelled="models/base")
    return folder


@pytest.fixture
def models(made: Path, project: Project) -> Project:
    """A project with two local models, 40 cases, and a suite that scores the answers' length."""
    shutil.copytree(made / "seed-0", project.path / "models" / "base")
    shutil.copytree(made / "seed-1", project.path / "models" / "candidate")
    project.golden("sums", [case | {"input": f"please help item {i}"} for i, case in enumerate(sums(40))])
    project.module(
        """
import pytest

@pytest.mark.suite("sums")
def test_sums(response, record_score):
    record_score(min(len(response.text), 100) / 100)
"""
    )
    (project.path / "golden" / "sums" / "v1" / "manifest.json").write_text(
        json.dumps({"schema_version": 1, "name": "sums", "version": 1, "sampling": {"max_tokens": 8}})
    )
    return project


def process(project: Project, *arguments: str) -> tuple[int, dict[str, Any], str]:
    path = project.path / "results.json"
    path.unlink(missing_ok=True)
    done = project.run_process(*arguments, f"--harness-json={path}")
    data = json.loads(path.read_text()) if path.exists() else {}
    return int(done.ret), data, done.stdout.str()


def told(results: dict[str, Any]) -> Any:
    cases = sorted(
        (case["id"], case["score"], case["output"], case["baseline_output"]) for case in results["cases"]
    )
    return cases, [
        (verdict["status"], verdict["delta"], verdict["interval"]) for verdict in results["verdicts"]
    ]


def test_a_second_run_loads_no_weights_and_no_torch(models: Project) -> None:
    models.module(NO_TORCH, "conftest.py")
    code, first, text = process(models, MODEL, BASE, "-s")
    assert "LOADED ['torch', 'transformers']" in text
    assert first["environment"]["requests"]["generated"] > 0
    again, second, text = process(models, MODEL, BASE, "-s")
    assert "LOADED []" in text
    assert second["environment"]["requests"]["generated"] == 0
    assert told(first) == told(second)
    assert code == again


def test_equal_prompts_are_asked_once(models: Project) -> None:
    _, results, _ = process(models, MODEL, BASE)
    assert results["environment"]["requests"]["wanted"] == 80
    cases = [case | {"input": "please help item"} for case in sums(40)]
    models.golden("same", cases)
    models.module(
        'import pytest\n\n@pytest.mark.suite("same")\ndef test_same(response):\n    assert response\n',
        "suites/test_same.py",
    )
    _, results, _ = process(models, MODEL, BASE, "suites/test_same.py")
    assert results["environment"]["requests"]["wanted"] == 2


def test_a_killed_fill_goes_on_where_it_was(models: Project) -> None:
    """`kill -9` after the first committed batches; the rest is generated, and the verdicts are the same."""
    uninterrupted = told(process(models, MODEL, BASE, "--no-cache")[1])
    models.module(
        """
import os
import shutil
import signal
from harness.engine import fill
from harness.engine.cache import ResponseCache

COMMITS = 3
put_many = ResponseCache.put_many

def dying(self, rows):
    global COMMITS
    put_many(self, rows)
    COMMITS -= 1
    if COMMITS == 0 and os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)

ResponseCache.put_many = dying
fill._COMMIT_ROWS = 8
""",
        "conftest.py",
    )
    command = [sys.executable, "-m", "pytest", *OTHERS_OFF, MODEL, BASE, "--batch-size=8"]
    died = subprocess.run(
        command, cwd=models.path, env={**os.environ, "DIE": "1"}, capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL
    with sqlite3.connect(models.path / ".harness" / "cache.sqlite") as database:
        kept = database.execute("SELECT count(*) FROM responses").fetchone()[0]
    assert 0 < kept < 80
    _, results, _ = process(models, MODEL, BASE, "--batch-size=8")
    assert results["environment"]["requests"] == {
        "wanted": 80,
        "reused": kept,
        "generated": 80 - kept,
        "failed": 0,
    }
    assert told(results) == uninterrupted


def test_one_name_two_weights_never_share_an_answer(made: Path, models: Project) -> None:
    for seed, run in ((2, "one"), (3, "two")):
        shutil.copytree(made / f"seed-{seed}", models.path / "runs" / run / "checkpoint-1")
    results = process(models, "--model=one/checkpoint-1,two/checkpoint-1", BASE)[1]
    outputs: dict[str, list[str]] = {}
    for case in results["cases"]:
        outputs.setdefault(case["checkpoint"], []).append(case["output"])
    assert outputs["one/checkpoint-1"] != outputs["two/checkpoint-1"]
    prints = {checkpoint["spec"]: checkpoint["fingerprint"] for checkpoint in results["checkpoints"]}
    assert len(set(prints.values())) == 3


def test_edited_weights_are_asked_anew(models: Project) -> None:
    first = process(models, MODEL, BASE)[1]
    weights = models.path / "models" / "candidate" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-100] ^= 0x40
    weights.write_bytes(data)
    second = process(models, MODEL, BASE)[1]
    assert second["environment"]["requests"]["generated"] == 40
    prints = [{c["role"]: c["fingerprint"] for c in results["checkpoints"]} for results in (first, second)]
    assert prints[0]["baseline"] == prints[1]["baseline"]
    assert prints[0]["candidate"] != prints[1]["candidate"]


def test_weights_that_change_during_the_run_are_inconclusive(models: Project) -> None:
    models.module(
        """
import pathlib
import pytest

@pytest.mark.suite("sums")
def test_sums(response, case, checkpoint):
    if case.id == "c3" and checkpoint.name == "candidate":
        path = pathlib.Path("models/candidate/model.safetensors")
        data = bytearray(path.read_bytes())
        data[-100] ^= 0x40
        path.write_bytes(data)
"""
    )
    code, results, _ = process(models, MODEL, "--baseline=models/base")
    assert code == 10
    assert any("changed during the run" in condition["reason"] for condition in results["conditions"])
    marked = {one["role"]: one.get("rewritten") for one in results["checkpoints"]}
    assert marked["baseline"] is None
    assert "changed during the run" in marked["candidate"]


def test_base_and_adapter_in_one_session(made: Path, models: Project) -> None:
    shutil.copytree(made / "adapter", models.path / "runs" / "lora" / "checkpoint-2")
    code, results, _ = process(models, "--model=checkpoint-2", "--baseline=base")
    assert code in (0, 1)
    assert results["verdicts"][0]["n"] == 40
    alone = process(models, "--model=base", "--baseline=base", "--no-cache")[1]
    base = {case["id"]: case["output"] for case in alone["cases"]}
    assert {case["id"]: case["baseline_output"] for case in results["cases"]} == base


def test_an_altered_row_is_not_served(models: Project) -> None:
    process(models, MODEL, BASE)
    with sqlite3.connect(models.path / ".harness" / "cache.sqlite") as database:
        database.execute("UPDATE responses SET response = replace(response, 'text', 'test')")
    done = models.run_process(MODEL, BASE)
    assert done.ret == 3
    assert "was altered" in done.stdout.str() + done.stderr.str()


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
@pytest.mark.parametrize("damage", ["truncate", "noise"])
def test_a_damaged_database_is_said(sums_project: Project, damage: str, workers: tuple[str, ...]) -> None:
    arguments = ("--model=replay/good.jsonl", "--baseline=replay/base.jsonl")
    sums_project.run(*arguments)
    path = sums_project.path / ".harness" / "cache.sqlite"
    path.write_bytes(path.read_bytes()[:6000] if damage == "truncate" else b"noise" * 4000)
    done = sums_project.run_process(*arguments, *workers)
    assert done.ret == 3
    said = done.stdout.str() + done.stderr.str()
    assert "cache.sqlite" in said
    assert "Traceback" not in said


def test_four_killed_writers_lose_no_acknowledged_row(tmp_path: Path) -> None:
    """Writers acknowledge each committed row on stdout and are killed; every acknowledged row is there."""
    code = """
import sys
from pathlib import Path
from harness.cases import Response
from harness.engine.cache import ResponseCache
cache = ResponseCache(Path(sys.argv[1]), session="s")
for number in range(100000):
    key = f"{sys.argv[2]}-{number}"
    cache.put_many([(key, "fingerprint", {}, Response(key))])
    print(key, flush=True)
"""
    path = tmp_path / "cache.sqlite"
    logs = [tmp_path / f"log{i}" for i in range(4)]
    writers = []
    for index, log in enumerate(logs):
        with log.open("w") as stream:
            writers.append(
                subprocess.Popen([sys.executable, "-c", code, str(path), str(index)], stdout=stream)
            )
    deadline = time.monotonic() + 30
    while min(len(log.read_text().splitlines()) for log in logs) < 20:
        assert time.monotonic() < deadline, "the writers wrote nothing"
        time.sleep(0.05)
    for writer in writers:
        writer.kill()
        writer.wait()
    from harness.engine.cache import ResponseCache

    acknowledged = [line for log in logs for line in log.read_text().splitlines(keepends=True)]
    keys = [line.strip() for line in acknowledged if line.endswith("\n")]
    cache = ResponseCache(path, session="t")
    found = cache.get_many(keys)
    cache.close()
    assert set(found) == set(keys)
    assert all(found[key].text == key for key in keys)


def test_opening_waits_for_another_process_that_opens(tmp_path: Path) -> None:
    """Before WAL is on, whoever looks at the database locks it, and SQLite gives up at once."""
    from harness.cases import Response
    from harness.engine.cache import ResponseCache

    path = tmp_path / "cache.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (x)")
    other.execute("BEGIN IMMEDIATE")
    leaving = threading.Timer(0.3, other.execute, ["COMMIT"])
    leaving.start()
    cache = ResponseCache(path, session="s")
    leaving.join()
    cache.put_many([("key", "fingerprint", {}, Response("kept"))])
    assert cache.get_many(["key"])["key"].text == "kept"
    cache.close()
    other.close()


def test_waiting_for_another_session_is_said_once(sums_project: Project) -> None:
    state = sums_project.path / ".harness"
    state.mkdir()
    log = sums_project.path / "log"
    command = [sys.executable, "-m", "pytest", *OTHERS_OFF]
    command += ["--model=replay/good.jsonl", "--baseline=replay/base.jsonl"]
    with FileLock(state / "cache.sqlite.lock"), log.open("w") as stream:
        waiting = subprocess.Popen(command, cwd=sums_project.path, stdout=stream)
        deadline = time.monotonic() + 60
        while not (said := [line for line in log.read_text().splitlines() if "waiting for" in line]):
            assert time.monotonic() < deadline, log.read_text()
            assert waiting.poll() is None, log.read_text()
            time.sleep(0.05)
    assert waiting.wait(timeout=60) == 0
    lock = (state / "cache.sqlite.lock").resolve()
    assert said == [f"harness: another session fills the cache; waiting for {lock}"]
    assert log.read_text().count("waiting for") == 1


def test_a_failed_request_is_asked_again_next_time_and_once_per_session(project: Project) -> None:
    project.golden("sums", sums(4))
    project.suite("sums")
    project.outputs("base", right_except(lambda i: False, 4))
    project.outputs("cut", {"c0": "1", "c1": "2", "c2": "3"})
    arguments = ("--model=replay/cut.jsonl", "--baseline=replay/base.jsonl")
    for _ in range(2):
        _, results = project.results(*arguments)
        assert results["environment"]["requests"]["failed"] == 1
    with sqlite3.connect(project.path / ".harness" / "cache.sqlite") as database:
        assert database.execute("SELECT count(*) FROM responses").fetchone()[0] == 7


def test_failures_of_sessions_long_ended_are_dropped(tmp_path: Path) -> None:
    from harness.cases import Response
    from harness.engine.cache import ResponseCache

    path = tmp_path / "cache.sqlite"
    with contextlib.closing(ResponseCache(path, session="old")) as old:
        old.put_many([("k", "fingerprint", {}, Response("", "error", detail="outage"))])
    with contextlib.closing(ResponseCache(path, session="new")) as new:
        new.forget_other_failures()
    with contextlib.closing(ResponseCache(path, session="old")) as old:
        assert old.get("k") is not None  # its session may still run
    with contextlib.closing(ResponseCache(path, session="new")) as new:
        new.forget_other_failures(older_than_s=-1.0)
    with contextlib.closing(ResponseCache(path, session="old")) as old:
        assert old.get("k") is None
