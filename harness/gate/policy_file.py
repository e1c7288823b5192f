"""Policies as data: gates from `gates.yaml`, or from pyproject.toml, over those of markers.

`gates:`, `release:` and `select:` in the one are `[tool.harness.gates]` and so on in the other.

A release manager reads and changes them without Python. Field by field, the suite's own entry wins over
`default`, and both win over the marker. Where each value came from is kept.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError
from harness.gate.policy import Gate, ReleasePolicy
from harness.registry import did_you_mean

if TYPE_CHECKING:
    from harness.files.read_yaml import Document

__all__ = ["DEFAULT", "EffectiveGate", "GateFile", "load_gate_file"]

DEFAULT = "default"
FILE_NAME = "gates.yaml"
_MISNAMED = "gates.yml"  # it would gate nothing, without a word
_SECTIONS = ("gates", "release", "select")
_NO_FILE = ("default", "marker")
_FIELDS = tuple(one.name for one in dataclasses.fields(Gate))


@dataclass(frozen=True)
class EffectiveGate:
    """The policy that a suite is gated by.

    Attributes:
        gate: The policy.
        sources: Field → where its value came from: `default`, `marker`, or a file and line.
    """

    gate: Gate
    sources: Mapping[str, str]


@dataclass(frozen=True)
class GateFile:
    """What a project's file says about gates.

    Attributes:
        path: The file, relative to the root; None where the project has none.
        gates: Suite (or `default`) → field → value, each checked.
        lines: (suite,) or (suite, field) → line.
        release: What a release demands beside its suites' gates.
        select: The section on choosing checkpoints, unchecked; see `harness.runs.selection_rule`.
        select_lines: Path of a key within that section → line; () is where the section begins.
    """

    path: str | None = None
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    release: ReleasePolicy = field(default_factory=ReleasePolicy)
    select: Any = None
    select_lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def select_line(self, *key: str | int) -> int:
        """Return the line of a key of the section `select`, or of what is around it."""
        while key and key not in self.select_lines:
            key = key[:-1]
        return self.select_lines.get(key, 1)

    def change(self, suite: str, decided: Gate, sources: Mapping[str, str]) -> str | None:
        """Say where a suite was gated by other values than the file now gives, or None.

        Args:
            suite: Its name.
            decided: The gate that decided.
            sources: Where each of its values came from then, as far as that is known.
        """
        given = {**self.gates.get(DEFAULT, {}), **self.gates.get(suite, {})}
        changed = [
            f"{name} was {getattr(decided, name)}, {self.source(suite, name)} says {value}"
            for name, value in given.items()
            if getattr(decided, name) != value
        ]
        changed += [
            f"{name} was {getattr(decided, name)} by {source}, which no longer says so"
            for name, source in sources.items()
            if name not in given and name in _FIELDS and source not in _NO_FILE
        ]
        return f"{suite}: gated under another policy ({'; '.join(changed)})" if changed else None

    def source(self, suite: str, name: str) -> str:
        """Return the file and line of a field that the file gives for a suite, or for all."""
        section = suite if name in self.gates.get(suite, {}) else DEFAULT
        return f"{self.path}:{self.lines.get((section, name), 1)}"

    def effective(self, suite: str, marker: Gate) -> EffectiveGate:
        """Return the policy of a suite whose marker carries this gate.

        Raises:
            ConfigurationError: The values of marker and file do not go together.
        """
        unset = {one.name: one.default for one in dataclasses.fields(Gate)}
        values = {name: getattr(marker, name) for name in _FIELDS}
        sources = {name: _NO_FILE[values[name] != unset[name]] for name in _FIELDS}
        for section in (DEFAULT, suite):
            for name, value in self.gates.get(section, {}).items():
                values[name] = value
                sources[name] = self.source(suite, name)
        try:
            return EffectiveGate(Gate(**values), sources)
        except ConfigurationError as error:
            section = suite if suite in self.gates else DEFAULT
            line = self.lines.get((section,), 1)
            raise ConfigurationError(f"{self.path}:{line}: suite {suite!r}: {error}") from None

    def refuse_unknown(self, suites: Collection[str]) -> None:
        """Hold the suites that are named to those that there are: a misspelt gate would gate nothing.

        Raises:
            ConfigurationError: A suite is named that there is not; one line for each.
        """
        known = ", ".join(sorted(suites)) or "none"
        problems = [
            f"{self.path}:{self.lines.get((name,), 1)}: "
            f"no suite {name!r}{did_you_mean(name, sorted(suites))}; there are: {known}"
            for name in self.unknown(suites)
        ]
        if problems:
            raise ConfigurationError("\n".join(problems))

    def unknown(self, suites: Collection[str]) -> tuple[str, ...]:
        """Return the suites that are named and that there are not."""
        return tuple(name for name in self.gates if name != DEFAULT and name not in suites)


def load_gate_file(root: Path) -> GateFile:
    """Read the gates of a project.

    Args:
        root: The project's root, where `gates.yaml` or pyproject.toml lies.

    Raises:
        ConfigurationError: Both files have gates; or there is a `gates.yml`; or one cannot be read; or keys
            and values are wrong, each said with its line.
    """
    written = root / FILE_NAME
    if (other := root / _MISNAMED).exists():
        raise ConfigurationError(f"{other.name}: nobody reads a file of this name: call it {FILE_NAME}")
    project = _from_pyproject(root / "pyproject.toml")
    if not written.exists():
        return project or GateFile()
    if project is not None:
        raise ConfigurationError(
            f"gates are given twice: in {FILE_NAME}:1 and in {project.path}: keep one of them, so that "
            "nobody reads the wrong one"
        )
    from harness.files.read_yaml import load_yaml  # most projects have no such file

    document = load_yaml(written)
    named = dataclasses.replace(document, path=FILE_NAME)
    return _checked(named.value, FILE_NAME, named)


def _from_pyproject(path: Path) -> GateFile | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    if "harness" not in text:
        return None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    ours = tool.get("harness") if isinstance(tool, dict) else None
    if ours is None:
        return None
    return _checked(ours, path.name, _TomlLines(text))


def _checked(value: Any, path: str, document: Document | _TomlLines) -> GateFile:
    """Check the sections and every gate in them; report all problems together, by line."""
    if value is None:
        return GateFile(path)
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}:1: expected a mapping with the keys {', '.join(_SECTIONS)}")
    known = ", ".join(_SECTIONS)
    problems: list[tuple[int, str]] = [
        (
            document.line((key,)),
            f"unknown key {key!r}{did_you_mean(key, _SECTIONS)}; known: {known}",
        )
        for key in value
        if key not in _SECTIONS
    ]
    lines: dict[tuple[str, ...], int] = {}
    gates = value.get("gates") or {}
    if not isinstance(gates, dict):
        problems.append((document.line(("gates",)), "gates should be a mapping of suites"))
        gates = {}
    for suite, fields in gates.items():
        at = lines[(suite,)] = document.line(("gates", suite))
        if not isinstance(fields, dict):
            problems.append((at, f"{suite}: expected a mapping such as {{margin: 0.02}}, not {fields!r}"))
            continue
        for name, found in fields.items():
            line = lines[(suite, name)] = document.line(("gates", suite, name))
            problems += [(line, f"{suite}: {problem}") for problem in _problems(name, found)]
    release, of_release = _release(value.get("release"), document)
    problems += of_release
    if problems:
        raise ConfigurationError("\n".join(f"{path}:{line}: {text}" for line, text in sorted(problems)))
    frozen = {suite: {k: _frozen(v) for k, v in fields.items()} for suite, fields in gates.items()}
    select = value.get("select")
    return GateFile(
        path, frozen, lines, release, select, {key: document.line(("select", *key)) for key in _keys(select)}
    )


def _release(value: Any, document: Document | _TomlLines) -> tuple[ReleasePolicy, list[tuple[int, str]]]:
    """Return what a release demands, and what is wrong with its section, by line."""
    if value is None:
        return ReleasePolicy(), []
    if not isinstance(value, dict):
        return ReleasePolicy(), [(document.line(("release",)), "release should be a mapping")]
    names = [one.name for one in dataclasses.fields(ReleasePolicy)]
    problems = [
        (document.line(("release", key)), f"release: unknown key {key!r}{did_you_mean(key, names)}")
        for key in value
        if key not in names
    ]
    try:
        return ReleasePolicy(**{key: entry for key, entry in value.items() if key in names}), problems
    except ConfigurationError as error:
        return ReleasePolicy(), [*problems, (document.line(("release",)), str(error))]


def _keys(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a section."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, found in inside:
        yield from _keys(found, (*at, key))


def _problems(name: str, value: Any) -> Sequence[str]:
    if name not in _FIELDS:
        return [f"unknown key {name!r}{did_you_mean(name, _FIELDS)}; known: {', '.join(_FIELDS)}"]
    try:
        # A floor is what the policy `absolute` cannot do without: it may come from the marker.
        Gate(**{"min_score": 0.5} | {name: _frozen(value)})
    except ConfigurationError as error:
        return [str(error).removeprefix("gate: ")]
    except TypeError as error:
        return [f"{name}: {error}"]
    return []


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class _TomlLines:
    """Finds the lines of keys in TOML, whose reader does not tell them."""

    text: str

    def line(self, key: tuple[str | int, ...]) -> int:
        """Return the line of a key under [tool.harness], or of the nearest table around it."""
        found = 1
        table: list[str] = []
        entries: Counter[str] = Counter()
        path = [str(part) for part in ("tool", "harness", *key)]
        best = 0
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]+", line)
            if header:
                parts = table = _split(header[2])
                if len(header[1]) == 2:  # [[table]]: one entry of a list
                    table = [*table, str(entries[header[2]])]
                    parts = table
                    entries[header[2]] += 1
            else:
                assigned = re.match(r"\s*([A-Za-z0-9_\"'.-]+)\s*=", line)
                if assigned is None:
                    continue
                parts = [*table, *_split(assigned[1])]
            if len(parts) > best and path[: len(parts)] == parts:
                found, best = number, len(parts)
        return found


def _split(key: str) -> list[str]:
    return [
        part[1:-1] if part[:1] in "\"'" else part for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", key)
    ]
