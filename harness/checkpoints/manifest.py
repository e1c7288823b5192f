"""The checkpoint manifest: how a checkpoint was made, and the digest of every file that it is made of.

`manifest.json` is written last into a checkpoint that is still staged, and the staged directory is renamed
only then: a directory that has a manifest is a complete one.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.cases import content_digest
from harness.errors import CheckpointError
from harness.files.digest import file_sha256
from harness.files.durable import write_synced
from harness.files.read_json import read_json

__all__ = [
    "MANIFEST_NAME",
    "MODEL_FILES",
    "SCHEMA_VERSION",
    "BaseModelRecord",
    "DataRecord",
    "FileRecord",
    "Manifest",
    "Provenance",
    "TrainingProgress",
    "model_files",
    "read_manifest",
    "record_files",
    "verify_files",
    "write_manifest",
]

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
    "adapter_config.json",
)
"""Patterns of the files that decide a local model's answers, relative to its directory."""


@dataclass(frozen=True)
class FileRecord:
    """Digest (sha256, 64 hex digits) and size in bytes of one file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class BaseModelRecord:
    """The model that training started from.

    Attributes:
        spec: Directory relative to the project root, or hub id with revision.
        fingerprint: What `harness.checkpoints.fingerprint.fingerprint_directory` says of its files.
    """

    spec: str
    fingerprint: str


@dataclass(frozen=True)
class DataRecord:
    """One file of training data.

    Attributes:
        path: Relative to the project root, where it lies inside.
        sha256: Digest of its bytes.
        rows: Rows it holds, before duplicates are removed.
    """

    path: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class TrainingProgress:
    """How far training was when the checkpoint was saved.

    Attributes:
        step: Optimizer steps done.
        max_steps: Optimizer steps planned.
        epoch: Passes over the data, fractional.
        train_loss: Mean loss per assistant token since the checkpoint before, in nats.
        validation_loss: Same over the validation rows; None without any.
        tokens_seen: Tokens read so far, padding excluded.
    """

    step: int
    max_steps: int
    epoch: float
    train_loss: float | None = None
    validation_loss: float | None = None
    tokens_seen: int = 0


@dataclass(frozen=True)
class Provenance:
    """Who made a checkpoint, from which code, with which libraries.

    Attributes:
        who: Git's user, else the login name.
        why: What the recipe or `--why` says.
        created: UTC time in ISO 8601.
        seed: Seed of initialisation, data order and dropout.
        git_commit: Commit of the project; None outside a repository.
        git_dirty: Whether tracked files differed from it.
        versions: Library name → version.
    """

    who: str
    why: str | None
    created: str
    seed: int
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All that is recorded beside a checkpoint.

    Attributes:
        name: Name of the run.
        method: `full` or `lora`.
        progress: How far training was.
        provenance: Who, why, when, with what.
        recipe: The recipe as resolved, every default filled in.
        data: The training files.
        files: Name → record of every file that decides the checkpoint's answers.
        base: What training started from; None for a model trained from scratch.
        schema_version: Version of this format.
    """

    name: str
    method: str
    progress: TrainingProgress
    provenance: Provenance
    recipe: Mapping[str, Any]
    data: tuple[DataRecord, ...]
    files: Mapping[str, FileRecord]
    base: BaseModelRecord | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def recipe_sha256(self) -> str:
        """Digest of the resolved recipe's canonical JSON."""
        return content_digest(self.recipe)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        data = asdict(self)
        data["recipe_sha256"] = self.recipe_sha256
        return {
            name: data[name] for name in ("schema_version", *(key for key in data if key != "schema_version"))
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """Read what `as_dict` wrote.

        Raises:
            ValueError: A field is missing, unknown or of the wrong shape.
        """
        fields = dict(data)
        digest = fields.pop("recipe_sha256", None)
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {version!r}, this release reads {SCHEMA_VERSION}")
        try:
            fields["progress"] = TrainingProgress(**fields["progress"])
            fields["provenance"] = Provenance(**fields["provenance"])
            fields["data"] = tuple(DataRecord(**record) for record in fields["data"])
            fields["files"] = {name: FileRecord(**record) for name, record in fields["files"].items()}
            if fields.get("base") is not None:
                fields["base"] = BaseModelRecord(**fields["base"])
            manifest = cls(**fields)
        except KeyError as error:
            raise ValueError(f"has no {error.args[0]!r}") from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"is malformed ({error})") from error
        for name in manifest.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"lists {name!r}, which leads outside the checkpoint")
        if digest != manifest.recipe_sha256:
            raise ValueError("recipe_sha256 does not match the recipe: one of them was edited")
        return manifest


def model_files(path: Path) -> list[str]:
    """Return the sorted names of the files of a model or adapter directory that decide its answers."""
    names: set[str] = set()
    for pattern in MODEL_FILES:
        names.update(found.relative_to(path).as_posix() for found in path.glob(pattern) if found.is_file())
    return sorted(names)


def record_files(path: Path, names: Iterable[str] | None = None) -> dict[str, FileRecord]:
    """Hash the files of a directory.

    Args:
        path: The directory.
        names: Which files; by default those of `model_files`.
    """
    chosen = model_files(path) if names is None else sorted(names)
    return {name: FileRecord(file_sha256(path / name), (path / name).stat().st_size) for name in chosen}


def read_manifest(checkpoint: Path) -> Manifest | None:
    """Read a checkpoint's manifest; None when it has none (a directory that others made).

    Raises:
        CheckpointError: The manifest is there and cannot be used.
    """
    path = checkpoint / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        return Manifest.from_dict(read_json(path, error=CheckpointError))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; restore it, or train again") from error


def write_manifest(checkpoint: Path, manifest: Manifest) -> None:
    """Write `manifest.json` and force it to the disk."""
    text = json.dumps(manifest.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_synced(checkpoint / MANIFEST_NAME, text.encode("utf-8"))


def verify_files(checkpoint: Path, manifest: Manifest, sha256: Callable[[Path], str] = file_sha256) -> None:
    """Check that a checkpoint's files are those of its manifest: none missing, changed or added.

    Args:
        checkpoint: The directory.
        manifest: Its manifest.
        sha256: Hashes a file; a memo that knows unchanged files may be passed.

    Raises:
        CheckpointError: Names the first file that differs.
    """
    for name, record in manifest.files.items():
        path = checkpoint / name
        if not path.is_file():
            raise CheckpointError(
                f"{path}: is missing, but {MANIFEST_NAME} lists it; copy the checkpoint again"
            )
        size = path.stat().st_size
        if size != record.size:
            raise CheckpointError(
                f"{path}: has {size} bytes, {MANIFEST_NAME} says {record.size}; copy it again"
            )
        if sha256(path) != record.sha256:
            raise CheckpointError(
                f"{path}: not the sha256 of {MANIFEST_NAME}: damaged, or from another step; copy it again"
            )
    listed = {
        name for name in manifest.files if any(fnmatch.fnmatch(name, pattern) for pattern in MODEL_FILES)
    }
    for name in model_files(checkpoint):
        if name not in listed:
            raise CheckpointError(
                f"{checkpoint / name}: is not listed in {MANIFEST_NAME}; remove it, or train again"
            )
