"""Private names of other packages are used in their guarded modules alone, and each is declared there."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_architecture import modules

WALLS = (
    "harness.plugins.lm_eval.task_internals",
    "harness.plugins.pytest_internals",
    "harness.upstream.torch_internals",
    "harness.upstream.trainer_internals",
    "harness.upstream.transformers_internals",
)
"""The only modules that may use a private name, and only one that they declare."""

GUARDED = (
    "accelerate",
    "argparse",
    "lm_eval",
    "peft",
    "pluggy",
    "pytest",
    "torch",
    "transformers",
    "trl",
    "xdist",
)
DOCUMENTED = {
    "lm_eval.__main__",  # the command
    "lm_eval.api.instance",
    "lm_eval.api.model",
    "lm_eval.api.registry",
    "lm_eval.models",
    "lm_eval.tasks",
    "transformers.utils.logging",
}
"""Modules below a package's own that its documentation sends people to."""

_PRIVATE = re.compile(r"_[a-zA-Z]\w*")
_ASKS_BY_NAME = {"attrgetter", "delattr", "getattr", "hasattr", "methodcaller", "setattr"}
_ASKS_FOR_PLUGIN = {"get_plugin", "getplugin", "has_plugin", "hasplugin"}
_DOCUMENTED_THOUGH = {"os._exit"}


@dataclass(frozen=True)
class Use:
    """A private name of another package, where it is used."""

    line: int
    name: str


def uses(tree: ast.Module) -> Iterator[Use]:
    """Yield every use of what may be a private name of another package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _imported(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from _imported(node.lineno, str(node.module))
            if str(node.module).partition(".")[0] not in ("__future__", "harness"):
                yield from (Use(node.lineno, alias.name) for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_own(node):
            yield Use(node.lineno, node.attr)
        elif isinstance(node, ast.Call):
            yield from _asked_for(node)
        elif isinstance(node, ast.ClassDef) and _is_foreign(node, tree):
            yield from _overridden(node)


def _is_private(name: str) -> bool:
    return _PRIVATE.fullmatch(name) is not None


def _imported(line: int, module: str) -> Iterator[Use]:
    package = module.partition(".")[0]
    if package == "_pytest" or (package in GUARDED and module != package and module not in DOCUMENTED):
        yield Use(line, module)


def _is_own(node: ast.Attribute) -> bool:
    """Whether it is an attribute of the class around it; see `_overridden` for those of its base."""
    return ast.unparse(node) in _DOCUMENTED_THOUGH or (
        isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    )


def _asked_for(node: ast.Call) -> Iterator[Use]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    for text in texts:
        if called == "import_module":
            yield from _imported(node.lineno, text)
        elif called in _ASKS_FOR_PLUGIN and not text.startswith("harness"):
            yield Use(node.lineno, text)
        elif called in _ASKS_BY_NAME:
            yield from (Use(node.lineno, part) for part in text.split(".") if _is_private(part))


def _is_foreign(node: ast.ClassDef, tree: ast.Module) -> bool:
    """Whether a class is derived from one that was fetched out of a guarded package."""
    fetched = set()
    for other in ast.walk(tree):
        if isinstance(other, ast.ImportFrom) and str(other.module).partition(".")[0] in GUARDED:
            fetched |= {alias.asname or alias.name for alias in other.names}
        elif isinstance(other, ast.AnnAssign | ast.Assign) and other.value is not None:
            text = ast.unparse(other.value)
            names = [other.target] if isinstance(other, ast.AnnAssign) else other.targets
            if "import_module(" in text or "guarded_trainer(" in text or text.partition(".")[0] in GUARDED:
                fetched |= {ast.unparse(name) for name in names}
    return any(ast.unparse(base).partition("[")[0] in fetched for base in node.bases)


def _overridden(node: ast.ClassDef) -> Iterator[Use]:
    """Yield the private methods that a class has, and what it takes of its base without having made it."""
    methods = {item.name: item.lineno for item in node.body if isinstance(item, ast.FunctionDef)}
    made = {
        target.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Assign | ast.AnnAssign)
        for bound in (part.targets if isinstance(part, ast.Assign) else [part.target])
        for target in ast.walk(bound)
        if isinstance(target, ast.Attribute)
    }
    taken = {
        part.attr: part.lineno
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and _is_private(part.attr) and ast.unparse(part.value) == "self"
    }
    called = {name for name in taken if name in methods}  # by our own methods: ours
    for name, line in {**taken, **methods}.items():
        if _is_private(name) and name not in made and name not in called:
            yield Use(line, name)


def declared(module: str) -> set[str]:
    """Return each part of the names that a guarded module declares."""
    names = importlib.import_module(module).NAMES
    return {part for name in names for part in (*name.owner.split("."), *name.name.split("."), name.owner)}


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_private_names_stay_behind_their_walls(module: str, path: Path) -> None:
    allowed = declared(module) if module in WALLS else set()
    found = [use for use in uses(ast.parse(path.read_text(encoding="utf-8"))) if use.name not in allowed]
    where = (
        "is not among the NAMES of this guarded module" if module in WALLS else "belongs into a guarded one"
    )
    assert not found, "; ".join(f"{path.name}:{use.line}: {use.name} {where}" for use in found)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from _pytest.runner import runtestprotocol", "_pytest.runner"),
        ("import _pytest.logging", "_pytest.logging"),
        ("def f():\n    from transformers.modeling_utils import anything", "transformers.modeling_utils"),
        ("import torch._C", "torch._C"),
        ("from torch import _dynamo", "_dynamo"),
        ("import torch\ntorch.ops.aten._scaled(1)", "_scaled"),
        ("item._request = False", "_request"),
        ("super()._get_grad_norm(1)", "_get_grad_norm"),
        ("getattr(item, '_fixtureinfo', None)", "_fixtureinfo"),
        ("operator.attrgetter('session._setupstate.stack')", "_setupstate"),
        ("config.pluginmanager.has_plugin('dsession')", "dsession"),
        ("import_module('trl.trainer.sft_trainer')", "trl.trainer.sft_trainer"),
        ("from trl import SFTTrainer\nclass A(SFTTrainer):\n    def _load(self): ...", "_load"),
        ("B: Any = import_module('trl').B\nclass A(B):\n    def f(self): self._metrics.clear()", "_metrics"),
    ],
)
def test_every_kind_of_use_is_seen(code: str, name: str) -> None:
    assert [use.name for use in uses(ast.parse(code))] == [name]


def test_what_is_ours_or_documented_is_let_be() -> None:
    code = """
import os
from harness.engine.cache import _thing
from transformers.utils import logging
from . import _beside
import transformers.utils.logging
from trl import SFTTrainer

class Own:
    def _step(self): return self._state

class A(SFTTrainer):
    def __init__(self): self._made = 1
    def train(self): return self._made, self._own()
    def _own(self): ...

os._exit(0)
config.pluginmanager.get_plugin("harness-activity")
"""
    found = {use.name for use in uses(ast.parse(code))}
    assert found == {"transformers.utils"}  # the way to a documented module is by its whole name


def test_each_declared_name_says_what_happens_without_it() -> None:
    for module in WALLS:
        names = importlib.import_module(module).NAMES
        assert len(set(map(str, names))) == len(names)
        for name in names:
            assert bool(name.without) != bool(name.guards), f"{module}: {name}"
