"""The `suite` marker: from its arguments to a suite with its cases and its gate."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.cases import Case, Sampling, content_digest
from harness.errors import ConfigurationError
from harness.gate.policy import Gate, ReleasePolicy
from harness.gate.policy_file import EffectiveGate, GateFile
from harness.golden_sets.source import load_case_sets
from harness.protocols import CaseSet, Judge
from harness.registry import did_you_mean

from .options import SamplingOptions
from .selection import CaseSelection

__all__ = ["TASKS", "Suite", "Suites", "read_marker"]

TASKS = "lm_eval:"
"""What a suite of the tasks that `--lm-eval-tasks` names calls its cases."""

_ARGUMENTS = ("gate", "name", "rubric")


@dataclass(frozen=True)
class SuiteMark:
    """What a `suite` marker says; its name is None where it leaves that to the cases."""

    golden: str
    name: str | None
    gate: Gate
    rubric: Judge | None


@dataclass(frozen=True)
class Suite:
    """A golden set, or another set of cases, under a gate.

    Attributes:
        name: What verdicts call it.
        golden: The set and its version, such as `refunds/v1`.
        gate: The policy.
        rubric: What a judge is asked, for suites whose tests use the `judge` fixture.
        cases: The cases of this session (all of them, or a sample of `--limit`).
        total: How many the set has.
        sampling: How answers are drawn.
        epochs: Samples per case.
        judge: Fingerprint of the judge model, where the suite has a rubric and the session a judge.
        gate_sources: Where each value of the gate comes from.
        digest: sha256 of all that decides the cases.
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
    gate_sources: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

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
    return SuiteMark(mark.args[0], name, gate, rubric)


class Suites:
    """The suites of a session by name; what each marker names is read once.

    Args:
        roots: Folders of golden sets, looked up before the shipped ones.
        sampling: The command line's sampling options.
        selection: Which cases of each suite are asked.
        judge: Fingerprint of the session's judge model, if it has one.
        root: Directory that relative paths in a name start from.
        gates: What the project's own file says about gates.
        rules_out: Of the command line: overrides that of every gate that compares with a baseline.
        tasks: What a suite of `TASKS` stands for: the tasks of `--lm-eval-tasks`.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        sampling: SamplingOptions,
        selection: CaseSelection,
        judge: str | None = None,
        *,
        root: Path | None = None,
        gates: GateFile | None = None,
        rules_out: float | None = None,
        tasks: Sequence[str] = (),
    ) -> None:
        self._roots = tuple(roots)
        self._options = sampling
        self._selection = selection
        self._judge = judge
        self._gates = gates or GateFile()
        self._root = root
        self._tasks = tuple(tasks)
        self._rules_out = rules_out
        self._suites: dict[str, Suite] = {}
        self._read: list[tuple[SuiteMark, tuple[Suite, ...]]] = []

    def __iter__(self) -> Iterator[Suite]:
        return iter(self._suites.values())

    def get(self, mark: SuiteMark) -> tuple[Suite, ...]:
        """Return the suites that a marker describes: one, or one for each set that its name stands for.

        Raises:
            ConfigurationError: Another test gives the same suite another set of cases, gate or rubric.
            UsageError: The cases are missing, malformed or edited.
        """
        for known, suites in self._read:
            if known == mark:
                return suites
        sets = self._sets(mark.golden)
        suites = tuple(self._suite(mark, found, alone=len(sets) == 1) for found in sets)
        for suite in suites:
            if suite.name in self._suites:
                raise ConfigurationError(
                    f"two tests describe the suite {suite.name!r} differently (golden set, gate or rubric); "
                    "give one of them its own name: suite(…, name='…')"
                )
            self._suites[suite.name] = suite
        self._read.append((mark, suites))
        return suites

    def refuse_unknown_gates(self) -> None:
        """Hold the suites that the project's file names to those of this session.

        Raises:
            ConfigurationError: It names a suite that there is not.
        """
        self._gates.refuse_unknown(set(self._suites))

    def unknown_gates(self) -> tuple[str, ...]:
        """Return the suites that the project's file names and this session has not."""
        return self._gates.unknown(set(self._suites))

    @property
    def release(self) -> ReleasePolicy:
        """What a release demands beside its suites' gates."""
        return self._gates.release

    def _sets(self, name: str) -> list[CaseSet]:
        if name == TASKS and not self._tasks:
            raise ConfigurationError(f"a suite of {TASKS!r} runs the tasks of --lm-eval-tasks: give some")
        named = [TASKS + task for task in self._tasks] if name == TASKS else [name]
        return [found for one in named for found in load_case_sets(one, roots=self._roots, root=self._root)]

    def _suite(self, mark: SuiteMark, found: CaseSet, *, alone: bool) -> Suite:
        name = found.name if mark.name is None else mark.name if alone else f"{mark.name}/{found.name}"
        policy = self._policy(name, mark.gate)
        return Suite(
            name=name,
            golden=found.label,
            gate=policy.gate,
            rubric=mark.rubric,
            cases=self._selection.sample(found.cases),
            total=len(found.cases),
            sampling=self._sampling(found.sampling),
            epochs=self._options.epochs,
            judge=None if mark.rubric is None else self._judge,
            gate_sources=policy.sources,
            digest=found.digest,
        )

    def _policy(self, name: str, marker: Gate) -> EffectiveGate:
        policy = self._gates.effective(name, marker)
        if self._rules_out is None or policy.gate.policy != "no-significant-drop":
            return policy
        try:
            gate = replace(policy.gate, rules_out=self._rules_out)
        except ConfigurationError as error:
            raise ConfigurationError(f"--rules-out={self._rules_out}: suite {name!r}: {error}") from None
        return EffectiveGate(gate, {**policy.sources, "rules_out": "--rules-out"})

    def _sampling(self, own: Sampling) -> Sampling:
        """The command line wins over the set's own values."""
        options = self._options
        return Sampling(
            max_tokens=own.max_tokens if options.max_tokens is None else options.max_tokens,
            temperature=own.temperature if options.temperature is None else options.temperature,
            top_p=own.top_p,
            stop=own.stop,
            seed=options.seed,
        )
