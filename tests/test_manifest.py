"""The manifest: read back as written, and every file of a checkpoint checked against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.checkpoints.manifest import (
    BaseModelRecord,
    DataRecord,
    Manifest,
    Provenance,
    TrainingProgress,
    model_files,
    read_manifest,
    record_files,
    verify_files,
    write_manifest,
)
from harness.errors import CheckpointError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint-5"
    path.mkdir()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"):
        (path / name).write_text(f"content of {name}")
    (path / "notes.txt").write_text("decides nothing")
    write_manifest(path, manifest(path))
    return path


def manifest(path: Path) -> Manifest:
    return Manifest(
        name="run",
        method="lora",
        progress=TrainingProgress(step=5, max_steps=10, epoch=0.5, train_loss=1.25, tokens_seen=100),
        provenance=Provenance(who="Ada", why="ünïcode", created="2026-01-01T00:00:00+00:00", seed=3),
        recipe={"name": "run", "training": {"learning_rate": 1e-3}},
        data=(DataRecord("data/rows.jsonl", "0" * 64, 12),),
        files=record_files(path),
        base=BaseModelRecord("models/base", "f" * 64),
    )


def test_it_is_read_back_as_written(checkpoint: Path) -> None:
    assert read_manifest(checkpoint) == manifest(checkpoint)
    verify_files(checkpoint, manifest(checkpoint))


def test_only_files_that_decide_answers_are_recorded(checkpoint: Path) -> None:
    (checkpoint / "trainer_state").mkdir()
    (checkpoint / "trainer_state" / "state.safetensors").write_text("optimizer")
    expected = ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]
    assert model_files(checkpoint) == expected
    assert sorted(manifest(checkpoint).files) == expected


def test_a_directory_of_others_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: _flip(path / "model.safetensors"), r"model\.safetensors: not the sha256 .* damaged"),
        (lambda path: (path / "tokenizer.json").unlink(), r"tokenizer\.json: is missing"),
        (lambda path: (path / "config.json").write_text("{}"), r"config\.json: has 2 bytes"),
        (lambda path: (path / "model-00002.safetensors").write_text("x"), r"model-00002.* is not listed"),
    ],
    ids=["bit flip", "missing", "truncated", "added shard"],
)
def test_files_that_differ_are_named(
    checkpoint: Path, change: Callable[[Path], object], message: str
) -> None:
    change(checkpoint)
    found = read_manifest(checkpoint)
    assert found is not None
    with pytest.raises(CheckpointError, match=message):
        verify_files(checkpoint, found)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema_version", 99, "schema_version is 99"),
        ("progress", {"step": 1}, "malformed"),
        ("progress", None, "malformed"),
        ("surprise", 1, "malformed"),
        ("recipe", {"name": "other"}, "recipe_sha256 does not match"),
        ("files", {"../../outside": {"sha256": "0", "size": 1}}, "leads outside"),
    ],
)
def test_a_malformed_manifest_is_an_error(checkpoint: Path, key: str, value: object, message: str) -> None:
    path = checkpoint / "manifest.json"
    data = json.loads(path.read_text())
    data[key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=rf"manifest\.json: .*{message}"):
        read_manifest(checkpoint)


def test_a_cut_manifest_is_an_error(checkpoint: Path) -> None:
    path = checkpoint / "manifest.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CheckpointError, match=r"manifest\.json.*not JSON"):
        read_manifest(checkpoint)
