"""Who may import whom, what importing costs, and what is public."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "harness": ROOT / "harness",
    "harness.plugins": ROOT / "plugins",
    "harness.suites": ROOT / "suites",
}
# Rooms from the ground up: a module imports its own room and those on lower lines, never one on its own line
# or above. `train` may also use the layers of `inference` that a forward pass of training shares.
LAYERS = [
    {"errors", "exit_codes", "likelihood", "clock", "declarations"},
    {"upstream"},
    {"cases"},
    {"case_result", "files", "protocols", "registry"},
    {"sandbox", "stats", "checkpoints", "numerics"},
    {"scoring", "project"},
    {"golden_sets", "judging", "engine", "data"},
    {"interchange", "inference", "conformance"},
    {"gate", "train"},
    {"runs"},
    {"evaluation"},
    {"report"},
    {"nightly"},
    {"cli"},
]
PLUGIN_LAYERS = [
    {"pytest_internals"},
    {"session"},
    {"backends", "deciding", "lm_eval", "running", "workers"},
    {"hooks"},
    {"start"},
    {"gate_plan"},
    {"pytest_plugin"},
]
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "datasets",
    "accelerate",
    "pandas",
    "pyarrow",
    "openai",
    "anthropic",
)
HEAVY_BUT_USED = ("matplotlib", "scipy.stats", "statsmodels", "arro3", "rich", "pydantic", "typer", "numpy")

LIBRARIES = ("asyncio", "filelock", "numpy", "pydantic", "pytest", "rich.console", "tenacity", "typer")

PLUGIN = (
    "plugins",
    "plugins.pytest_internals",
    "plugins.pytest_plugin",
    "plugins.running",
    "plugins.running.fixtures",
    "plugins.session",
    "plugins.session.options",
    "plugins.session.stash",
    "upstream",
    "upstream.private_name",
)


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder).with_suffix("")
            parts = [part for part in relative.parts if part != "__init__"]
            yield ".".join([package, *parts]), path


def imports(path: Path, module: str) -> Iterator[str]:
    """Yield the harness modules that a file imports at runtime, also inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            yield f"{base}.{node.module}" if node.level else str(node.module)


def room(module: str) -> str | None:
    """Return the room of a harness module: the first name below `harness`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "harness" and len(parts) > 1 else None


def level(name: str, layers: Sequence[Collection[str]] = LAYERS) -> int:
    levels = [index for index, rooms in enumerate(layers) if name in rooms]
    assert levels, f"{name} stands in no layer: give it a place in LAYERS and docs/architecture.md"
    return levels[0]


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_arrows_go_one_way(module: str, path: Path) -> None:
    own = room(module)
    for imported in imports(path, module):
        other = room(imported)
        if other is None or own is None or other == own:
            continue
        if own == "plugins":
            assert other not in ("suites", "golden", "cli"), f"{module} imports {imported}"
        elif own == "suites":
            assert imported == "harness", f"{module} imports {imported}: suites import harness only"
        else:
            assert other not in ("plugins", "suites", "golden"), f"{module} imports {imported}"
            if (own, other) != ("train", "inference"):
                assert level(other) < level(own), f"{module} imports {imported}, which stands no lower"


def test_arrows_between_rooms_make_no_circle() -> None:
    """Print the arrows (`pytest -s -k circle`): each room with those that it imports, lowest first."""
    arrows: dict[str, Counter[str]] = {}
    for module, path in modules():
        own = room(module)
        for imported in imports(path, module):
            other = room(imported)
            if own is not None and other is not None and own != other:
                arrows.setdefault(own, Counter())[other] += 1
    order = graphlib.TopologicalSorter(arrows).static_order()  # raises on a circle
    for name in order:
        print(f"{name} -> {', '.join(f'{other} {n}' for other, n in sorted(arrows.get(name, {}).items()))}")
    assert arrows


def test_rooms_of_the_plugin_go_one_way() -> None:
    for module, path in modules():
        own = module.split(".")[2:3] if module.startswith("harness.plugins.") else []
        for imported in imports(path, module):
            other = imported.split(".")[2:3] if imported.startswith("harness.plugins.") else []
            if own and other and own != other:
                assert level(other[0], PLUGIN_LAYERS) < level(own[0], PLUGIN_LAYERS), (
                    f"{module} imports {imported}, which stands no lower"
                )


def test_training_and_evaluation_do_not_know_each_other() -> None:
    evaluation = {"engine", "gate", "golden_sets", "judging", "runs", "scoring", "stats"}
    training = {"train", "data"}
    for module, path in modules():
        own = room(module)
        # What models write, calls and thoughts, is read alike in answers and in training rows.
        needed = [
            imported for imported in imports(path, module) if not imported.startswith("harness.scoring.text.")
        ]
        others = {room(imported) for imported in needed}
        if own in training:
            assert not others & evaluation, f"{module} imports {others & evaluation}"
        if own in evaluation:
            assert not others & training, f"{module} imports {others & training}"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="imports each module in a forked child")
def test_every_module_imports_alone_and_light() -> None:
    """Each in a fresh process, with warnings as errors, and no heavy library."""
    names = [name for name, _ in modules() if not name.endswith("__main__")]
    code = f"""
import importlib, os, sys, warnings
for name in {names!r}:
    child = os.fork()
    if child == 0:
        warnings.simplefilter("error")
        try:
            importlib.import_module(name)
        except BaseException as error:
            if type(error).__name__ != "MissingDependencyError":  # it names the extra
                print(name, "does not import alone:", repr(error), flush=True)
            os._exit(0)
        heavy = sorted(set({HEAVY!r}) & set(sys.modules))
        if heavy:
            print(name, "imports", heavy, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


WINDOWS_LACKS = {
    "modules": ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"),
    "os": ("fork", "geteuid", "getpgrp", "getuid", "killpg", "mkfifo", "setsid", "tcgetpgrp", "uname"),
    "signal": ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGXCPU", "alarm", "setitimer"),
}


def test_every_module_imports_without_what_windows_lacks() -> None:
    """It is hidden once the libraries that we import are loaded: theirs is their own matter."""
    names = [name for name, _ in modules() if not name.endswith("__main__")]
    code = f"""
import importlib, os, signal, sys
libraries = {LIBRARIES!r}
for name in libraries:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        pass  # of an extra
lacks = {WINDOWS_LACKS!r}
sys.modules.update(dict.fromkeys(lacks["modules"]))
for module in (os, signal):
    for name in lacks[module.__name__]:
        delattr(module, name)
sys.platform = "win32"
for name in {names!r}:
    try:
        importlib.import_module(name)
    except BaseException as error:
        if type(error).__name__ != "MissingDependencyError":
            print(name, repr(error))
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_plugin_costs_an_unrelated_session_nothing() -> None:
    code = f"""
import sys
import pytest
before = set(sys.modules)
import harness.plugins.pytest_plugin
ours = sorted(name for name in set(sys.modules) - before if name.startswith("harness"))
foreign = sorted(name for name in {HEAVY + HEAVY_BUT_USED!r} if name in sys.modules and name not in before)
print(*ours, *foreign)
"""
    expected = ["harness", *(f"harness.{module}" for module in PLUGIN)]
    assert run(code).stdout.split() == expected


def test_the_public_surface_is_what_it_says() -> None:
    assert list(harness.__all__) == sorted(harness.__all__)
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    public = {name for name in dir(harness) if not name.startswith("_")}
    assert public == set(harness.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'gate_everything'"):
        _ = harness.gate_everything  # type: ignore[attr-defined]
