"""Names on the hub: which commit's files a session is about, and whether those changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from tiny_models import save_adapter, save_model

from harness.engine.engine import Engine
from harness.protocols import BackendOptions

COMMITS = {"old": "a" * 40, "new": "b" * 40}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache without the network: `org/base` at two commits, of which `main` is the old one."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--org--base"
    for seed, commit in enumerate(COMMITS.values()):
        save_model(repository / "snapshots" / commit, seed=seed)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMITS["old"])
    return repository


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(BackendOptions(root=tmp_path, state=tmp_path / ".harness"))
    yield made
    made.close()


def altered(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def test_a_branch_that_moves_changes_no_file(hub: Path, engine: Engine, tmp_path: Path) -> None:
    save_adapter(tmp_path / "adapter", hub / "snapshots" / COMMITS["old"], spelled="org/base")
    resolved = engine.resolve(["hf/org/base", "adapter"])
    assert {checkpoint.base for checkpoint in resolved} == {resolved[0].fingerprint}
    (hub / "refs" / "main").write_text(COMMITS["new"])
    assert engine.changed_since(resolved) == ()
    altered(hub / "snapshots" / COMMITS["new"] / "model.safetensors")
    assert engine.changed_since(resolved) == ()
    altered(hub / "snapshots" / COMMITS["old"] / "model.safetensors")
    assert engine.changed_since(resolved) == resolved


def test_the_next_session_takes_the_branch_where_it_is(hub: Path, engine: Engine, tmp_path: Path) -> None:
    (before,) = engine.resolve(["hf/org/base"])
    (hub / "refs" / "main").write_text(COMMITS["new"])
    later = Engine(engine.options)
    (after,) = later.resolve(["hf/org/base"])
    later.close()
    assert (Path(before.location).name, Path(after.location).name) == (COMMITS["old"], COMMITS["new"])
    assert before.fingerprint != after.fingerprint


def retarget(link: Path, run: Path) -> None:
    link.unlink()
    link.symlink_to(run)


def again(link: Path, run: Path) -> None:
    shutil.copytree(run, link.parent.parent / "later" / "latest")


@pytest.mark.parametrize("move", [retarget, again], ids=["a link moves", "another run has one of that name"])
def test_a_name_that_moves_on_changes_no_file(
    engine: Engine, tmp_path: Path, move: Callable[[Path, Path], None]
) -> None:
    runs = [save_model(tmp_path / "models" / f"seed-{seed}", seed=seed) for seed in (0, 1)]
    link = tmp_path / "runs" / "lora" / "latest"
    link.parent.mkdir(parents=True)
    link.symlink_to(runs[0])
    resolved = engine.resolve(["latest"])
    move(link, runs[1])
    assert engine.changed_since(resolved) == ()
    altered(runs[0] / "model.safetensors")
    assert engine.changed_since(resolved) == resolved
