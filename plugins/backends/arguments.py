"""The `-M key=value` pairs that backends take: which keys there are, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from harness.errors import ConfigurationError
from harness.registry import did_you_mean

__all__ = ["boolean", "choice", "refuse_unknown", "seconds", "whole_number"]


def refuse_unknown(given: Mapping[str, str], known: Iterable[Mapping[str, str]]) -> None:
    """Refuse keys that no backend of the session knows.

    One mapping goes to every backend, so the check belongs to whoever knows them all: a key is wrong only
    if none of them takes it.

    Args:
        given: What the user typed.
        known: The `ARGUMENTS` (name → help) of each backend in use.

    Raises:
        ConfigurationError: Names every unknown key, and the keys that there are.
    """
    keys = sorted({key for arguments in known for key in arguments})
    unknown = [key for key in given if key not in keys]
    if unknown:
        named = ", ".join(f"{key!r}{did_you_mean(key, keys)}" for key in unknown)
        listed = ", ".join(keys) if keys else "none: these backends take no arguments"
        raise ConfigurationError(f"-M: unknown key {named}; known: {listed}")


def seconds(given: Mapping[str, str], key: str, default: float) -> float:
    """Return a duration in seconds, > 0 and finite.

    Raises:
        ConfigurationError: It is no such number.
    """
    text = given.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"-M {key}={text}: expected a number of seconds above 0, such as 60")
    return value


def whole_number(given: Mapping[str, str], key: str, default: int, *, least: int, most: int) -> int:
    """Return an integer in [least, most].

    Raises:
        ConfigurationError: It is no such number.
    """
    text = given.get(key)
    if text is None:
        return default
    # Only short strings of ASCII digits: int() also takes "1_000", "١" and a million digits.
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if value is None or not least <= value <= most:
        raise ConfigurationError(f"-M {key}={text}: expected a whole number from {least} to {most}")
    return value


def choice(given: Mapping[str, str], key: str, allowed: tuple[str, ...], default: str) -> str:
    """Return one of the allowed words.

    Raises:
        ConfigurationError: It is another word.
    """
    text = given.get(key, default)
    if text not in allowed:
        hint = did_you_mean(text, allowed)
        raise ConfigurationError(f"-M {key}={text}: expected one of {', '.join(allowed)}{hint}")
    return text


def boolean(given: Mapping[str, str], key: str, default: bool) -> bool:
    """Return a switch, written `true` or `false`.

    Raises:
        ConfigurationError: It is another word.
    """
    return choice(given, key, ("true", "false"), "true" if default else "false") == "true"
