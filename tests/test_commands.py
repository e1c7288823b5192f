"""What every command has in common: help, the project's folders, and no traceback for a user's mistake."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer.main
from case_results import changed, stored_record, two_sides
from test_report import evil_record, plain_record

from harness import __version__
from harness.cli import main as main_module
from harness.errors import UsageError
from harness.project import ini_value
from harness.report.csv_table import render_csv
from harness.report.rerun import rerun_command
from harness.runs.store import RunStore


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(main_module.app)))
MISTAKES = {
    "nothing there": "absent/x.jsonl",
    "a folder": "folder",
    "a file": "file.txt",
    "an odd name": "a\x1b[31m\n",
}


def ask(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command in this process as the shell would, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main_module.main()
    return int(str(stopped.value.code))


def mistaken(command: Any, value: str) -> list[str]:
    """Return arguments that give every argument and every required option the same value."""
    words: list[str] = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.append(value)
        elif parameter.required:
            words += [parameter.opts[0], value]
    return words


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("no JSON\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def test_the_sweep_sees_every_command() -> None:
    assert ("golden", "export") in COMMANDS
    assert ("runs", "delete") in COMMANDS
    assert len(COMMANDS) >= 24


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_mistake_ends_in_a_traceback(
    path: tuple[str, ...],
    mistake: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if path[0] in ("gate", "noise", "gates", "version") or (path[0] == "compare" and mistake == "folder"):
        pytest.skip("starts a pytest of its own, whose errors are tested with its options")
    code = ask(monkeypatch, *path, *mistaken(COMMANDS[path], mistake))
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert "\x1b" not in out + err
    if path not in (("init",), ("golden", "new"), ("golden", "list"), ("runs", "list"), ("baseline", "list")):
        assert code in (1, 4, 5), (code, out, err)
        assert err.strip()


@pytest.mark.parametrize(
    "path", [("runs", "list"), ("baseline", "list"), ("select",), ("show", "x")], ids=" ".join
)
def test_a_file_where_runs_should_be_is_said(
    path: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / ".harness").write_text("a file")
    assert ask(monkeypatch, *path) in (3, 4)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("package", ["transformers", "trl"])
def test_training_without_its_packages_says_what_to_install(package: str, tmp_path: Path) -> None:
    script = f"import sys; sys.modules[{package!r}] = None\nfrom harness.cli.main import main; main()"
    folder = tmp_path / "g"
    for arguments in (["init", str(folder)], ["train", "recipes/refund-lora.yaml"]):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv[1:] = {arguments!r}\n{script}"],
            capture_output=True,
            text=True,
            cwd=folder if folder.exists() else tmp_path,
            timeout=120,
        )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    assert f"{package} is not installed: run pip install 'checkpoint-harness[train]'" in message


def test_a_reader_who_leaves_gets_no_traceback(folder: Path) -> None:
    command = f"{sys.executable} -m harness.cli golden show support | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("0", "141")  # a short page may be written before its reader leaves
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_version_help_and_completion(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "--version") == 0
    assert capfd.readouterr().out == f"{__version__}\n"
    for path in COMMANDS:
        assert ask(monkeypatch, *path, "-h") == 0
    shown = capfd.readouterr().out
    assert "[tool.harness.select]" in shown
    assert ask(monkeypatch, "--help") == 0
    assert "--install-completion" in capfd.readouterr().out


# --- where things are ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nharness_golden = sets\n"),
        ("pytest.toml", '[pytest]\nharness_golden = "sets"\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\nharness_golden = "sets"\n'),
        ("tox.ini", "[pytest]\nharness_golden = sets\n"),
        ("setup.cfg", "[tool:pytest]\nharness_golden = sets\n"),
    ],
)
def test_ini_keys_are_read_where_pytest_reads_them(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert ini_value(tmp_path, "harness_golden") == "sets"
    assert ini_value(tmp_path, "harness_state") == ""


def test_commands_find_the_project_from_a_folder_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nharness_golden = sets\nharness_state = kept\n")
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.delenv("CI", raising=False)
    record = plain_record()
    RunStore(tmp_path / "kept").write(record)
    assert ask(monkeypatch, "golden", "new", "mine") == 0
    assert (tmp_path / "sets" / "mine" / "v1" / "cases.jsonl").is_file()
    assert ask(monkeypatch, "golden", "verify", "mine") == 0
    assert ask(monkeypatch, "runs", "list") == 0
    assert record.run in capfd.readouterr().out
    assert (tmp_path / "kept" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_a_folder_that_is_there_gets_no_gitignore(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    RunStore(tmp_path / "kept").write(plain_record())
    assert not (tmp_path / "kept" / ".gitignore").exists()


def test_an_export_makes_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        ask(monkeypatch, "golden", "export", "support", "-f", "harness", "-o", "out/deep/support.jsonl") == 0
    )
    assert (folder / "out" / "deep" / "support.jsonl").is_file()


# --- runs and their cases --------------------------------------------------------------------------------


@pytest.fixture
def stored(folder: Path) -> str:
    record = plain_record()
    RunStore(folder / ".harness").write(record)
    return record.run


def test_a_run_that_holds_both_sides_is_compared_alone(
    stored: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "compare", stored[:8], "--html", "page.html", "--csv", "cases.csv") == 1
    assert "20 worsened, 1 improved" in capfd.readouterr().out
    assert "A checkpoint regressed" in Path("page.html").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(Path("cases.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 100
    alone = stored_record(
        [replace(r, suite="alone") for r in two_sides([1.0] * 5, [1.0] * 5)[0]], [], run="alone"
    )
    RunStore(Path(".harness")).write(alone)
    assert ask(monkeypatch, "compare", "alone") == 4
    assert "holds no baseline" in capfd.readouterr().err


def test_show_lists_the_worsened_first_and_a_case_in_full(
    stored: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "show", stored, "--limit", "3") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith(f"run {stored}")
    listed = [line for line in lines if line.startswith(("− ", "+ "))]
    assert [line.split()[1] for line in listed] == ["case-0000", "case-0001", "case-0002"]
    assert ask(monkeypatch, "show", stored, "--flip", "improved", "--suite", "refunds") == 0
    assert "+ case-0099  passed 0.0 → 100.0" in capfd.readouterr().out
    assert ask(monkeypatch, "show", stored, "case-0001") == 0
    shown = capfd.readouterr().out
    for expected in (
        "asked:\n    question case-0001",
        "baseline base: passed, score 100.0\n    answer of baseline to case-0001",
        "candidate checkpoint-300: invalid, score 0.0\n    answer of candidate to case-0001",
        "ask it again: pytest --model=checkpoint-300 --baseline=base -k case-0001-",
    ):
        assert expected in shown
    assert ask(monkeypatch, "show", stored, "case-001") == 4
    assert "did you mean 'case-00" in capfd.readouterr().err
    assert ask(monkeypatch, "show", stored, "--outcome", "wrong") == 4


def test_a_hostile_run_does_nothing_when_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    record = evil_record()
    RunStore(folder / ".harness").write(record)
    for arguments in (
        ["show", record.run],
        ["show", record.run, RunStore(folder / ".harness").read(record.run).cases[3].case_id],
        ["runs", "list"],
        ["runs", "show", record.run],
    ):
        assert ask(monkeypatch, *arguments) == 0
        out, err = capfd.readouterr()
        for dangerous in ("\x1b", "\r", "\x07", "\u202e", "\n::set-output"):
            assert dangerous not in out + err


def test_runs_are_deleted_but_no_baseline(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = RunStore(folder / ".harness")
    for run in ("aaaa", "bbbb"):
        store.write(stored_record(*two_sides([1.0] * 5, [1.0] * 5), run=run))
    store.accept("aaaa")
    assert ask(monkeypatch, "runs", "delete", "bbbb", "cccc") == 4
    assert store.ids() == ("aaaa", "bbbb")
    assert ask(monkeypatch, "runs", "delete", "bbbb") == 0
    assert store.ids() == ("aaaa",)
    with pytest.raises(UsageError, match="is the baseline 'main'"):
        store.delete("aaaa")
    assert [path.name for path in (folder / ".harness" / "runs").iterdir()] == ["aaaa"]


@pytest.mark.parametrize("begins", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "|cmd"])
def test_a_cell_is_no_formula(begins: str) -> None:
    ours, theirs = two_sides([1.0, 0.0], [1.0, 1.0], outputs=(begins,))
    ours = changed(ours, 0, case_id=begins)
    theirs = changed(theirs, 0, case_id=begins)
    rows = list(csv.DictReader(io.StringIO(render_csv(stored_record(ours, theirs)))))
    assert rows[0]["output"].startswith("'")
    assert rows[0]["id"].startswith("'")
    assert rows[0]["score"] == "1.0"
    assert rows[1]["id"] == "case-0001"


def test_an_id_that_is_no_word_to_pytest_asks_for_its_suite() -> None:
    ours, theirs = two_sides([1.0], [0.0])
    record = stored_record(changed(ours, 0, case_id="a b; rm -rf"), theirs)
    assert rerun_command(record, record.cases[0]) == "pytest --model=checkpoint-300 --baseline=base"


def test_rights_that_are_missing_are_said(
    stored: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / ".harness" / "runs").chmod(0)
    assert ask(monkeypatch, "runs", "list") in (3, 4)
    assert "Traceback" not in capfd.readouterr().err
