"""The `-M key=value` pairs that backends take: which keys there are, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.errors import ConfigurationError
from harness.registry import did_you_mean

__all__ = ["choice", "own", "refuse_unknown", "seconds", "whole_number"]


def refuse_unknown(given: Mapping[str, str], known: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse keys that no backend of the session takes.

    One mapping goes to every backend, so the check belongs to whoever knows them all. A key may carry the
    name of the backend that it is for: `-M openai.timeout=30`.

    Args:
        given: What the user typed.
        known: The `ARGUMENTS` (key → help) of each backend in use, by the backend's name.

    Raises:
        ConfigurationError: Names every unknown key, and the keys that there are.
    """
    keys = sorted({key for arguments in known.values() for key in arguments})
    scoped = {f"{backend}.{key}" for backend, arguments in known.items() for key in arguments}
    unknown = [key for key in given if key not in keys and key not in scoped]
    if unknown:
        named = ", ".join(f"{key!r}{did_you_mean(key, [*keys, *sorted(scoped)])}" for key in unknown)
        listed = ", ".join(keys) if keys else f"{', '.join(sorted(known))} take no arguments"
        raise ConfigurationError(f"-M: unknown key {named}; known: {listed}")


def own(given: Mapping[str, str], backend: str) -> dict[str, str]:
    """Return the arguments of one backend: the plain keys, overridden by those that carry its name."""
    prefix = f"{backend}."
    plain = {key: value for key, value in given.items() if "." not in key}
    named = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    return plain | named


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
