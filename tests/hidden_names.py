"""Take a private name away from the guarded modules, as an upstream release would."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from harness.upstream.private_name import PrivateName

__all__ = ["hidden"]


@contextmanager
def hidden(name: PrivateName) -> Iterator[None]:
    """Let no guarded module find a name inside the block; the package itself has it, and goes on working."""
    is_missing, of = PrivateName.is_missing, PrivateName.of

    def is_hidden(self: PrivateName, owners: Mapping[str, object]) -> bool:
        if self == name:
            return owners.get(self.owner, self) is not None  # what is switched off has no names to miss
        return is_missing(self, owners)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrivateName, "is_missing", is_hidden)
        patch.setattr(PrivateName, "of", lambda self, owner: None if self == name else of(self, owner))
        try:
            _forget()
            yield
        finally:
            _forget()


def _forget() -> None:
    """Look for the names of a process anew."""
    for module in [module for name, module in sys.modules.items() if name.startswith("harness.upstream.")]:
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
