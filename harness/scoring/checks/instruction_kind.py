"""What a verifiable instruction is: an id, its arguments, and a test of a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COUNT", "RELATION", "STRING", "InstructionKind", "holds"]

COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
RELATION: Mapping[str, Any] = {"type": "string", "enum": ["less than", "at least"]}
STRING: Mapping[str, Any] = {"type": "string", "minLength": 1}


def _ready(arguments: Mapping[str, Any]) -> None:
    """Do nothing: most kinds need no optional package."""


@dataclass(frozen=True)
class InstructionKind:
    """A kind of instruction that a program can verify.

    Attributes:
        id: Its name in IFEval, such as `keywords:existence`.
        follows: Whether a text follows it, given the arguments by name.
        arguments: JSON Schema of each argument; all must be given.
        final: Given the arguments, whether a text that follows it still does when more is added, so that an
            answer that was cut off can be judged.
        ready: Given the arguments, raises `MissingDependencyError` where its optional package is not
            installed, or `ValueError` where they ask for what it cannot do.
    """

    id: str
    follows: Callable[..., bool]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    final: Callable[[Mapping[str, Any]], bool] = lambda arguments: False
    ready: Callable[[Mapping[str, Any]], None] = _ready

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the arguments together."""
        return {
            "type": "object",
            "properties": dict(self.arguments),
            "required": list(self.arguments),
            "additionalProperties": False,
        }


def holds(count: int, relation: str, threshold: int) -> bool:
    """Whether a count is `less than` or `at least` a threshold."""
    return count < threshold if relation == "less than" else count >= threshold
