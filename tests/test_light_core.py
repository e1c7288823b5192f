"""What a core install can do: run here with every package hidden that the core does not bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distribution, distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SUITE = """
import pytest
import harness

@pytest.mark.suite("sums")
def test_sums(case, response):
    harness.check(case, response)
"""


def brought_by(requirements: Sequence[str]) -> set[str]:
    """Names of the distributions that installing these brings, here."""
    pending, seen = list(requirements), set[str]()
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and name not in seen:
            seen.add(name)
            pending += distribution(name).requires or []
    return seen


def hidden_modules() -> list[str]:
    """Top-level modules that are installed here and would not be with the core alone."""
    core = brought_by(PROJECT["dependencies"]) | {"checkpoint-harness", "pip", "setuptools"}
    ours, others = set[str](), set[str]()
    for installed in distributions():
        (ours if canonicalize_name(installed.name) in core else others).update(modules_of(installed))
    return sorted(others - ours - sys.stdlib_module_names)


def modules_of(installed: Distribution) -> Iterator[str]:
    """Yield the top-level modules of a distribution; `packages_distributions` of Python 3.10 misses most."""
    for file in installed.files or ():
        name = file.parts[0].partition(".")[0]  # of a package, a module, or an extension module
        if name.isidentifier() and (len(file.parts) > 1 or file.suffix in (".py", ".so", ".pyd")):
            yield name


HIDDEN = hidden_modules()


def in_core(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code where nothing is installed but the core."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({HIDDEN!r}))\n"
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-c", hide + code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def harness_command(*arguments: str) -> str:
    return f"sys.argv[1:] = {list(arguments)!r}; from harness.cli.main import main; main()"


def pytest_command(*arguments: str) -> str:
    plugin = ("-p", "harness.plugins.pytest_plugin")
    return f"import pytest; sys.exit(pytest.main({[*plugin, *arguments]!r}))"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A golden set of 60 sums, its suite, and outputs of a base and of a candidate."""
    golden = tmp_path / "golden" / "sums" / "v1"
    golden.mkdir(parents=True)
    cases = [
        {"id": f"c{i}", "input": f"what is {i} + 1?", "target": str(i + 1), "checks": [{"type": "equals"}]}
        for i in range(60)
    ]
    (golden / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_sums.py").write_text(SUITE, encoding="utf-8")
    for name, wrong in (("base", 10), ("good", 20)):
        rows = ({"id": f"c{i}", "output": "no idea" if i % wrong == 0 else str(i + 1)} for i in range(60))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_what_extras_bring_is_hidden() -> None:
    """Else the tests below would show nothing."""
    assert not {"harness", "numpy", "pytest", "_pytest"} & set(HIDDEN)
    extras = {"torch", "pandas", "pyarrow", "pydantic", "openai", "hypothesis", "matplotlib"}
    assert {name for name in extras if find_spec(name)} <= set(HIDDEN)


def test_recorded_outputs_are_gated_stored_compared_and_chosen(project: Path) -> None:
    gated = in_core(pytest_command("--model=replay/good.jsonl", "--baseline=replay/base.jsonl"), project)
    assert gated.returncode == 0, gated.stdout + gated.stderr
    assert "PASS" in gated.stdout
    (run,) = (project / ".harness" / "runs").iterdir()
    for command in (
        ("compare", run.name, run.name, "--allow-same", "--html", "report.html"),
        ("select", run.name),
        ("golden", "stats", "sums"),
        ("golden", "lock", "sums"),
    ):
        done = in_core(harness_command(*command), project)
        assert done.returncode == 0, (command, done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import harness; harness.load_runs('.')", "dataframe"),
        (harness_command("train", "recipe.yaml"), "train"),
        (pytest_command("--model=openai/m", "--baseline=replay/base.jsonl"), "openai"),
    ],
)
def test_what_needs_an_extra_says_which(project: Path, code: str, extra: str) -> None:
    done = in_core(code, project)
    assert done.returncode != 0
    assert f"pip install 'checkpoint-harness[{extra}]'" in done.stdout + done.stderr
