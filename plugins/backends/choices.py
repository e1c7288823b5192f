"""The choices of a completion by their index: servers need not send them in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .asking import UnavailableError, UnreadableError
from .wire import one_line

__all__ = ["choices_by_index"]


def choices_by_index(completion: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return the choices of a chat or text completion by index. A single one may go without.

    Raises:
        UnavailableError: There are none.
        UnreadableError: An index is missing, no whole number ≥ 0, or there twice.
    """
    choices = completion.get("choices")
    if (
        not isinstance(choices, list)
        or not choices
        or not all(isinstance(choice, dict) for choice in choices)
    ):
        raise UnavailableError("answered 200 without choices; is the base URL right?")
    placed: dict[int, Mapping[str, Any]] = {}
    for choice in choices:
        index = choice.get("index")
        if index is None and len(choices) == 1:
            index = 0
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise UnreadableError(f"a choice has the index {one_line(repr(index), 40)}: expected 0, 1, 2 …")
        if index in placed:
            raise UnreadableError(f"two choices have the index {index}")
        placed[index] = choice
    return placed
