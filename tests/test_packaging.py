"""What users get: every subpackage is listed, and the wheel holds what it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]


def packages_on_disk() -> set[str]:
    found = set()
    for package, folder in SETUPTOOLS["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / folder).parts
            if not any("-" in part for part in inner):  # a directory of data, such as examples/support-desk
                found.add(".".join([package, *inner]))
    return found


def test_every_package_is_listed() -> None:
    assert sorted(SETUPTOOLS["packages"]) == SETUPTOOLS["packages"]
    assert set(SETUPTOOLS["packages"]) == packages_on_disk()


def test_entry_points_load() -> None:
    ours = {
        (group, name) for group, entries in PYPROJECT["project"]["entry-points"].items() for name in entries
    }
    assert ("pytest11", "harness") in ours
    for group, name in ours:
        (entry,) = (entry for entry in entry_points(group=group) if entry.name == name)
        assert entry.load() is not None


def test_dependencies_are_those_that_are_imported() -> None:
    """Every required distribution is imported somewhere: what is not used is not asked for."""
    names = {"arro3-core": "arro3.core", "arro3-io": "arro3.io", "ruamel.yaml": "ruamel"}
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("harness", "plugins")
        for path in (ROOT / folder).rglob("*.py")
    )
    for requirement in PYPROJECT["project"]["dependencies"]:
        name = requirement.split(">=")[0]
        module = names.get(name, name.replace("-", "_"))
        assert f"import {module}" in text or f"from {module}" in text, (
            f"{name} is required and never imported"
        )


@pytest.mark.slow
def test_the_wheel_works_from_another_directory(tmp_path: Path) -> None:
    """Build the wheel, install it without its sources in sight, and gate recorded outputs with it."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "harness/py.typed",
        "harness/plugins/pytest_plugin.py",
        "harness/scoring/scorers.pyi",
        "harness/suites/test_general.py",
        "harness/golden/general/v1/cases.jsonl",
        "harness/golden/general/v1/manifest.json",
        "harness/schemas/case.json",
        "harness/examples/support-desk/models/base/model.safetensors",
        "harness/examples/support-desk/golden/refunds/v1/cases.jsonl",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "outputs.jsonl").write_text('{"id": "nobody", "output": "x"}\n')
    # -S leaves the editable install's finder out; the other libraries are put back by path.
    libraries = [path for path in sys.path if "site-packages" in path]
    paths = [str(site), *libraries]
    code = f"import sys; sys.path[:0] = {paths!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    arguments = [
        "--pyargs",
        "harness.suites",
        "--model=replay/outputs.jsonl",
        "--baseline=replay/outputs.jsonl",
    ]
    command = [sys.executable, "-S", "-c", code, *arguments, "-q"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 10, done.stdout + done.stderr
    assert "no recorded output for case" in done.stdout
