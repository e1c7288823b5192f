"""The rooms that faults are put into, the tests that hold their promises, and how many they must notice."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutation.changes import Change, changes_of

__all__ = ["ROOMS", "ROOT", "Mutant", "Room", "sample"]

ROOT = Path(__file__).resolve().parents[2]

_STATISTICS = (
    "test_anytime*.py",
    "test_chosen.py",
    "test_classification*.py",
    "test_early_stop_error_rates.py",
    "test_exclusion.py",
    "test_flip_tail.py",
    "test_release_power.py",
    "test_stats*.py",
)
_GATE = (
    "test_gate*.py",
    "test_compare*.py",
    "test_diagnostics.py",
    "test_noise.py",
    "integration/test_gate.py",
    "integration/test_early_stop.py",
)
_SCIENTIFIC = (
    "numpy",
    "scipy.special",
    "scipy.stats",
    "pandas",
    "sklearn.metrics",
    "statsmodels.stats.multitest",
)


@dataclass(frozen=True)
class Room:
    """A folder of the library whose tests are tried.

    Attributes:
        name: The folder below `harness/`.
        tests: Patterns of test files below `tests/`. A room's own tests, so that a fault is noticed where
            it was made rather than by a session that ends otherwise than it should.
        loaded: Slow modules of others that the tests use.
        drawn: How many mutants a sample takes by default.
        floor: Share of them in [0, 1] that the tests must notice; None where it is only told.
    """

    name: str
    tests: tuple[str, ...]
    loaded: tuple[str, ...]
    drawn: int
    floor: float | None = None

    @property
    def folder(self) -> Path:
        """Where its source files lie."""
        return ROOT / "harness" / self.name

    @property
    def test_files(self) -> list[Path]:
        """The test files, each once, sorted."""
        return sorted({path for pattern in self.tests for path in (ROOT / "tests").glob(pattern)})


ROOMS = {
    room.name: room
    for room in (
        Room("gate", (*_GATE, *_STATISTICS), _SCIENTIFIC, drawn=120, floor=0.85),
        Room(
            "stats",
            (*_STATISTICS, "test_gate*.py", "test_compare.py", "test_diagnostics.py"),
            _SCIENTIFIC,
            drawn=120,
            floor=0.85,
        ),
        Room(
            "engine",
            (
                "test_dialogue.py",
                "test_engine.py",
                "test_fill.py",
                "test_plan.py",
                "test_request_keys.py",
                "test_response_cache.py",
            ),
            ("filelock",),
            drawn=60,
        ),
        Room(
            "scoring",
            (
                "test_*check*.py",
                "test_code_checks.py",
                "test_degeneration.py",
                "test_grounding.py",
                "test_instructions.py",
                "test_leaks.py",
                "test_number_on_gsm8k.py",
                "test_refusal.py",
                "test_scoring*.py",
                "test_tool_calls.py",
            ),
            (*_SCIENTIFIC, "jsonschema", "sacrebleu", "rouge_score", "rapidfuzz"),
            drawn=100,
        ),
    )
}


@dataclass(frozen=True)
class Mutant:
    """A source file with one change.

    Attributes:
        room: Name of the room.
        path: The file, relative to the repository, with slashes.
        change: What is changed.
    """

    room: str
    path: str
    change: Change

    @property
    def identity(self) -> str:
        """What tells it from the others, as long as its function keeps its name and the changed words."""
        change = self.change
        parts = (self.path, change.function, change.before, change.after, str(change.nth))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def mutants_of(room: Room) -> Iterator[Mutant]:
    """Yield every mutant of a room, by file and place."""
    for path in sorted(room.folder.rglob("*.py")):
        for change in changes_of(path.read_bytes()):
            yield Mutant(room.name, path.relative_to(ROOT).as_posix(), change)


def sample(room: Room, size: int | None, seed: int) -> list[Mutant]:
    """Draw mutants of a room at random, by its seed and name; all of them where `size` is None."""
    mutants = list(mutants_of(room))
    if size is None or size >= len(mutants):
        return mutants
    return random.Random(f"{seed} {room.name}").sample(mutants, size)
