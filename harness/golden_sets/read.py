"""Find, read and verify golden sets: `<root>/<name>/v<N>/cases.jsonl` beside `manifest.json`.

A set is read as a whole before any of its cases is used: a fault in the last line stops the session as one in
the first does. All faults are reported together, each with file and line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.cases import Case, Sampling
from harness.errors import GoldenSetError, HarnessError
from harness.files.json_schema import compile_predicate, packaged_schema, violations
from harness.files.read_json import read_json, read_jsonl
from harness.golden_sets.case_row import read_case
from harness.registry import did_you_mean, registered

__all__ = [
    "CASES_FILE",
    "DEFAULT_ROOTS",
    "MANIFEST_FILE",
    "GoldenManifest",
    "GoldenSet",
    "check_name",
    "find_golden",
    "golden_names",
    "load_golden",
    "read_golden_cases",
    "read_golden_manifest",
    "shipped_roots",
    "versions",
]

CASES_FILE = "cases.jsonl"
MANIFEST_FILE = "manifest.json"
DEFAULT_ROOTS: tuple[Path, ...] = (Path("golden"),)
"""Where golden sets are looked up when nobody says otherwise, relative to the working directory."""
SHIPPED = "harness.golden"
"""Entry-point group of packages whose data are golden sets."""

_MAX_PROBLEMS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class GoldenManifest:
    """What `manifest.json` says of one version of a golden set.

    Attributes:
        name: The set's name; its folder's.
        version: The version; N of the folder `v<N>`.
        description: What it measures.
        licence: SPDX expression of its texts' licence.
        created_by: Who wrote it.
        created_at: When, in ISO 8601.
        note: Why this version exists.
        cases: How many cases it has.
        sha256: Digest of the bytes of `cases.jsonl`; a set is locked when it has one.
        sampling: What its cases want of max_tokens, temperature, top_p and stop.
        difficulty: How many cases are tagged easy, medium and hard.
        attack: The largest shares, 0 to 1, of wrong answers that `harness golden test` may get past the
            checks: `gaming` for each strategy of the battery, `contradictions` for all contradictions
            together.
    """

    name: str
    version: int
    description: str = ""
    licence: str | None = None
    created_by: str | None = None
    created_at: str | None = None
    note: str | None = None
    cases: int | None = None
    sha256: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    difficulty: Mapping[str, int] = field(default_factory=dict)
    attack: Mapping[str, float] = field(default_factory=dict)

    @property
    def locked(self) -> bool:
        """Whether the cases may not change any more."""
        return self.sha256 is not None

    def as_dict(self) -> dict[str, Any]:
        """Return what `manifest.json` holds; fields without a value are left out."""
        written: dict[str, Any] = {"schema_version": 1}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and value != "" and value != {}:
                written[name] = dict(value) if isinstance(value, Mapping) else value
        return written


@dataclass(frozen=True)
class GoldenSet:
    """One version of a golden set, read and verified.

    Attributes:
        name: Its name, such as `refunds`.
        version: Its version, ≥ 1.
        path: Its folder.
        manifest: What its manifest says; a bare one where it has none.
        digest: sha256 (64 hex digits) of the bytes of `cases.jsonl`.
        cases: Its cases in the order of the file, at least one, ids unique.
    """

    name: str
    version: int
    path: Path
    manifest: GoldenManifest
    digest: str
    cases: tuple[Case, ...]

    @property
    def label(self) -> str:
        """Name and version, such as `refunds/v1`: what results are joined on."""
        return f"{self.name}/v{self.version}"

    @property
    def locked(self) -> bool:
        """Whether its manifest locks it."""
        return self.manifest.locked

    @property
    def sampling(self) -> Sampling:
        """How its answers are drawn where nobody says otherwise."""
        return Sampling(**{**self.manifest.sampling, "stop": tuple(self.manifest.sampling.get("stop", ()))})

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)


def load_golden(name: str, *, roots: Sequence[str | Path] = DEFAULT_ROOTS) -> GoldenSet:
    """Read and verify a golden set.

    Args:
        name: `refunds` for the newest version (v10 is newer than v9), or `refunds/v1`.
        roots: Folders to look in, in this order; the shipped sets come last. The first that has the set
            decides.

    Raises:
        GoldenSetError: It is missing, malformed (every fault with file and line, up to 20), or locked and
            edited since.
    """
    folder = find_golden(name, roots=roots)
    manifest = read_golden_manifest(folder)
    digest = hashlib.sha256()
    cases = tuple(read_golden_cases(folder, digest=digest))
    found = digest.hexdigest()
    _check_lock(folder, manifest, found, len(cases))
    return GoldenSet(manifest.name, manifest.version, folder, manifest, found, cases)


def find_golden(name: str, *, roots: Sequence[str | Path] = DEFAULT_ROOTS) -> Path:
    """Return the folder of a golden set's version, without reading it; arguments as in `load_golden`.

    Raises:
        GoldenSetError: No root has it, or a link leads out of its root.
    """
    base, slash, pinned = name.partition("/")
    if not _NAME.fullmatch(base) or (slash and not _VERSION.fullmatch(pinned)):
        raise GoldenSetError(f"{name!r} names no golden set: expected a name such as refunds or refunds/v1")
    searched = [Path(root) for root in roots]
    for root in _in_turn(searched):
        if not (root / base).is_dir():
            continue
        known = versions(root / base)
        if not known:
            hint = f": move its {CASES_FILE} to v1/" if (root / base / CASES_FILE).exists() else ""
            raise GoldenSetError(f"no version of this golden set (a folder v1){hint}", path=root / base)
        version = int(pinned[1:]) if pinned else known[-1]
        if version not in known:
            listed = ", ".join(f"v{number}" for number in known)
            raise GoldenSetError(f"has no version {pinned}; it has {listed}", path=root / base)
        folder = root / base / f"v{version}"
        _check_inside(folder, root)
        return folder
    known_names = golden_names(roots)
    hint = did_you_mean(base, known_names) or f"; known: {', '.join(known_names) or 'none'}"
    looked = ", ".join(map(str, searched)) or "no folder of yours"
    raise GoldenSetError(f"no golden set {base!r} in {looked} or among the shipped ones{hint}")


def _in_turn(searched: Sequence[Path]) -> Iterator[Path]:
    """Yield the given roots, then the shipped ones, which are looked up only where those have not the set."""
    yield from searched
    yield from shipped_roots()


def golden_names(roots: Sequence[str | Path] = DEFAULT_ROOTS) -> list[str]:
    """Return the names of the golden sets under the given and the shipped roots, sorted."""
    found: set[str] = set()
    for root in (*map(Path, roots), *shipped_roots()):
        if root.is_dir():
            found.update(folder.name for folder in root.iterdir() if _is_set(folder))
    return sorted(found)


def check_name(name: str) -> None:
    """Refuse what cannot name a golden set.

    Raises:
        GoldenSetError: Names are 1 to 64 letters, digits and `. _ -`, a letter or digit first.
    """
    if not _NAME.fullmatch(name):
        raise GoldenSetError(
            f"{name!r} names no golden set: expected at most 64 letters, digits and . _ - "
            "(a letter or digit first), such as refunds"
        )


def versions(folder: Path) -> list[int]:
    """Return the versions in a golden set's folder, oldest first.

    Raises:
        GoldenSetError: A folder looks like a version and is none, such as `v01`.
    """
    found = []
    for entry in folder.iterdir():
        if not entry.is_dir():
            continue
        if matched := _VERSION.fullmatch(entry.name):
            found.append(int(matched[1]))
        elif re.fullmatch(r"[vV][0-9.]+", entry.name):
            raise GoldenSetError("not a version: name it v1, v2, … without leading zeros or dots", path=entry)
    return sorted(found)


def shipped_roots() -> tuple[Path, ...]:
    """Return the folders of the packages under the entry-point group `harness.golden`."""
    packages = sorted({entry.value for entry in registered(SHIPPED)})
    return tuple(Path(str(files(package))) for package in packages)


def read_golden_manifest(folder: Path) -> GoldenManifest:
    """Read a version's manifest; a version without one gets a bare, unlocked one.

    Raises:
        GoldenSetError: It is malformed, or speaks of another name or version than its folder's.
    """
    path = folder / MANIFEST_FILE
    name, version = folder.parent.name, int(folder.name[1:])
    if not path.exists():
        return GoldenManifest(name, version)
    row = read_json(path)
    schema = packaged_schema("golden_manifest")
    if not compile_predicate(schema)(row) and (problems := violations(schema, row)):
        raise GoldenSetError("; ".join(problems), path=path)
    if (row["name"], row["version"]) != (name, version):
        raise GoldenSetError(
            f"is the manifest of {row['name']}/v{row['version']}, not of {name}/v{version}", path=path
        )
    return GoldenManifest(**{key: value for key, value in row.items() if key != "schema_version"})


def read_golden_cases(folder: Path, *, digest: Any = None) -> Iterator[Case]:
    """Yield the cases of a version one by one, and raise at the end of the file if any row was wrong.

    Args:
        folder: The version's folder, or any other with a `cases.jsonl`.
        digest: A hash object that is updated with every byte of the file.

    Raises:
        GoldenSetError: All faults together, each with file and line; or there is no case.
    """
    path = folder / CASES_FILE
    lines: dict[str, int] = {}
    unreadable: list[HarnessError] = []
    problems: list[tuple[int, str]] = []
    for line, row in read_jsonl(path, exact=True, digest=digest, faults=unreadable):
        case, found = read_case(row)
        name = row.get("id")
        if isinstance(name, str):
            if name in lines:
                found.append(f"the id {name!r} is taken by line {lines[name]}: give each case its own")
            lines.setdefault(name, line)
        if found:
            problems.extend((line, problem) for problem in found)
        if case is not None and not problems and not unreadable:
            yield case
    for fault in unreadable:
        line = getattr(fault, "line", None) or 0
        problems.append((line, str(fault).removeprefix(f"{path}:{line}: ")))
    problems.sort(key=lambda problem: problem[0])
    if problems:
        raise _together(path, problems)
    if not lines:
        raise GoldenSetError("holds no case: write one JSON object a line", path=path)


def _together(path: Path, problems: Sequence[tuple[int, str]]) -> GoldenSetError:
    """Return one error that lists all problems, a line each."""
    (line, first), *others = problems[:_MAX_PROBLEMS]
    message = "".join([first, *(f";\n{path}:{number}: {problem}" for number, problem in others)])
    if len(problems) > _MAX_PROBLEMS:
        message += f";\n… and {len(problems) - _MAX_PROBLEMS} more"
    return GoldenSetError(message, path=path, line=line)


def _check_lock(folder: Path, manifest: GoldenManifest, digest: str, count: int) -> None:
    if manifest.sha256 is not None and manifest.sha256 != digest:
        label = f"{manifest.name}/v{manifest.version}"
        raise GoldenSetError(
            f"{label} is locked and was edited since: release the edit as the next version with "
            f"`harness golden release {manifest.name}`, or restore the file",
            path=folder / CASES_FILE,
        )
    if manifest.cases is not None and manifest.cases != count:
        raise GoldenSetError(f"says {manifest.cases} cases, found {count}", path=folder / MANIFEST_FILE)


def _check_inside(folder: Path, root: Path) -> None:
    """Refuse links that lead out of the root: what is gated must lie where people look."""
    inside = root.resolve()
    for path in (folder, folder / CASES_FILE, folder / MANIFEST_FILE):
        if not path.resolve().is_relative_to(inside):
            raise GoldenSetError(f"a link leads out of {root}: copy the file here", path=path)


def _is_set(folder: Path) -> bool:
    return (
        _NAME.fullmatch(folder.name) is not None
        and folder.is_dir()
        and any(_VERSION.fullmatch(entry.name) for entry in folder.iterdir())
    )
