"""The exception tree, and the exit code that each branch stands for.

HarnessError                        anything this package raises on purpose
├── UsageError            exit 4    the user can mend it: one line that says what, where and what to do next
│   ├── ConfigurationError            options, marker arguments, gates, recipes
│   ├── GoldenSetError                a golden set that is malformed, edited or missing (path, line)
│   ├── CheckpointError               a checkpoint that is missing, damaged or does not fit its base
│   │   └── TrustError                it would run code or unpickle to load, and nobody allowed that
│   ├── TrainingDataError             rows that cannot be trained on (path, line)
│   ├── MissingDependencyError        an optional package is not installed (says the pip command)
│   └── IncompatibleLibraryError      an installed package has lost a name that a safeguard needs
├── InferenceError                  a request got no answer: outcome *error*, never a score
├── ScoringError                    a scorer could not score: outcome *error*, never a score
│   └── JudgementError                a judge's answer could not be used
├── TrainingError         exit 1    training ran and must not be trusted (loss is NaN, nothing changed)
└── StoreError            exit 3    cache or run store could not be read or written
    └── IntegrityError                its content is not what was written
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "GoldenSetError",
    "HarnessError",
    "IncompatibleLibraryError",
    "InferenceError",
    "IntegrityError",
    "JudgementError",
    "MissingDependencyError",
    "ScoringError",
    "StoreError",
    "TrainingDataError",
    "TrainingError",
    "TrustError",
    "UsageError",
    "error_line",
    "problem_lines",
]


class HarnessError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 3


class UsageError(HarnessError):
    """Something that the user can mend; the message is one line, with the next step."""

    exit_code = 4


class ConfigurationError(UsageError):
    """An option, marker argument, gate or recipe is wrong."""


class LocatedError(UsageError):
    """A usage error at a place in a file.

    Args:
        message: What is wrong, what was expected and what to do next.
        path: The file.
        line: One-based line number, where there is one.
    """

    def __init__(self, message: str, *, path: str | Path | None = None, line: int | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.line = line
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)


class GoldenSetError(LocatedError):
    """A golden set is malformed, edited after its release, or missing."""


class TrainingDataError(LocatedError):
    """A training file holds rows that cannot be trained on."""


class CheckpointError(UsageError):
    """A checkpoint is missing, damaged, or does not fit its base."""


class TrustError(CheckpointError):
    """Loading would run code or unpickle, and nobody allowed that."""


class MissingDependencyError(UsageError):
    """An optional package is needed and not installed.

    Args:
        package: The package that failed to import.
        extra: The extra of this distribution that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{package} is not installed: run  pip install 'checkpoint-harness[{extra}]'")


class IncompatibleLibraryError(UsageError):
    """An installed package has lost a name that a safeguard needs; says which, and what it guards."""


class InferenceError(HarnessError):
    """A request got no answer for a reason that says nothing about the model."""


class ScoringError(HarnessError):
    """A scorer could not score: the case ends in *error*, never in a score."""


class JudgementError(ScoringError):
    """A judge's answer could not be used: off the scale, not JSON, refused, or no answer."""


class TrainingError(HarnessError):
    """Training ran, and its result must not be trusted."""

    exit_code = 1


class StoreError(HarnessError):
    """The response cache or the run store could not be read or written."""


class IntegrityError(StoreError):
    """Stored content is not what was written: a damaged, cut or edited database."""


def error_line(error: HarnessError) -> str:
    """Return an error as the one line that is shown."""
    return " ".join(str(error).split())


def problem_lines(error: HarnessError) -> list[str]:
    """Return an error as it is shown: on one line, or on one for each problem of a file that has several."""
    several = isinstance(error, (ConfigurationError, GoldenSetError))
    lines = str(error).splitlines() if several else [str(error)]
    return [" ".join(line.split()).removesuffix(";") for line in lines if line.strip()]
