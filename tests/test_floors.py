"""The versions that are declared are those that are tested: the lowest, the newest, and no next major."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from test_packaging import PYPROJECT, ROOT
from test_private_names import GUARDED

PYTHONS_OWN = {"argparse"}
NAMED_OTHERWISE = {"lm_eval": "lm-eval", "xdist": "pytest-xdist"}
PACKAGES = sorted(NAMED_OTHERWISE.get(name, name) for name in GUARDED if name not in PYTHONS_OWN | {"pluggy"})


def declared() -> dict[str, Requirement]:
    project = PYPROJECT["project"]
    texts = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ]
    return {found.name: found for found in map(Requirement, texts)}


def pinned(path: Path) -> dict[str, Version]:
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    pins = [pin for pin in map(Requirement, lines) if pin.marker is None or pin.marker.evaluate()]
    return {pin.name.lower().replace("_", "-"): Version(next(iter(pin.specifier)).version) for pin in pins}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_with_private_names_is_bounded_by_what_is_tested(package: str) -> None:
    bounds = declared()[package].specifier
    (floor,) = [Version(bound.version) for bound in bounds if bound.operator == ">="]
    (ceiling,) = [Version(bound.version) for bound in bounds if bound.operator == "<"]
    newest = pinned(ROOT / "constraints.txt")[package]
    assert floor == pinned(ROOT / "constraints-lowest.txt")[package]
    assert newest in bounds
    assert ceiling <= Version(f"{newest.major + 1}"), "a major that nobody has seen"


def test_the_lowest_versions_are_allowed() -> None:
    lowest = pinned(ROOT / "constraints-lowest.txt")
    for name, requirement in declared().items():
        key = name.lower().replace("_", "-").replace(".", "-")
        if key in lowest:
            assert lowest[key] in requirement.specifier, f"{name} {lowest[key]}"
