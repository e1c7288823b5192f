from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.init import LAYOUT, copy_example, init, shipped_example
from harness.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "examples" / "support-desk"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A small example with what a working checkout accumulates beside it."""
    source = tmp_path / "source"
    for name in (
        "README.md",
        "pyproject.toml",
        "corpus/__init__.py",
        "recipes/base.yaml",
        "data/refunds-mixed.jsonl",
        "data/base.jsonl",
        "golden/refunds/v1/cases.jsonl",
        "golden/refunds/v1/manifest.json",
        "suites/test_refunds.py",
        "suites/__pycache__/test_refunds.cpython-311.pyc",
        "models/base/model.safetensors",
        "runs/refund-lora/checkpoint-100/manifest.json",
        ".harness/cache.sqlite",
    ):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return source


def test_copies_the_layout_and_nothing_else(example: Path, tmp_path: Path) -> None:
    copied = copy_example(example, tmp_path / "deep" / "gate")
    assert copied == sorted(copied)
    assert set(copied) == {
        "README.md",
        "pyproject.toml",
        "corpus/__init__.py",
        "recipes/base.yaml",
        "data/refunds-mixed.jsonl",
        "golden/refunds/v1/cases.jsonl",
        "golden/refunds/v1/manifest.json",
        "suites/test_refunds.py",
        "models/base/model.safetensors",
    }
    on_disk = {
        path.relative_to(tmp_path / "deep" / "gate").as_posix(): path.read_bytes()
        for path in (tmp_path / "deep" / "gate").rglob("*")
        if path.is_file()
    }
    assert on_disk == {name: name.encode() for name in copied}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["gate"], "staging is left behind"


def test_fills_an_empty_directory(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell's working directory is the one that it was, and holds the project and nothing else."""
    gate = tmp_path / "gate"
    gate.mkdir()
    before = gate.stat().st_ino
    monkeypatch.chdir(gate)
    copied = copy_example(example, Path("."))
    assert "README.md" in copied
    assert gate.stat().st_ino == before
    assert sorted(path.as_posix() for path in Path(".").rglob("*") if path.is_file()) == copied
    assert {path.name for path in Path(".").iterdir()} == {name.split("/")[0] for name in copied}


def test_overwrites_nothing(example: Path, tmp_path: Path) -> None:
    target = tmp_path / "gate"
    target.mkdir()
    (target / "README.md").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        copy_example(example, target)
    assert [path.name for path in target.iterdir()] == ["README.md"]
    assert (target / "README.md").read_text() == "mine"


def test_refuses_a_file(example: Path, tmp_path: Path) -> None:
    (tmp_path / "gate").write_text("")
    with pytest.raises(ConfigurationError, match="is a file"):
        copy_example(example, tmp_path / "gate")


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_a_failed_copy_leaves_nothing(example: Path, tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "gate").mkdir()
    (example / "golden" / "refunds" / "v1" / "manifest.json").unlink()
    (example / "golden" / "refunds" / "v1" / "manifest.json").symlink_to(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="cannot write there"):
        copy_example(example, tmp_path / "gate")
    assert list(tmp_path.glob("gate/*")) == list(tmp_path.glob(".gate-*")) == []
    assert (tmp_path / "gate").exists() is exists


def test_command_says_what_to_do_next(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(init)
    done = CliRunner().invoke(app, [str(tmp_path / "gate")])
    assert done.exit_code == 0, done.output
    assert "pytest --model=base" in done.output
    assert (tmp_path / "gate" / "golden" / "refunds" / "v1" / "cases.jsonl").is_file()


def test_shipped_example_is_this_repository_s() -> None:
    assert (
        shipped_example().joinpath("pyproject.toml").read_bytes() == (EXAMPLE / "pyproject.toml").read_bytes()
    )


def test_every_pattern_finds_files() -> None:
    copied = {path.relative_to(EXAMPLE).as_posix() for pattern in LAYOUT for path in EXAMPLE.glob(pattern)}
    for pattern in LAYOUT:
        assert list(EXAMPLE.glob(pattern)), pattern
    assert sum((EXAMPLE / name).stat().st_size for name in copied) < 10e6


def test_wheel_ships_what_init_copies() -> None:
    tomllib = pytest.importorskip("tomllib")  # in the standard library since Python 3.11
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    shipped = config["tool"]["setuptools"]["package-data"]["harness.examples"]
    assert sorted(shipped) == sorted(f"support-desk/{pattern}" for pattern in LAYOUT)
