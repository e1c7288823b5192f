"""How the best checkpoint is chosen: the `select` section of a project's gates, and its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from harness.errors import ConfigurationError
from harness.gate.policy_file import GateFile
from harness.registry import did_you_mean

__all__ = [
    "Objective",
    "SelectionRule",
    "described",
    "named_suites",
    "objective_of",
    "overridden",
    "read_rule",
]


_EXPECTED = {
    "tuple_type": "expected a list",
    "model_type": "expected a mapping such as {suite: refunds, weight: 2}",
}
_UNORDERED = "order: lexicographic goes by the first suite, then the next: name them in objectives, in order"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Objective(_Part):
    """A suite whose mean score counts, and how much."""

    suite: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class SelectionRule(_Part):
    """What is asked of the best checkpoint.

    Attributes:
        order: `weighted` ranks by the weighted mean; `lexicographic` by the first suite, then, among those
            not distinguishable there, by the next. That takes objectives: no other order is declared.
        objectives: The suites that count; all alike where none is named.
        require: Suites that must say PASS even if no candidate's run has them, such as safety.
        alpha: Level of the paired tests that say who is distinguishable from the choice.
    """

    order: Literal["weighted", "lexicographic"] = "weighted"
    objectives: Annotated[tuple[Objective, ...], Field(strict=False)] = ()
    require: Annotated[tuple[str, ...], Field(strict=False)] = ()
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05

    @model_validator(mode="after")
    def _is_ordered(self) -> SelectionRule:
        if self.order == "lexicographic" and not self.objectives:
            raise PydanticCustomError("unordered", "{said}", {"said": _UNORDERED})
        return self


def named_suites(rule: SelectionRule) -> tuple[str, ...]:
    """Return the suites that a rule names."""
    return (*(objective.suite for objective in rule.objectives), *rule.require)


def described(rule: SelectionRule) -> str:
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
    if gates.select is None:
        return SelectionRule()
    try:
        return SelectionRule.model_validate(gates.select)
    except ValidationError as error:
        found = error.errors(include_url=False)
    lines = []
    for problem in found:
        name = ": ".join(("select", *filter(None, [".".join(str(part) for part in problem["loc"])])))
        message = problem["msg"][:1].lower() + problem["msg"][1:]
        if problem["type"] == "extra_forbidden":
            known = Objective.model_fields if len(problem["loc"]) > 1 else SelectionRule.model_fields
            message = f"unknown key{did_you_mean(str(problem['loc'][-1]), tuple(known))}"
        if problem["loc"]:
            message = _EXPECTED.get(problem["type"], message)
        elif problem["type"] == "model_type":
            message = f"expected a mapping of {', '.join(SelectionRule.model_fields)}"
        line = gates.select_line(*problem["loc"])
        lines.append(f"{gates.path}:{line}: {name}: {message}")
    raise ConfigurationError("\n".join(lines))


def objective_of(text: str) -> Objective:
    """Read `SUITE` or `SUITE=WEIGHT`.

    Raises:
        ConfigurationError: It is neither.
    """
    suite, equals, weight = text.rpartition("=")
    try:
        return Objective(suite=suite, weight=float(weight)) if equals else Objective(suite=text)
    except ValueError:
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
    if order not in (None, "weighted", "lexicographic"):
        raise ConfigurationError(f"--order {order}: expected weighted or lexicographic")
    changes: dict[str, object] = {}
    if objectives:
        changes["objectives"] = tuple(objective_of(text) for text in objectives)
    if require:
        changes["require"] = tuple(require)
    if order is not None:
        changes["order"] = order
    changed = rule.model_copy(update=changes)
    if changed.order == "lexicographic" and not changed.objectives:
        raise ConfigurationError(f"--{_UNORDERED.replace('in objectives', 'with --objective')}")
    return changed
