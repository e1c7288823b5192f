from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError, GoldenSetError
from harness.golden_sets.read import load_golden, read_golden_manifest, versions
from harness.golden_sets.release import lock_golden, refuse_in_ci, release_golden

CASE = {"id": "a", "input": "1 + 1?", "target": "2", "accepts": ["2"], "rejects": ["3"], "tags": ["easy"]}
OTHER = {"id": "b", "input": "1 + 2?", "target": "3", "accepts": ["3"], "rejects": ["2"]}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), newline="\n")
    return path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def harness_golden(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the sub-app as the `harness` command does, in a process of its own."""
    script = (
        "import sys\nfrom harness.cli.golden import app\nfrom harness.errors import HarnessError\n"
        "try:\n    app()\nexcept HarnessError as error:\n    sys.stderr.write(f'harness: {error}\\n')\n"
        "    sys.exit(error.exit_code)\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_lock_edit_release(tmp_path: Path) -> None:
    path = write(tmp_path / "sums" / "v1", CASE, OTHER)
    locked = lock_golden("sums", roots=[tmp_path], author="me")
    manifest = read_golden_manifest(path.parent)
    assert manifest == locked.manifest
    assert (manifest.cases, manifest.sha256, manifest.created_by) == (2, locked.digest, "me")
    assert manifest.difficulty == {"easy": 1}
    assert lock_golden("sums", roots=[tmp_path]) == load_golden("sums", roots=[tmp_path])
    with pytest.raises(GoldenSetError, match="sums/v1 is unchanged"):
        release_golden("sums", roots=[tmp_path])
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    before = path.read_bytes()
    edited = write(path.parent, {**CASE, "target": "two"}, {**OTHER, "id": "c"}).read_bytes()
    git(tmp_path, "commit", "-q", "-a", "-m", "the mistake is committed, too")
    with pytest.raises(GoldenSetError, match="is locked and was edited"):
        load_golden("sums", roots=[tmp_path])

    done = release_golden("sums", roots=[tmp_path], note="why", author="you")

    assert (done.golden.label, done.previous, done.restored) == ("sums/v2", "sums/v1", True)
    assert (done.added, done.removed, done.changed) == (("c",), ("b",), ("a",))
    assert (tmp_path / "sums" / "v2" / "cases.jsonl").read_bytes() == edited
    assert path.read_bytes() == before
    assert load_golden("sums/v1", roots=[tmp_path]).locked
    assert (done.golden.manifest.note, done.golden.manifest.created_by) == ("why", "you")
    assert sorted(entry.name for entry in (tmp_path / "sums").iterdir()) == ["v1", "v2"]


def test_a_release_without_history_says_what_is_left_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "golden" / "sums" / "v1", CASE)
    assert harness_golden("lock", "sums", folder=tmp_path).returncode == 0
    write(path.parent, OTHER)
    done = harness_golden("release", "sums", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sums/v2 is released and locked: 1 cases" in done.stdout
    assert (
        "sums/v1 still holds the edit and cannot be pinned: restore golden/sums/v1/cases.jsonl" in done.stdout
    )
    assert load_golden("sums", roots=[tmp_path / "golden"]).version == 2


def test_a_release_from_a_file_leaves_the_old_version_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "golden" / "sums" / "v1", CASE)
    lock_golden("sums", roots=[tmp_path / "golden"])
    before = path.read_bytes()
    draft = write(tmp_path / "draft", CASE, OTHER)
    done = harness_golden("release", "sums", "--from", str(draft), "--note", "more", folder=tmp_path)
    assert "since sums/v1: 1 added, 0 changed, 0 removed" in done.stdout
    assert path.read_bytes() == before


def test_a_release_of_bad_cases_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "sums" / "v1", CASE)
    lock_golden("sums", roots=[tmp_path])
    path.write_text('{"id": "a"}\n', newline="\n")
    with pytest.raises(GoldenSetError) as caught:
        release_golden("sums", roots=[tmp_path])
    assert str(caught.value).startswith(f"{path}:1: expected one of input, messages and turns")
    assert [entry.name for entry in (tmp_path / "sums").iterdir()] == ["v1"]


def test_what_was_never_locked_is_not_released(tmp_path: Path) -> None:
    write(tmp_path / "sums" / "v1", CASE)
    with pytest.raises(GoldenSetError, match="run `harness golden lock sums` first"):
        release_golden("sums", roots=[tmp_path])


def test_shipped_sets_are_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "shipped" / "sums" / "v1", CASE)
    monkeypatch.setattr("harness.golden_sets.read.shipped_roots", lambda: (tmp_path / "shipped",))
    assert load_golden("sums", roots=[]).label == "sums/v1"
    for change in (lock_golden, release_golden):
        with pytest.raises(GoldenSetError, match="is a shipped golden set"):
            change("sums", roots=[tmp_path / "mine"])
    assert versions(tmp_path / "shipped" / "sums") == [1]


@pytest.mark.parametrize("command", ["lock", "release"])
def test_no_golden_set_changes_in_ci(tmp_path: Path, command: str) -> None:
    write(tmp_path / "golden" / "sums" / "v1", CASE)
    refused = harness_golden(command, "sums", folder=tmp_path, CI="true")
    assert refused.returncode == 4
    assert f"harness: refusing to {command} a golden set in CI" in refused.stderr
    assert not (tmp_path / "golden" / "sums" / "v1" / "manifest.json").exists()
    assert harness_golden("lock", "sums", "--force", folder=tmp_path, CI="1").returncode == 0
    with pytest.raises(ConfigurationError):
        refuse_in_ci("x", {"CI": "yes"})
    refuse_in_ci("x", {"CI": "false"})


def test_verify_names_every_broken_version(tmp_path: Path) -> None:
    write(tmp_path / "golden" / "draft" / "v1", CASE)
    for name in ("one", "two"):
        path = write(tmp_path / "golden" / name / "v1", CASE)
        lock_golden(name, roots=[tmp_path / "golden"])
        if name == "two":
            write(path.parent, OTHER)
    found = harness_golden("verify", "one", "two", "draft", folder=tmp_path)
    assert found.returncode == 4
    assert "one/v1: 1 cases, locked" in found.stdout
    assert "draft/v1: 1 cases, not locked (harness golden lock draft)" in found.stdout
    assert "two: golden/two/v1/cases.jsonl: two/v1 is locked and was edited" in found.stderr
    assert harness_golden("verify", "one", folder=tmp_path).returncode == 0
    assert harness_golden("verify", "nix", folder=tmp_path).returncode == 4


def test_test_names_the_check_that_is_wrong(tmp_path: Path) -> None:
    loose = {"id": "loose", "input": "x", "checks": [{"type": "contains", "value": "2"}]}
    write(tmp_path / "golden" / "sums" / "v1", CASE, {**loose, "rejects": ["12"]}, {**loose, "id": "bare"})
    found = harness_golden("test", "sums", folder=tmp_path)
    assert found.returncode == 1
    assert found.stderr == "sums/v1 loose: rejects[0] passes: '12'\n"
    assert "sums/v1: 3 examples of 3 cases, 1 wrong" in found.stdout
    assert "without both accepts and rejects: loose, bare" in found.stdout
    write(tmp_path / "golden" / "sums" / "v2", CASE)
    assert harness_golden("test", "sums", folder=tmp_path).returncode == 0
    assert harness_golden("test", "sums/v1", folder=tmp_path).returncode == 1


def test_list_and_show(tmp_path: Path) -> None:
    write(tmp_path / "golden" / "sums" / "v1", CASE)
    listed = harness_golden("list", folder=tmp_path)
    assert "sums  v1  golden/sums" in listed.stdout
    shown = harness_golden("show", "sums", folder=tmp_path)
    assert "cases:     1" in shown.stdout
    assert "tags:      easy 1" in shown.stdout


def test_a_set_whose_checks_run_code_is_not_tested_without_leave(tmp_path: Path) -> None:
    check = {"type": "python_tests", "tests": "assert f() == 1"}
    write(
        tmp_path / "golden" / "code" / "v1", {"id": "a", "input": "f?", "checks": [check], "accepts": ["x"]}
    )
    done = harness_golden("test", "code", folder=tmp_path)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "code/v1: not tested, its checks run code: give --allow-code-execution"
    ]
    assert done.stdout == ""
