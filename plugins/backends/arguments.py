"""The `-M key=value` pairs that backends take: whose they are, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.errors import ConfigurationError
from harness.registry import did_you_mean

__all__ = ["choice", "own", "seconds", "whole_number"]


def own(given: Mapping[str, str], backend: str) -> dict[str, str]:
    """Return the arguments of one backend: the plain keys, overridden by those that carry its name.

    One mapping goes to every backend of a session; the engine refuses keys that none of them takes.
    """
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
