"""A name of another package that its documentation does not promise, and what is done where it has gone.

Any release may rename such a name. So all of them are declared in one module for each package, which looks
for them before the first use. Where one is missing there are two ways on: the plain path, with a warning; or,
where the name is part of a safeguard, a refusal that names it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import operator
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import IncompatibleLibraryError

__all__ = ["PrivateName", "lost_safeguard", "missing_names", "refuse_without", "warning_lines"]

_DISTRIBUTIONS = {"_pytest": "pytest"}
"""The package that has a module, where it is called otherwise."""


@dataclass(frozen=True)
class PrivateName:
    """A name that no release has to keep.

    Attributes:
        owner: What has it: a module, as it is imported, or a class or plugin of a package.
        name: How the owner calls it; with dots where it is reached through others.
        without: What is done where it is missing, as the second half of a sentence.
        guards: What would no longer be guarded without it; such a name has no plain path.
    """

    owner: str
    name: str
    without: str = ""
    guards: str = ""
    _get: operator.attrgetter[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_get", operator.attrgetter(self.name))

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    def of(self, owner: object) -> Any:
        """Return what it stands for on this object; None where it is not there."""
        try:
            return self._get(owner)
        except AttributeError:
            return None

    def load(self) -> Any:
        """Return what it stands for in the module that owns it; None where either is not there."""
        return self.of(self._module())

    def is_missing(self, owners: Mapping[str, object]) -> bool:
        """Whether its owner, one of these objects or else a module, does not have it.

        What stands there as None is an owner that is not there to be looked at.
        """
        owner = owners[self.owner] if self.owner in owners else self._module()
        if owner is None:
            return self.owner not in owners
        try:
            self._get(owner)
        except AttributeError:
            return True
        return False

    def _module(self) -> object:
        try:
            return importlib.import_module(self.owner)
        except ImportError:
            return None

    @property
    def package(self) -> str:
        """The package that it belongs to, with its version."""
        first = self.owner.partition(".")[0]
        name = _DISTRIBUTIONS.get(first, first)
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:  # a module of Python's own
            return f"Python {platform.python_version()}"


def missing_names(
    names: Iterable[PrivateName], owners: Mapping[str, object] | None = None
) -> tuple[PrivateName, ...]:
    """Return those that the installed packages do not have.

    Args:
        names: What to look for.
        owners: The objects behind owners that are no modules; one that is None is not there to be looked at,
            such as a plugin that was switched off.
    """
    return tuple(name for name in names if name.is_missing(owners or {}))


def refuse_without(missing: Iterable[PrivateName]) -> None:
    """Go no further where a safeguard has lost a name that it needs.

    Raises:
        IncompatibleLibraryError: Names each of them, and what it guards.
    """
    lost = [name for name in missing if name.guards]
    if lost:
        raise lost_safeguard(lost)


def lost_safeguard(lost: Iterable[PrivateName]) -> IncompatibleLibraryError:
    """Return the error that names are gone, or no longer used, which guard something."""
    from harness.errors import IncompatibleLibraryError  # every pytest session loads this module

    what = "; ".join(f"{name.package} has no {name}, by which {name.guards}" for name in lost)
    return IncompatibleLibraryError(
        f"{what}. Nothing is run without it: install the release that constraints.txt names, or a newer "
        "checkpoint-harness"
    )


def warning_lines(missing: Iterable[PrivateName]) -> tuple[str, ...]:
    """Say of each missing name what is done without it."""
    return tuple(
        f"{name.package} has no {name} as it is used here: {name.without}"
        for name in missing
        if not name.guards
    )
