"""How the best checkpoint is chosen: the `select` section of a project's gates, and its options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigurationError
from harness.gate.policy_file import GateFile
from harness.registry import did_you_mean

__all__ = [
    "Objective",
    "SelectionRule",
    "describe_rule",
    "named_suites",
    "objective_of",
    "overridden",
    "read_rule",
]

Problem = tuple[tuple[str | int, ...], str]
"""Path of a key within the section, such as `("objectives", 0, "weight")`, and what is wrong with it."""
_ORDERS = ("weighted", "lexicographic")
_UNORDERED = "order: lexicographic goes by the first suite, then the next: name them in objectives, in order"


@dataclass(frozen=True)
class Objective:
    """A suite whose mean score counts, and how much.

    Raises:
        ConfigurationError: The suite is no name, or the weight no number above 0.
    """

    suite: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        _refuse(f"objective {self.suite!r}", _value_problems(dataclasses.asdict(self), _OBJECTIVE))


@dataclass(frozen=True)
class SelectionRule:
    """What is asked of the best checkpoint.

    Attributes:
        order: `weighted` ranks by the weighted mean; `lexicographic` by the first suite, then, among those
            not distinguishable there, by the next. That takes objectives: no other order is declared.
        objectives: The suites that count; all alike where none is named.
        require: Suites that must say PASS even if no candidate's run has them, such as safety.
        alpha: Level of the paired tests that say who is distinguishable from the choice, in (0, 0.5).

    Raises:
        ConfigurationError: A value cannot be used.
    """

    order: str = "weighted"
    objectives: tuple[Objective, ...] = ()
    require: tuple[str, ...] = ()
    alpha: float = 0.05

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in ("order", "require", "alpha")}
        problems = [*_value_problems(values, _RULE)]
        if self.order == "lexicographic" and not self.objectives:
            problems.append(((), _UNORDERED))
        _refuse("selection rule", problems)


def _suite_problem(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "expected the name of a suite"


def _names_problem(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return "expected a list"
    return next((f"{name!r}: {problem}" for name in value if (problem := _suite_problem(name))), None)


def _number_problem(value: Any, below: float = math.inf) -> str | None:
    # A bool is an int to Python, and to nobody who writes a file.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < below:
        return None
    return "expected a number above 0" + (f" and below {below:g}" if below < math.inf else "")


def _order_problem(value: Any) -> str | None:
    return None if value in _ORDERS else f"expected {' or '.join(_ORDERS)}"


Check = Callable[[Any], "str | None"]
_OBJECTIVE: Mapping[str, Check] = {"suite": _suite_problem, "weight": _number_problem}
_RULE: Mapping[str, Check] = {
    "order": _order_problem,
    "require": _names_problem,
    "alpha": lambda value: _number_problem(value, below=0.5),
}


def _value_problems(values: Mapping[str, Any], checks: Mapping[str, Check]) -> Iterator[Problem]:
    for name, check in checks.items():
        if name in values and (problem := check(values[name])):
            yield (name,), problem


def _refuse(what: str, problems: Iterator[Problem] | Sequence[Problem]) -> None:
    texts = [": ".join((*map(str, path), text)) for path, text in problems]
    if texts:
        raise ConfigurationError(f"{what}: {'; '.join(texts)}")


def named_suites(rule: SelectionRule) -> tuple[str, ...]:
    """Return the suites that a rule names."""
    return (*(objective.suite for objective in rule.objectives), *rule.require)


def describe_rule(rule: SelectionRule) -> str:
    """Return a rule as one sentence's part, such as `weighted: json (2), chat; requires safety`."""
    parts = [
        one.suite + ("" if one.weight == 1.0 or rule.order == "lexicographic" else f" ({one.weight:g})")
        for one in rule.objectives
    ]
    how = f"{rule.order}: {', '.join(parts) or 'every suite alike'}"
    return how + (f"; requires {', '.join(rule.require)}" if rule.require else "")


def read_rule(gates: GateFile) -> SelectionRule:
    """Return the rule that a project's file declares, or the default one.

    Raises:
        ConfigurationError: Keys or values are wrong; one line for each, with the file and line.
    """
    section = gates.select
    if section is None:
        return SelectionRule()
    problems = sorted(_section_problems(section), key=lambda problem: gates.select_line(*problem[0]))
    if problems:
        lines = []
        for path, text in problems:
            name = ": ".join(("select", *filter(None, [".".join(map(str, path))])))
            lines.append(f"{gates.path}:{gates.select_line(*path)}: {name}: {text}")
        raise ConfigurationError("\n".join(lines))
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in section.items()
    }
    objectives = tuple(
        Objective(objective["suite"], float(objective.get("weight", 1.0)))
        for objective in section.get("objectives", ())
    )
    return SelectionRule(**{**values, "objectives": objectives})


def _section_problems(section: Any) -> Iterator[Problem]:
    """Yield all that is wrong with the section."""
    fields = [one.name for one in dataclasses.fields(SelectionRule)]
    if not isinstance(section, Mapping):
        yield (), f"expected a mapping of {', '.join(fields)}"
        return
    yield from _value_problems(section, _RULE)
    yield from _unknown_keys(section, fields)
    objectives = section.get("objectives", [])
    if not isinstance(objectives, (list, tuple)):
        yield ("objectives",), "expected a list"
        return
    for place, objective in enumerate(objectives):
        at = ("objectives", place)
        if not isinstance(objective, Mapping):
            yield at, "expected a mapping such as {suite: refunds, weight: 2}"
            continue
        if "suite" not in objective:
            yield (*at, "suite"), "is missing"
        problems = (*_value_problems(objective, _OBJECTIVE), *_unknown_keys(objective, list(_OBJECTIVE)))
        yield from (((*at, *path), text) for path, text in problems)
    if section.get("order") == "lexicographic" and not objectives:
        yield (), _UNORDERED


def _unknown_keys(section: Mapping[Any, Any], known: Sequence[str]) -> Iterator[Problem]:
    for key in section:
        if key not in known:
            yield (str(key),), f"unknown key{did_you_mean(str(key), known)}"


def objective_of(text: str) -> Objective:
    """Read `SUITE` or `SUITE=WEIGHT`.

    Raises:
        ConfigurationError: It is neither.
    """
    suite, equals, weight = text.rpartition("=")
    try:
        return Objective(suite, float(weight)) if equals else Objective(text)
    except (ConfigurationError, ValueError):
        raise ConfigurationError(
            f"--objective {text}: expected SUITE or SUITE=WEIGHT with a weight above 0"
        ) from None


def overridden(
    rule: SelectionRule, *, objectives: Sequence[str], require: Sequence[str], order: str | None
) -> SelectionRule:
    """Return the rule with what the command line says in place of what the file says.

    Raises:
        ConfigurationError: A value cannot be used.
    """
    if order not in (None, *_ORDERS):
        raise ConfigurationError(f"--order {order}: expected weighted or lexicographic")
    changed_order = order or rule.order
    changed_objectives = tuple(map(objective_of, objectives)) or rule.objectives
    if changed_order == "lexicographic" and not changed_objectives:
        raise ConfigurationError(f"--{_UNORDERED.replace('in objectives', 'with --objective')}")
    return dataclasses.replace(
        rule,
        order=changed_order,
        objectives=changed_objectives,
        require=tuple(require) or rule.require,
    )
