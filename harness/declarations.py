"""What the modules of a package declare, by name: declared where it is written, and listed nowhere else.

A check of answers or a format of golden sets stands in one module and says its name there. Which module
declares which name is read from the text of the modules, at first use and without importing them: all of them
together take longer to import than a rerun of a suite takes, and a suite uses a few.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from types import ModuleType
from typing import Generic, TypeVar

__all__ = ["Declarations"]

Declared = TypeVar("Declared")


class Declarations(Mapping[str, Declared], Generic[Declared]):
    """What a package declares, by name; a module is imported when a name of it is asked for.

    Args:
        package: The package, by its full name; its subpackages count too.
        opening: Regular expression of how a declaration begins at the start of a line, up to its name, which
            stands in double quotes: `@declare_check` with its bracket, say.
        declared_in: Returns what a module declares, by name, once it is imported.
    """

    def __init__(
        self, package: str, opening: str, declared_in: Callable[[ModuleType], Mapping[str, Declared]]
    ) -> None:
        self._package = package
        self._opening = re.compile(rf'^{opening}\s*"([^"]+)"'.encode(), re.MULTILINE)
        self._declared_in = declared_in
        self._imported: dict[str, Declared] = {}

    @cached_property
    def homes(self) -> Mapping[str, str]:
        """The full name of the module that declares each name."""
        homes: dict[str, str] = {}
        for module, names in self._named_in(self._package):
            for name in names:
                if homes.setdefault(name, module) != module:
                    raise ValueError(f"{name!r} is declared twice: in {homes[name]} and in {module}")
        return homes

    def _named_in(self, package: str) -> Iterator[tuple[str, list[str]]]:
        """Yield each module of a package, and the names that it declares."""
        path = importlib.import_module(package).__path__
        sources = files(package)
        for found in pkgutil.iter_modules(path):
            module = f"{package}.{found.name}"
            if found.ispkg:
                yield from self._named_in(module)
                continue
            source = sources / f"{found.name}.py"
            if source.is_file():
                yield module, [name.decode() for name in self._opening.findall(source.read_bytes())]
            else:  # installed without its sources: slower, and as right
                yield module, list(self._declared_in(importlib.import_module(module)))

    def __getitem__(self, name: str) -> Declared:
        if name not in self._imported:
            self._imported |= self._declared_in(importlib.import_module(self.homes[name]))
        return self._imported[name]

    def __contains__(self, name: object) -> bool:
        return name in self.homes

    def __iter__(self) -> Iterator[str]:
        return iter(self.homes)

    def __len__(self) -> int:
        return len(self.homes)
