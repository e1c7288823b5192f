"""Which packages a test module needs before its first test runs: read from its imports, never kept by hand.

What it imports at its top counts, and what the modules that it imports of ours import at theirs. Imports
inside functions, under `if` or in `try` do not: whoever writes those says himself what happens without.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PACKAGES = {
    "harness.plugins": ROOT / "plugins",
    "harness.suites": ROOT / "suites",
    "harness.golden": ROOT / "golden",
    "harness": ROOT / "harness",
    "tests": TESTS,
}
"""Where our packages lie, the longest names first."""


def absent_packages(modules: Collection[Path]) -> dict[Path, list[str]]:
    """Return the modules that cannot be imported here, each with the packages that are not installed."""
    needed = {path: needed_packages(path) for path in modules}
    absent = {
        path: sorted(name for name in names if not is_installed(name)) for path, names in needed.items()
    }
    return {path: names for path, names in absent.items() if names}


def summary(absent: Mapping[Path, Collection[str]]) -> str:
    """Say in one line what is not run for want of packages."""
    counts = Counter(name for names in absent.values() for name in names)
    packages = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
    return f"{len(absent)} test modules are left out, whose packages are not installed: {packages}"


@functools.cache
def is_installed(package: str) -> bool:
    """Whether a top-level package can be imported, without importing it."""
    return find_spec(package) is not None


def needed_packages(path: Path) -> set[str]:
    """Return the top-level packages of others that importing a file imports."""
    needed: set[str] = set()
    pending, seen = [path], set[Path]()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for module in imports_at_the_top(current):
            files = list(own_files(module))
            pending += files
            top = module.partition(".")[0]
            if not files and top not in sys.stdlib_module_names and top != "harness":
                needed.add(top)
    return needed


@functools.cache
def imports_at_the_top(path: Path) -> tuple[str, ...]:
    """Return the modules that a file imports unconditionally, with absolute names.

    A name that is taken from a package is yielded as its submodule, too: it may be one.
    """
    modules: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = package_of(path).split(".")
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            modules.append(base)
            modules += [
                f"{base}.{alias.name}" for alias in node.names if list(own_files(f"{base}.{alias.name}"))
            ]
    return tuple(modules)


def package_of(path: Path) -> str:
    """Return the package that a file of ours belongs to."""
    for name, folder in PACKAGES.items():
        if path.is_relative_to(folder):
            return ".".join([name, *path.relative_to(folder).parent.parts])
    raise ValueError(f"{path} is no file of ours")


def own_files(module: str) -> Iterator[Path]:
    """Yield the file of a module of ours and those of the packages around it; nothing for another's."""
    package = next((name for name in PACKAGES if module == name or module.startswith(f"{name}.")), None)
    if package is None:  # the tests' own modules are imported by their bare names
        place, files = TESTS, []
    else:
        place, files = PACKAGES[package], [PACKAGES[package] / "__init__.py"]
        module = module.removeprefix(package).removeprefix(".")
    for part in filter(None, module.split(".")):
        place = place / part
        files += [place / "__init__.py", place.with_suffix(".py")]
    if not module or place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
        yield from (file for file in files if file.is_file())
