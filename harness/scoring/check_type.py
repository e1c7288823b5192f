"""What a check type is: a name, the JSON Schema of its parameters, and a factory of scorers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.cases import Case, Response, Score

__all__ = ["CheckType", "Example", "Scorer"]

Scorer = Callable[[Case, Response], Score]
"""A pure function from a case and a response to a score; raises `ScoringError` when it cannot score."""


@dataclass(frozen=True)
class Example:
    """What a check type must decide: its own unit test, and a reader's example.

    A check of these parameters passes each of `accepts` and fails each of `rejects`. The test suite holds
    every built-in check to its examples, and the examples to notice a check that decides nothing, or that
    ignores one of its parameters.

    Attributes:
        parameters: The check's parameters.
        accepts: Answers that pass: their text, or a whole response where the check reads more than text.
        rejects: Answers that are missed or invalid.
        tools: The case's tools, where the check reads them.
        question: The case's question, where the check reads it.
        choices: The texts whose likelihoods are asked, where the check reads those.
    """

    parameters: Mapping[str, Any]
    accepts: tuple[str | Response, ...]
    rejects: tuple[str | Response, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    question: str = "?"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckType:
    """A kind of check that cases may declare as `{"type": name, …parameters…}`.

    Register your own under the entry-point group `harness.checks`, its name being the entry's name.

    Attributes:
        name: What the case writes as `type`.
        build: Given the parameters as keyword arguments, returns the scorer. Raises `ValueError` with one
            line for parameters that their schema cannot rule out. The first paragraph of its docstring is
            what docs/scoring.md says of the check.
        parameters: JSON Schema of each parameter, by name.
        required: Names of the parameters that must be given.
        some: Whether at least one parameter must be given, whichever.
        target: Name of the parameter that is the case's `target` where the check does not give it.
        allows_empty: Given the parameters and an empty response, whether the check may judge it; an empty
            answer is *invalid* for every other check.
        examples: What it must decide.
    """

    name: str
    build: Callable[..., Scorer]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    some: bool = False
    target: str | None = None
    allows_empty: Callable[[Mapping[str, Any], Response], bool] = lambda parameters, response: False
    examples: tuple[Example, ...] = ()

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the parameters together."""
        return {
            "type": "object",
            "minProperties": int(self.some),
            "properties": dict(self.parameters),
            "required": list(self.required),
            "additionalProperties": False,
        }
