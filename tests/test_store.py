from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_results import case_result, changed, stored_record, two_sides

from harness.case_result import Role
from harness.cases import Outcome
from harness.errors import (
    ConfigurationError,
    HarnessError,
    IntegrityError,
    MissingDependencyError,
    StoreError,
    UsageError,
)
from harness.runs.dataframe import load_runs
from harness.runs.record import RunRecord
from harness.runs.run_checkpoint import RunCheckpoint
from harness.runs.store import RunStore

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".harness")


def record(run: str = "20260314-092653-5f2c", **fields: Any) -> RunRecord:
    return stored_record(
        *two_sides([1.0, 0.0, 0.25, 1.0], [1.0, 1.0, 1.0, 0.0], target={"a": [1]}), run=run, **fields
    )


def test_a_run_comes_back_as_it_was(store: RunStore) -> None:
    original = record()
    folder = store.write(original)
    assert sorted(path.name for path in folder.iterdir()) == ["cases.parquet", "run.json"]
    assert store.read(original.run) == original
    assert "cases" not in json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_a_run_without_cases_comes_back(store: RunStore) -> None:
    empty = RunRecord(run="empty", created="2026-03-14T09:26:53Z")
    store.write(empty)
    assert store.read("empty") == empty


def test_text_that_no_file_can_hold_is_spelled_out(store: RunStore) -> None:
    odd = [case_result("a", 1.0, outputs=("\ud800 \x00 \u2028 😀 \r\n",), input="x" * 3_000_000)]
    store.write(RunRecord(run="odd", created="2026-03-14T09:26:53Z", cases=tuple(odd)))
    back = store.read("odd").cases[0]
    assert back.outputs == ("\\ud800 \x00 \u2028 😀 \r\n",)
    assert len(back.input) == 3_000_000


def test_many_cases_keep_their_order(store: RunStore) -> None:
    cases = tuple(case_result(f"c{i}", i / 5_000) for i in range(4_500))
    store.write(RunRecord(run="many", created="2026-03-14T09:26:53Z", cases=cases))
    assert store.read("many").cases == cases


@pytest.mark.parametrize("fields", [{"latency_ms": math.nan}, {"latency_ms": "3"}, {"prompt_tokens": 2.5}])
def test_what_no_table_can_hold_is_refused(store: RunStore, fields: dict[str, Any]) -> None:
    with pytest.raises(HarnessError, match="cannot be written as a table"):
        store.write(
            RunRecord(run="new", created="2026-03-14T09:26:53Z", cases=(case_result("a", 1.0, **fields),))
        )
    assert not list((store.path / "runs").iterdir())


def test_a_run_is_found_by_the_beginning_of_its_id(store: RunStore) -> None:
    for run in ("20260314-01-aa", "20260314-02-bb", "20260315-01-cc"):
        store.write(record(run))
    assert store.read("20260315").run == "20260315-01-cc"
    with pytest.raises(UsageError, match="2 runs begin with '20260314': 20260314-01-aa, 20260314-02-bb"):
        store.read("20260314")
    with pytest.raises(UsageError, match=r"no run 'zz'.*newest is 20260315-01-cc"):
        store.read("zz")
    for name in ("", "..", "../runs/20260315-01-cc", "."):
        with pytest.raises(UsageError):
            store.read(name)


def test_runs_are_listed_and_a_damaged_one_with_its_problem(store: RunStore) -> None:
    assert store.list() == ()
    store.write(record("b", created="2026-03-14T09:00:00Z"))
    store.write(record("a", created="2026-03-15T09:00:00Z", partial=True))
    (store.write(record("c")) / "run.json").write_text("{", encoding="utf-8")
    (store.path / "runs" / ".staging-x").mkdir()
    listed = store.list()
    assert [summary.run for summary in listed] == ["c", "b", "a"]
    assert listed[0].problem is not None
    assert "run.json" in listed[0].problem
    assert listed[1].statuses == {("refunds", "checkpoint-300"): "INCONCLUSIVE"}  # 4 cases
    assert listed[2].partial


def test_a_run_is_never_overwritten(store: RunStore) -> None:
    store.write(record())
    with pytest.raises(StoreError, match="stored already"):
        store.write(record(waived=True))
    assert not store.read(record().run).waived


# --- damage --------------------------------------------------------------------------------------------


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [flip_byte, cut, Path.unlink], ids=["flip", "cut", "gone"])
def test_damaged_cases_are_named(store: RunStore, damage: Callable[[Path], None]) -> None:
    damage(store.write(record()) / "cases.parquet")
    with pytest.raises(IntegrityError, match=r"cases\.parquet"):
        store.read(record().run)


def edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"REGRESSED"', '"PASS"').replace("300", "900"))


@pytest.mark.parametrize("damage", [cut, edit, Path.unlink], ids=["cut", "edited", "gone"])
def test_a_damaged_record_is_named(store: RunStore, damage: Callable[[Path], None]) -> None:
    damage(store.write(record()) / "run.json")
    with pytest.raises(IntegrityError, match=r"run\.json"):
        store.read(record().run)
    if (store.path / "runs" / record().run / "run.json").exists():
        assert store.list()[0].problem is not None


def test_a_copied_run_under_another_name_is_refused(store: RunStore) -> None:
    folder = store.write(record())
    folder.rename(folder.with_name("other"))
    with pytest.raises(IntegrityError, match="is the record of run"):
        store.read("other")


def test_cases_of_another_run_are_refused(store: RunStore) -> None:
    first, second = store.write(record("one")), store.write(record("two", nonce="n"))
    changed_cases = stored_record(*two_sides([1.0], [1.0]), run="three")
    other = store.write(changed_cases)
    (first / "cases.parquet").write_bytes((other / "cases.parquet").read_bytes())
    with pytest.raises(IntegrityError, match=r"one.cases\.parquet.*not what was written"):
        store.read("one")
    assert store.read("two").nonce == "n"
    assert second.is_dir()


WRITER = """
    import sys, resource, signal
    sys.path.insert(0, {tests!r})
    from case_results import stored_record, two_sides
    from harness.runs.store import RunStore
    from harness.errors import StoreError
    store = RunStore({path!r})
    record = stored_record(*two_sides([1.0] * 400, [1.0] * 400), run="new")
"""


