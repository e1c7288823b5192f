"""Whether the model that a server says has answered is the one that was asked.

A server may fall back to another model without a word: the base instead of an adapter, last year's version, a
cheaper one. Its answers name the model; a name stands for the one that was asked where it

- is the same, whatever the case of its letters;
- is a part of the other's path (`org/name` and `name`), less `.gguf` and Ollama's `:latest`;
- goes on with a date or a version where the asked one ends, or ends with `-latest`: `gpt-x` and
  `gpt-x-2026-08-06`, `name-latest` and `name-2608`, `name` and `name-002`;
- was said to be by the user (`-M answers_as=ASKED=ANSWERED`).

Any other name is another model's. One that pins a version is never that of a server's unversioned answer.
"""

from __future__ import annotations

import re

from harness.errors import ConfigurationError

from .asking import UnreadableError
from .endpoint import ServedModel
from .wire import one_line

__all__ = ["is_same_model", "read_aliases", "require_model"]

_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_VERSION = re.compile(rf"[-@:.](?:(?:20\d\d)(?:-?{_MONTH}-?{_DAY})|{_MONTH}-?{_DAY}|2[3-9]{_MONTH}|00\d)")
"""The date (2026-08-06, 20260806, 0806, 08-06, 2608) or version (002) at the end of a name."""


def require_model(asked: ServedModel, answered: str | None) -> None:
    """Refuse an answer of another model than the one that was asked.

    Args:
        asked: Whom the request went to.
        answered: The name in the answer; None or empty where it says none.

    Raises:
        UnreadableError: The name is another model's; says how to tell that it is not.
    """
    if not answered or answered in asked.also_called or is_same_model(asked.model, answered):
        return
    name = one_line(answered, 100)
    raise UnreadableError(
        f"{name!r} has answered, as the server says, and {asked.model!r} was asked; if the two are one "
        f"model, say so: -M answers_as={asked.model}={name}"
    )


def is_same_model(asked: str, answered: str) -> bool:
    """Whether two names stand for one model, by the rules above."""
    ours, theirs = _path(asked), _path(answered)
    shorter = min(len(ours), len(theirs))
    if ours[-shorter:-1] != theirs[-shorter:-1]:
        return False
    name, other = ours[-1], theirs[-1]
    if name == other:
        return True
    stem = name.removesuffix("-latest")
    return bool(stem) and other.startswith(stem) and _VERSION.fullmatch(other[len(stem) :]) is not None


def read_aliases(text: str) -> dict[str, tuple[str, ...]]:
    """Read the value of `-M answers_as`: the name a model is asked by → those that answers may give it.

    Raises:
        ConfigurationError: It is not `ASKED=ANSWERED`, several of them with commas between.
    """
    aliases: dict[str, tuple[str, ...]] = {}
    for pair in filter(str.strip, text.split(",")):
        asked, equals, answered = (part.strip() for part in pair.partition("="))
        if not (asked and equals and answered) or "=" in answered:
            raise ConfigurationError(
                f"-M answers_as={text}: expected ASKED=ANSWERED, several of them with commas between"
            )
        aliases[asked] = (*aliases.get(asked, ()), answered)
    return aliases


def _path(name: str) -> list[str]:
    spelled = name.strip().casefold().removesuffix(":latest").removesuffix(".gguf")
    return [part for part in spelled.split("/") if part] or [""]
