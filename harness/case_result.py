"""What is kept of one case × checkpoint: outcome, scores and outputs of all its samples."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from harness.cases import Outcome

__all__ = ["CaseResult", "Role", "combine_outcomes"]


class Role(str, enum.Enum):
    """What a checkpoint is in a session."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class CaseResult:
    """What is kept of one case × checkpoint when all its samples are scored.

    Attributes:
        suite: Name of the suite (the marker's `name`, or the golden set's name).
        golden: Golden set and version, such as `refunds/v1`.
        test: Name of the test function; a suite may ask several questions about a case.
        case_id: The case.
        content_hash: `Case.content_hash` at the time.
        checkpoint: Spec string of the checkpoint.
        role: candidate or baseline.
        outcome: How the case ended over all its samples.
        samples: One value in [0, 1] per sample; empty when the outcome is *error* or the case was skipped.
        outputs: The text of each sample.
        finish_reasons: How each of them ended: `stop`, `length` (cut at max_tokens), …
        label: The class that the case should be given, where it carries a `label` check.
        labels: The classes that the samples give; None for one that gives none of the set, or two.
        explanation: Why, in one line.
        answer: What was extracted and compared.
        cluster: Cluster id for the statistics; the case's own id where it names none.
        tags: The case's tags.
        must_pass: The case's flag.
        must_keep: The case's flag.
        input: What was asked (last user message), for reports.
        target: The reference answer, for reports.
        skipped: Why the case was not decided (skip, xfail); such a case is no evidence for anything.
        config_hash: Digest of what both sides of a pair must share: sampling and samples per case.
        latency_ms: Wall time of the (first) sample.
        prompt_tokens: Of the first sample.
        completion_tokens: Of all samples together.
    """

    suite: str
    golden: str
    test: str
    case_id: str
    content_hash: str
    checkpoint: str
    role: Role
    outcome: Outcome
    samples: tuple[float, ...] = ()
    outputs: tuple[str, ...] = ()
    explanation: str | None = None
    answer: str | None = None
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    must_pass: bool = False
    must_keep: bool = False
    input: str = ""
    target: Any = None
    skipped: str | None = None
    config_hash: str | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    label: str | None = None
    labels: tuple[str | None, ...] = ()

    @property
    def score(self) -> float | None:
        """Mean of the samples in [0, 1]; None when the case was not decided."""
        if not self.samples or self.outcome is Outcome.ERROR or self.skipped is not None:
            return None
        return sum(self.samples) / len(self.samples)

    @property
    def pair_key(self) -> tuple[str, str, str, str]:
        """What joins a candidate's result to the baseline's: suite, golden version, test, case id."""
        return (self.suite, self.golden, self.test, self.case_id)

    def fields(self) -> dict[str, Any]:
        """Return the values of all attributes, by name and in their order."""
        return dict(zip(_NAMES, _VALUES(self), strict=True))

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> CaseResult:
        """Return what `CaseResult(**fields)` does, where all fields are given.

        In a third of its time, which sets each of two dozen attributes by a call: that is most of what
        reading a stored run takes.

        Raises:
            TypeError: One is missing, or there is no such field.
        """
        if fields.keys() != _ALL_NAMES:
            raise TypeError(f"fields missing or unknown: {', '.join(sorted(fields.keys() ^ _ALL_NAMES))}")
        result = object.__new__(cls)
        result.__dict__.update(fields)
        return result

    def in_role(self, role: Role) -> CaseResult:
        """Return the same result in a role."""
        return CaseResult.of_fields({**self.__dict__, "role": role})

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        data = self.fields()
        data["role"] = self.role.value
        data["outcome"] = self.outcome.value
        data["samples"] = list(self.samples)
        data["outputs"] = list(self.outputs)
        data["finish_reasons"] = list(self.finish_reasons)
        data["tags"] = list(self.tags)
        data["labels"] = list(self.labels)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CaseResult:
        """Read what `as_dict` wrote."""
        fields = dict(data)
        fields["role"] = Role(fields["role"])
        fields["outcome"] = Outcome(fields["outcome"])
        for name in ("samples", "outputs", "tags", "finish_reasons", "labels"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


_NAMES = tuple(CaseResult.__dataclass_fields__)
_ALL_NAMES = frozenset(_NAMES)
_VALUES = attrgetter(*_NAMES)


def combine_outcomes(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a case from those of its samples.

    *error* when any sample has no answer; *passed* when all passed; otherwise *missed*, or *invalid* when
    every sample that failed was invalid.
    """
    if not outcomes or Outcome.ERROR in outcomes:
        return Outcome.ERROR
    failed = [outcome for outcome in outcomes if outcome is not Outcome.PASSED]
    if not failed:
        return Outcome.PASSED
    return Outcome.INVALID if all(outcome is Outcome.INVALID for outcome in failed) else Outcome.MISSED
