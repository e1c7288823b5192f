"""Find what plugs in from outside, by entry point. Nothing here imports a plugin until it is asked for."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.errors import ConfigurationError, MissingDependencyError

__all__ = ["BACKENDS", "WORKERS", "did_you_mean", "extra_of", "load_adapter", "names", "registered"]

BACKENDS = "harness.backends"
WORKERS = "harness.workers"
"""Entry-point group of what spreads a backend over several processes; built with the backend's name, the
backend, its options and the number of replicas (None for as many as there are devices); is a `Backend`."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known word, or the empty string."""
    import difflib  # a session without a slip needs no list of near words

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def extra_of(module: str | None) -> str | None:
    """Return the extra of this distribution that brings a module; None where none does, or it is unknown.

    The extra is named that asks for the package itself; among several, the first in the alphabet.
    """
    from importlib.metadata import PackageNotFoundError, requires

    package = (module or "").partition(".")[0].replace("_", "-").lower()
    try:
        requirements = requires("checkpoint-harness") or []
    except PackageNotFoundError:
        return None
    extras = []
    for line in requirements:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].replace("_", "-").lower()
        extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", line)
        if extra is not None and name == package:
            extras.append(extra.group(1))
    return min(extras, default=None)


def registered(group: str) -> tuple[EntryPoint, ...]:
    """Return what installed distributions register in an entry-point group."""
    return tuple(_all_registered(tuple(sys.path)).select(group=group))


@functools.lru_cache(maxsize=1)
def _all_registered(path: tuple[str, ...]) -> Any:
    """Read what every distribution on a search path registers, once: it means to open a file of each."""
    return entry_points()


def names(group: str) -> tuple[str, ...]:
    """Return the names registered in an entry-point group, sorted."""
    return tuple(sorted({entry.name for entry in registered(group)}))


def load_adapter(group: str, name: str) -> Any:
    """Import and return what is registered as `name` in an entry-point group.

    Raises:
        ConfigurationError: Nothing is registered under that name, or two distributions both claim it.
        MissingDependencyError: Its optional dependency is not installed.
    """
    found = [entry for entry in registered(group) if entry.name == name]
    if not found:
        known = names(group)
        raise ConfigurationError(
            f"no {name!r} is registered under {group}{did_you_mean(name, known)}; known: {', '.join(known)}"
        )
    if len({entry.value for entry in found}) > 1:
        claims = " and ".join(sorted(entry.value for entry in found))
        raise ConfigurationError(f"{name!r} is registered twice under {group}: {claims}; uninstall one")
    try:
        return found[0].load()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("harness"):
            raise
        raise MissingDependencyError(error.name, extra=name) from error
