"""The signatures of `harness.scoring.scorers` as a stub, which `setup.py` puts beside the module in a wheel.

It is read from the text of the check modules and imports none of them: where a wheel is built, nothing that
they need is installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files

from harness.scoring.built_in import BUILT_IN

__all__ = ["scorers_stub"]


def scorers_stub() -> str:
    """Return the text of `scorers.pyi`: each factory imported under the name of its check."""
    lines = []
    for module in sorted(set(BUILT_IN.homes.values())):
        package, _, file_name = module.rpartition(".")
        source = (files(package) / f"{file_name}.py").read_text(encoding="utf-8")
        names = (name if name == factory else f"{factory} as {name}" for name, factory in _factories(source))
        lines.append(f"from {module} import {', '.join(names)}")
    return "\n".join([*lines, "", f"__all__ = {sorted(BUILT_IN)!r}", ""])


def _factories(source: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each check that a module declares, and the name of the function that makes it."""
    functions = (statement for statement in ast.parse(source).body if isinstance(statement, ast.FunctionDef))
    for function in functions:
        for decorator in function.decorator_list:
            match decorator:
                case ast.Call(func=ast.Name("declare_check"), args=[ast.Constant(str(name))]):
                    yield name, function.name
