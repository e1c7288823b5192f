"""What a check type is: a name, the JSON Schema of its parameters, and a factory of scorers.

    @declare_check("capitals", parameters={"least": COUNT}, examples=(Example({"least": 1}, ("A",), ("a",)),))
    def capitals(least: int) -> Scorer: ...

is all there is to one: the factory's signature says which parameters must be given, its docstring is what
docs/scoring.md says, and cases and `harness.scoring.scorers` find it by its name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.cases import Case, Response, Score

__all__ = ["CheckType", "Example", "Scorer", "declare_check", "declared_by", "declared_in"]

Scorer = Callable[[Case, Response], Score]
"""A pure function from a case and a response to a score; raises `ScoringError` when it cannot score."""


def _never(parameters: Mapping[str, Any], response: Response) -> bool:
    """Say that a check judges no empty answer, as most do."""
    return False


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

    Declare your own with `declare_check`, and register the factory under the entry-point group
    `harness.checks`, its name being the entry's name.

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
    allows_empty: Callable[[Mapping[str, Any], Response], bool] = _never
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


Factory = TypeVar("Factory", bound=Callable[..., Scorer])

_DECLARED: dict[str, dict[str, CheckType]] = {}
"""Check types by the module of their factory and by name."""


def declare_check(
    name: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    some: bool = False,
    target: str | None = None,
    allows_empty: Callable[[Mapping[str, Any], Response], bool] = _never,
    examples: tuple[Example, ...] = (),
) -> Callable[[Factory], Factory]:
    """Make a factory of scorers a check type; the factory itself stays as it is.

    Parameters that the factory has no default for must be given in a case.

    Args:
        name: What cases write as `type`, as a literal at the start of the declaration: it is found by it.
        parameters: JSON Schema of each parameter of the factory, by name.
        some: See `CheckType`, as for the others.
        target: The parameter that is the case's `target`.
        allows_empty: Whether it may judge an empty answer.
        examples: What it must decide.

    Raises:
        ValueError: The factory takes other parameters than those, or its module declares the name already.
    """

    def declare(build: Factory) -> Factory:
        schemas = dict(parameters or {})
        module = _DECLARED.setdefault(build.__module__, {})
        if name in module and module[name].build.__qualname__ != build.__qualname__:  # no second import
            raise ValueError(f"{build.__module__} declares the check {name!r} twice")
        required = _required(build, name, schemas)
        module[name] = CheckType(name, build, schemas, required, some, target, allows_empty, examples)
        return build

    return declare


def declared_in(module: str) -> Mapping[str, CheckType]:
    """Return the check types that a module declares, by name."""
    return _DECLARED.get(module, {})


def declared_by(factory: object) -> CheckType | None:
    """Return the check type that a factory is declared as, if it is."""
    kinds = declared_in(getattr(factory, "__module__", "")).values()
    return next((kind for kind in kinds if kind.build is factory), None)


def _required(build: Callable[..., Scorer], name: str, schemas: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parameters without a default.

    Raises:
        ValueError: The schemas are not those of the factory's parameters.
    """
    taken = inspect.signature(build).parameters.values()
    named = {parameter.name: parameter for parameter in taken if parameter.kind is not parameter.VAR_KEYWORD}
    takes_any = len(named) < len(taken)
    strangers = named.keys() - schemas.keys() if takes_any else named.keys() ^ schemas.keys()
    if strangers:
        raise ValueError(
            f"the check {name!r}: its factory and its `parameters` differ in {', '.join(sorted(strangers))}"
        )
    return tuple(key for key, parameter in named.items() if parameter.default is parameter.empty)
