"""Lock a version of a golden set, and release an edit of a locked one as the next version.

A version is locked by the digest in its manifest. Nothing here changes the cases of a locked version, with
one exception that loses nothing: when an edit is released as the next version, the edited file is put back to
the bytes that git has of the locked one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cases import Case
from harness.clock import utc_now
from harness.errors import ConfigurationError, GoldenSetError
from harness.files.durable import replace_synced, sync_directory, write_synced
from harness.golden_sets.read import (
    CASES_FILE,
    DEFAULT_ROOTS,
    MANIFEST_FILE,
    GoldenManifest,
    GoldenSet,
    find_golden,
    load_golden,
    read_golden_cases,
    read_golden_manifest,
)

__all__ = [
    "DRAFT_FILE",
    "GoldenRelease",
    "lock_golden",
    "locked_bytes",
    "refuse_foreign",
    "refuse_in_ci",
    "release_golden",
]

DRAFT_FILE = "draft.jsonl"
"""The next version of a locked set while it is written, beside the folders of its versions."""

_DIFFICULTIES = ("easy", "medium", "hard")
_COMMITS_SEARCHED = 100


@dataclass(frozen=True)
class GoldenRelease:
    """What a release did.

    Attributes:
        golden: The new version.
        previous: The version before it, such as `refunds/v1`.
        added: Ids of cases that are new. None, like the next two, when the old bytes are not at hand.
        removed: Ids of cases that are gone.
        changed: Ids of cases that ask or score differently.
        restored: Whether the old version's file holds its locked bytes (again).
    """

    golden: GoldenSet
    previous: str
    added: tuple[str, ...] | None
    removed: tuple[str, ...] | None
    changed: tuple[str, ...] | None
    restored: bool


def refuse_in_ci(action: str, environment: Mapping[str, str], *, force: bool = False) -> None:
    """Refuse to change golden sets where nobody looks.

    Raises:
        ConfigurationError: `CI` is set in the environment (to other than 0, false or nothing).
    """
    if environment.get("CI", "").lower() not in ("", "0", "false") and not force:
        raise ConfigurationError(
            f"refusing to {action} in CI, where golden sets are read only: do it where changes are reviewed, "
            "or pass --force"
        )


def lock_golden(
    name: str, *, roots: Sequence[str | Path] = DEFAULT_ROOTS, author: str | None = None
) -> GoldenSet:
    """Write the digest of a version's cases into its manifest, so that an edit is noticed.

    Locking what is locked and unchanged does nothing.

    Raises:
        GoldenSetError: It is missing, malformed, or locked and edited since.
    """
    golden = load_golden(name, roots=roots)
    refuse_foreign(golden.path, roots)
    if golden.locked:
        return golden
    manifest = _locked(golden.manifest, golden.cases, golden.digest, author)
    replace_synced(golden.path / MANIFEST_FILE, _encoded(manifest))
    return dataclasses.replace(golden, manifest=manifest)


def release_golden(
    name: str,
    *,
    roots: Sequence[str | Path] = DEFAULT_ROOTS,
    source: Path | None = None,
    note: str | None = None,
    author: str | None = None,
) -> GoldenRelease:
    """Write edited cases as the next version, locked, and put the version that was edited back.

    Args:
        name: The set, without a version: the newest one is followed.
        roots: Folders to look in, as for `load_golden`.
        source: The edited cases; by default the newest version's own file, which was edited in place.
        note: Why there is a new version, for its manifest.
        author: Who made it, for its manifest.

    Raises:
        GoldenSetError: The set is missing or was never locked, nothing was changed, or the edited cases are
            malformed. Nothing is written then.
    """
    if "/" in name:
        raise GoldenSetError(
            f"{name!r}: the newest version is the one that is followed; leave the version out"
        )
    folder = find_golden(name, roots=roots)
    refuse_foreign(folder, roots)
    manifest = read_golden_manifest(folder)
    label = f"{manifest.name}/v{manifest.version}"
    if not manifest.locked:
        raise GoldenSetError(f"{label} was never locked: run `harness golden lock {name}` first", path=folder)
    path = folder / CASES_FILE if source is None else source
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest == manifest.sha256:
        raise GoldenSetError(
            f"{label} is unchanged: edit it, or give the edited file with --from, and release again",
            path=path,
        )
    old = locked_bytes(folder, manifest)
    target = folder.parent / f"v{manifest.version + 1}"
    following = dataclasses.replace(
        manifest, version=manifest.version + 1, sha256=None, created_by=None, created_at=None, note=note
    )
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder.parent))
    try:
        write_synced(staging / CASES_FILE, data)
        try:
            cases = tuple(read_golden_cases(staging))
        except GoldenSetError as problem:  # name the file that the author edits, not our copy of it
            text = str(problem).replace(str(staging / CASES_FILE), str(path))
            raise GoldenSetError(text) from None
        write_synced(staging / MANIFEST_FILE, _encoded(_locked(following, cases, digest, author)))
        staging.chmod(0o755)
        sync_directory(staging)
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_directory(target.parent)
    if old is not None and source is None:
        replace_synced(folder / CASES_FILE, old)
    if source is not None and source.resolve() == (folder.parent / DRAFT_FILE).resolve():
        source.unlink()  # it is a version now; what is added next starts from that one
    return _described(load_golden(f"{name}/{target.name}", roots=roots), label, old, folder)


def locked_bytes(folder: Path, manifest: GoldenManifest) -> bytes | None:
    """Return the bytes that a manifest locks, from the file itself or from git's history; None if lost."""
    path = folder / CASES_FILE
    if _is(path.read_bytes(), manifest):
        return path.read_bytes()
    history = _git(folder, "log", f"-{_COMMITS_SEARCHED}", "--format=%H", "--", CASES_FILE)
    for commit in (history or b"").decode("ascii", "replace").split():
        data = _git(folder, "show", f"{commit}:./{CASES_FILE}")
        if data is not None and _is(data, manifest):
            return data
    return None