def run_script(store: RunStore, script: str) -> subprocess.CompletedProcess[str]:
    head = textwrap.dedent(WRITER).format(tests=str(HERE), path=str(store.path))
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files by setrlimit")
def test_a_full_disk_keeps_what_was_there(store: RunStore) -> None:
    store.write(record("old"))
    done = run_script(
        store,
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            store.write(record)
        except StoreError as problem:
            print(problem)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "could not be stored" in done.stdout
    assert sorted(path.name for path in (store.path / "runs").iterdir()) == ["old"]
    assert store.read("old") == record("old")


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_killed_writer_leaves_no_half_run(store: RunStore) -> None:
    done = run_script(
        store,
        """
        import os, pathlib
        def killed(self, target): os.kill(os.getpid(), signal.SIGKILL)
        pathlib.Path.rename = killed
        store.write(record)
        """,
    )
    assert done.returncode == -signal.SIGKILL
    assert store.list() == ()
    left = next((store.path / "runs").iterdir())
    assert left.name.startswith(".staging-new")
    os.utime(left, (0, 0))
    store.write(record("old"))
    assert sorted(path.name for path in (store.path / "runs").iterdir()) == ["old"]


def test_storing_a_run_imports_no_heavy_library(store: RunStore) -> None:
    done = run_script(
        store,
        """
        store.write(record)
        store.read('new')
        print(*({'pandas', 'pyarrow'} & sys.modules.keys()), 'arro3.io' in sys.modules)
        """,
    )
    assert done.stdout.strip() == "True", done.stdout + done.stderr


# --- baselines -----------------------------------------------------------------------------------------


def test_an_accepted_run_is_the_baseline(store: RunStore) -> None:
    store.write(record())
    store.accept("20260314")
    found = store.baseline()
    assert (found.name, found.run, found.checkpoint) == ("main", record().run, "checkpoint-300")
    assert [result.role for result in found.cases] == [Role.BASELINE] * 4
    assert [result.score for result in found.cases] == [1.0, 0.0, 0.25, 1.0]
    store.write(record("next"))
    store.accept("next")
    assert store.baseline().run == "next"
    assert store.baselines() == ("main",)


def test_a_baseline_that_is_not_there_is_named(store: RunStore) -> None:
    store.write(record())
    store.accept(record().run, "release")
    with pytest.raises(UsageError, match=r"no baseline 'main'.*there: release.*harness baseline accept"):
        store.baseline()


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd", ".x", "a\\b", "x" * 65, "a\n"])
def test_a_baselines_name_cannot_leave_its_folder(store: RunStore, name: str) -> None:
    store.write(record())
    with pytest.raises(ConfigurationError, match="no name for a baseline"):
        store.accept(record().run, name)
    with pytest.raises(ConfigurationError, match="no name for a baseline"):
        store.baseline(name)


def test_what_is_no_whole_run_is_not_accepted(store: RunStore) -> None:
    ours, theirs = two_sides([1.0] * 4, [1.0] * 4)
    undecided = changed(ours, 2, outcome=Outcome.ERROR, samples=())
    for bad, message in (
        (record("partial", partial=True), "only a part of its cases"),
        (record("unfinished", complete=False), "did not finish"),
        (stored_record(undecided, theirs, run="undecided"), "left 1 cases of checkpoint-300 undecided"),
        (RunRecord(run="none", created="2026-03-14T09:26:53Z", complete=True), "gated none"),
    ):
        store.write(bad)
        with pytest.raises(UsageError, match=message):
            store.accept(bad.run, force=True)
    assert store.baselines() == ()


def test_ci_does_not_move_its_own_baseline_unless_forced(store: RunStore) -> None:
    store.write(record())
    with pytest.raises(UsageError, match="CI is set"):
        store.accept(record().run, ci=True)
    assert store.baselines() == ()
    assert store.accept(record().run, ci=True, force=True).name == "main"


def test_of_several_candidates_one_is_named(store: RunStore) -> None:
    ours, theirs = two_sides([1.0], [1.0])
    other = [replace(result, checkpoint="checkpoint-900", samples=(0.0,)) for result in ours]
    both = replace(
        stored_record(ours, theirs),
        checkpoints=tuple(
            RunCheckpoint(spec=spec, name=spec.upper(), role="candidate")
            for spec in ("checkpoint-300", "checkpoint-900")
        ),
        cases=(*ours, *other, *theirs),
    )
    store.write(both)
    with pytest.raises(UsageError, match="CHECKPOINT-300, CHECKPOINT-900: name one"):
        store.accept(both.run)
    with pytest.raises(UsageError, match="no candidate 'x'"):
        store.accept(both.run, checkpoint="x")
    assert store.accept(both.run, checkpoint="CHECKPOINT-900").cases[0].score == 0.0
    assert store.baseline().checkpoint == "checkpoint-900"


def test_a_run_that_changed_since_it_was_accepted_is_refused(store: RunStore) -> None:
    folder = store.write(record())
    store.accept(record().run)
    text = (folder / "run.json").read_text(encoding="utf-8")
    (folder / "run.json").write_text(text.replace('"exit_code": 10', '"exit_code": 0'), encoding="utf-8")
    with pytest.raises(IntegrityError, match="not the run that was accepted as baseline 'main'"):
        store.baseline()


def test_a_baseline_whose_run_is_gone_or_elsewhere_is_refused(store: RunStore) -> None:
    folder = store.write(record())
    store.accept(record().run)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(IntegrityError, match="is not in"):
        store.baseline()
    pointer = store.path / "baselines" / "main.json"
    data = json.loads(pointer.read_text(encoding="utf-8"))
    pointer.write_text(json.dumps(data | {"run": "../../secret"}), encoding="utf-8")
    with pytest.raises(IntegrityError, match="is not in"):
        store.baseline()
    pointer.write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"main\.json.*'run' is missing"):
        store.baseline()


# --- history -------------------------------------------------------------------------------------------


def test_without_pandas_the_table_says_what_to_install(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(record())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingDependencyError, match=r"^pandas .* pip install 'checkpoint-harness\[dataframe\]'"
    ):
        load_runs(store.path)


def test_all_runs_are_one_table(store: RunStore) -> None:
    pytest.importorskip("pandas")
    store.write(record("later", created="2026-03-15T09:00:00Z"))
    store.write(record("first", created="2026-03-14T09:00:00Z"))
    frame = load_runs(store.path)
    assert len(frame) == 16
    assert frame["run"].tolist() == ["first"] * 8 + ["later"] * 8
    ours = frame[(frame["run"] == "first") & (frame["role"] == "candidate")]
    assert ours["score"].tolist() == [1.0, 0.0, 0.25, 1.0]
    assert ours["target"].tolist() == ['{"a": [1]}'] * 4
    assert str(frame["created"].dt.tz) == "UTC"
    assert frame.groupby("checkpoint")["score"].mean()["base"] == 0.75


def test_no_runs_are_an_empty_table(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    frame = load_runs(tmp_path / "nothing")
    assert frame.empty
    assert {"run", "checkpoint", "case_id", "score"} <= set(frame.columns)
