"""The `suite` marker: from its arguments to a suite with its cases and its gate."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cases import Case, Sampling, content_digest
from harness.errors import ConfigurationError
from harness.gate import Gate
from harness.golden_set import load_golden
from harness.protocols import Judge
from harness.registry import did_you_mean

from .options import SamplingOptions

__all__ = ["Suite", "Suites", "read_marker"]

_ARGUMENTS = ("gate", "name", "rubric")


@dataclass(frozen=True)
class SuiteMark:
    """What a `suite` marker says."""

    golden: str
    name: str
    gate: Gate
    rubric: Judge | None


@dataclass(frozen=True)
class Suite:
    """A golden set under a gate.

    Attributes:
        name: What verdicts call it.
        golden: Golden set and version, such as `refunds/v1`.
        gate: The policy.
        rubric: What a judge is asked, for suites whose tests use the `judge` fixture.
        cases: The cases of this session (all of them, or the first `--limit`).
        total: How many the golden set has.
        sampling: How answers are drawn.
        epochs: Samples per case.
        judge: Fingerprint of the judge model, where the suite has a rubric and the session a judge.
    """

    name: str
    golden: str
    gate: Gate
    rubric: Judge | None
    cases: tuple[Case, ...]
    total: int
    sampling: Sampling
    epochs: int
    judge: str | None = None

    @functools.cached_property
    def config_hash(self) -> str:
        """Digest of what both sides of a pair must share beside the case: sampling, judge and its prompt."""
        shared: dict[str, object] = {"sampling": self.sampling.as_dict(), "epochs": self.epochs}
        if self.judge is not None:
            shared["judge"] = [self.judge, getattr(self.rubric, "prompt_hash", None)]
        return content_digest(shared)


def read_marker(mark: pytest.Mark) -> SuiteMark:
    """Check the arguments of `@pytest.mark.suite(golden, gate=…, name=…, rubric=…)`.

    Raises:
        ConfigurationError: All that is wrong with them, in one line.
    """
    problems: list[str] = []
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not mark.args[0]:
        problems.append("takes one golden set name, such as suite('refunds')")
    for key in mark.kwargs:
        if key not in _ARGUMENTS:
            hint = did_you_mean(key, _ARGUMENTS)
            problems.append(f"has no argument {key!r}{hint}; known: {', '.join(_ARGUMENTS)}")
    gate = mark.kwargs.get("gate", Gate())
    if not isinstance(gate, Gate):
        problems.append(f"gate must be a harness.Gate, not {type(gate).__name__}")
    rubric = mark.kwargs.get("rubric")
    if rubric is not None and not isinstance(rubric, Judge):
        problems.append(f"rubric must have the methods of harness.Judge, {type(rubric).__name__} has not")
    name = mark.kwargs.get("name")
    if name is not None and (not isinstance(name, str) or not name):
        problems.append("name must be a non-empty string")
    if problems:
        raise ConfigurationError(f"@pytest.mark.suite {'; '.join(problems)}")
    golden = mark.args[0]
    return SuiteMark(golden, name or golden.partition("/")[0], gate, rubric)


class Suites:
    """The suites of a session by name; each golden set is read once.

    Args:
        roots: Folders of golden sets, looked up before the shipped ones.
        sampling: The command line's sampling options.
        limit: Cases per suite.
        judge: Fingerprint of the session's judge model, if it has one.
    """

    def __init__(
        self, roots: Sequence[Path], sampling: SamplingOptions, limit: int | None, judge: str | None = None
    ) -> None:
        self._roots = tuple(roots)
        self._options = sampling
        self._limit = limit
        self._judge = judge
        self._suites: dict[str, Suite] = {}
        self._marks: dict[str, SuiteMark] = {}

    def __iter__(self) -> object:
        return iter(self._suites.values())

    def get(self, mark: SuiteMark) -> Suite:
        """Return the suite that a marker describes.

        Raises:
            ConfigurationError: Another test gives the same suite another golden set, gate or rubric.
            GoldenSetError: The golden set is missing, malformed or edited.
        """
        known = self._marks.get(mark.name)
        if known is not None:
            if known != mark:
                raise ConfigurationError(
                    f"two tests describe the suite {mark.name!r} differently (golden set, gate or rubric); "
                    "give one of them its own name: suite(…, name='…')"
                )
            return self._suites[mark.name]
        golden = load_golden(mark.golden, roots=self._roots)
        cases = golden.cases
        suite = Suite(
            name=mark.name,
            golden=golden.label,
            gate=mark.gate,
            rubric=mark.rubric,
            cases=cases[: self._limit],
            total=len(cases),
            sampling=self._sampling(golden.sampling),
            epochs=self._options.epochs,
            judge=None if mark.rubric is None else self._judge,
        )
        self._marks[mark.name] = mark
        self._suites[mark.name] = suite
        return suite

    def _sampling(self, own: Sampling) -> Sampling:
        """The command line wins over the golden set's own values."""
        options = self._options
        return Sampling(
            max_tokens=own.max_tokens if options.max_tokens is None else options.max_tokens,
            temperature=own.temperature if options.temperature is None else options.temperature,
            top_p=own.top_p,
            stop=own.stop,
            seed=options.seed,
        )
