"""From the check that a case declares to the scorer that runs it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.cases import Case, Response, canonical_json
from harness.errors import ConfigurationError
from harness.files.json_schema import compile_predicate, violations
from harness.registry import did_you_mean, load_adapter, names
from harness.scoring.built_in import BUILT_IN
from harness.scoring.check_type import CheckType, Scorer, declared_by

__all__ = [
    "CHECKS",
    "Check",
    "built_in_types",
    "check_problems",
    "check_type",
    "check_types",
    "compile_checks",
]

CHECKS = "harness.checks"
"""Entry-point group under which others register their checks: factories under `declare_check`."""

_BUILT_IN: Mapping[str, CheckType] = BUILT_IN
_ONLY_TEXT = frozenset({str})


_latest: tuple[Case, tuple[Check, ...]] | None = None
"""The case that was scored last, and its checks: its other side is the next to be scored."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a case, ready to run.

    Attributes:
        type: Name of its check type.
        scorer: What runs it.
        allows_empty: Whether it may judge this response, which is empty.
    """

    type: str
    scorer: Scorer
    allows_empty: Callable[[Response], bool]


def built_in_types() -> tuple[CheckType, ...]:
    """Return the check types that come with this package, by name."""
    return tuple(_BUILT_IN[name] for name in sorted(_BUILT_IN))


def check_types() -> tuple[str, ...]:
    """Return the names of all check types, built in and registered by others, sorted."""
    return tuple(sorted({*_BUILT_IN, *names(CHECKS)}))


@functools.lru_cache(maxsize=256)
def check_type(name: str) -> CheckType:
    """Return the check type of that name.

    Raises:
        ConfigurationError: There is none, or what is registered under the name is neither a factory under
            `declare_check` nor a `CheckType`.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if name not in names(CHECKS):
        known = check_types()
        hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise ConfigurationError(f"unknown check type {name!r}{hint}")
    registered = load_adapter(CHECKS, name)
    kind = registered if isinstance(registered, CheckType) else declared_by(registered)
    if kind is None:
        what = type(registered).__name__
        raise ConfigurationError(
            f"{name!r} under {CHECKS} is a {what}: neither a factory under @declare_check nor a CheckType"
        )
    return kind


def compile_checks(case: Case) -> tuple[Check, ...]:
    """Return a case's checks, ready to run.

    A case that declares none is compared with its target: a string must be the whole answer (ends
    stripped), a number the last one in it, an object or array the JSON that it consists of. A case with
    choices gets the check `choice`, one with a continuation `perplexity`. A case with neither has no checks.

    Raises:
        ConfigurationError: A check is unknown or its parameters are wrong; one line that names the check.
    """
    global _latest
    latest = _latest  # read once: another thread may replace it
    if latest is not None and latest[0] is case:
        return latest[1]
    declared = case.checks or _default(case)
    compiled = tuple(_compile(index, check, case.target) for index, check in enumerate(declared))
    _latest = (case, compiled)
    return compiled


def check_problems(case: Case) -> list[str]:
    """Return what is wrong with a case's checks, one phrase each."""
    problems = []
    for index, check in enumerate(case.checks or _default(case)):
        try:
            _compile(index, check, case.target)
        except ConfigurationError as problem:
            problems.append(str(problem))
    return problems


def _default(case: Case) -> tuple[Mapping[str, Any], ...]:
    target = case.target
    if case.continuations:
        from harness.scoring.checks.likelihood_checks import default_likelihood_check

        return default_likelihood_check(case)
    if target is None:
        return ()
    if isinstance(target, str):
        return ({"type": "equals"},)
    if isinstance(target, (int, float)) and not isinstance(target, bool):
        return ({"type": "number"},)
    return ({"type": "json_equals"},)


def _compile(index: int, check: Mapping[str, Any], target: Any) -> Check:
    try:
        parameters = dict(check)
        name = parameters.pop("type", None)
        if not isinstance(name, str):
            raise ConfigurationError("has no `type`")
        kind = check_type(name)
        if kind.target is not None and kind.target not in parameters:
            if target is None and parameters.keys() <= kind.parameters.keys():
                raise ConfigurationError(f"{name} needs `{kind.target}`, or the case a `target`")
            if target is not None:
                parameters[kind.target] = target
        if {*map(type, parameters.values())} <= _ONLY_TEXT:  # these are told apart without spelling them
            return _built(name, tuple(parameters.items()))
        return _built(name, canonical_json(parameters))
    except (ConfigurationError, ValueError) as problem:
        raise ConfigurationError(f"checks[{index}]: {problem}") from None


@functools.lru_cache(maxsize=65536)
def _built(name: str, given: str | tuple[tuple[str, str], ...]) -> Check:
    """Build a check, once for all the cases that share it, and once for both sides of a case.

    Args:
        name: Its type.
        given: Its parameters: names and texts, or canonical JSON.
    """
    kind = check_type(name)
    parameters: dict[str, Any] = json.loads(given) if isinstance(given, str) else dict(given)
    if not _predicate(name)(parameters):
        complaints = violations(kind.schema, parameters)
        if complaints:
            raise ConfigurationError(f"{name}: {'; '.join(complaints)}")
    try:
        return Check(name, kind.build(**parameters), functools.partial(kind.allows_empty, parameters))
    except ValueError as problem:
        raise ConfigurationError(f"{name}: {problem}") from None


@functools.lru_cache(maxsize=256)
def _predicate(name: str) -> Any:
    return compile_predicate(check_type(name).schema)