def refuse_foreign(folder: Path, roots: Sequence[str | Path]) -> None:
    """Refuse to write among the shipped sets, inside an installed package.

    Raises:
        GoldenSetError: The folder is under none of these roots.
    """
    if not any(folder.is_relative_to(root) for root in roots):
        raise GoldenSetError("is a shipped golden set: copy it into a folder of yours first", path=folder)


def _is(data: bytes, manifest: GoldenManifest) -> bool:
    return hashlib.sha256(data).hexdigest() == manifest.sha256


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Run git in a folder; None when it is not installed, fails or takes too long."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _described(golden: GoldenSet, previous: str, old: bytes | None, folder: Path) -> GoldenRelease:
    """Compare a new version with the one before it."""
    if old is None:
        return GoldenRelease(golden, previous, None, None, None, restored=False)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / CASES_FILE).write_bytes(old)
        before = {case.id: case.content_hash for case in read_golden_cases(Path(scratch))}
    after = {case.id: case.content_hash for case in golden}
    return GoldenRelease(
        golden,
        previous,
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and after[name] != before[name]),
        restored=(folder / CASES_FILE).read_bytes() == old,
    )


def _locked(
    manifest: GoldenManifest, cases: Sequence[Case], digest: str, author: str | None
) -> GoldenManifest:
    """Return the manifest with what locking adds: who, when, the digest and what the cases are."""
    mix = {level: sum(level in case.tags for case in cases) for level in _DIFFICULTIES}
    return dataclasses.replace(
        manifest,
        created_by=manifest.created_by or author,
        created_at=manifest.created_at or utc_now(),
        cases=len(cases),
        sha256=digest,
        difficulty={level: count for level, count in mix.items() if count},
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise GoldenSetError(f"cannot be read: {problem.strerror or problem}", path=path) from None


def _encoded(manifest: GoldenManifest) -> bytes:
    return (json.dumps(manifest.as_dict(), indent=2, ensure_ascii=False) + "\n").encode()
