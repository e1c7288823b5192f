"""Names are read from the text of modules, wherever a package is installed and without importing it."""

from __future__ import annotations

import compileall
import importlib
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from harness.declarations import Declarations

MODULES = {
    "__init__.py": "",
    "red.py": 'PAINT = Paint("crimson")\nOTHER = Paint(\n    "scarlet",\n)\n',
    "blue.py": '# Paint("not")\n\n\ndef mix():\n    return Paint("nor this")\n\n\nPAINT = Paint("navy")\n',
    "deep/__init__.py": "",
    "deep/green.py": 'PAINT = Paint("moss")\n',
}
HEAD = "from collections import UserString\n\n\nclass Paint(UserString):\n    pass\n\n\n"


def paints(module: ModuleType) -> Mapping[str, str]:
    found = (value for value in vars(module).values() if type(value).__name__ == "Paint")
    return {str(value): module.__name__ for value in found}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Make the package `paintbox` importable from somewhere, until the test ends."""
    for name, text in MODULES.items():
        path = tmp_path / "sources" / "paintbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if not text else HEAD + text)
    yield lambda place: monkeypatch.syspath_prepend(place)
    for name in [name for name in sys.modules if name.partition(".")[0] == "paintbox"]:
        del sys.modules[name]


def declared() -> Declarations[str]:
    return Declarations("paintbox", r"\w+ = Paint\(", paints)


HOMES = {"crimson": "red", "scarlet": "red", "navy": "blue", "moss": "deep.green"}


def check_all_are_found() -> Declarations[str]:
    found = declared()
    assert dict(found.homes) == {name: f"paintbox.{module}" for name, module in HOMES.items()}
    assert dict(found) == found.homes
    assert "nor this" not in found
    return found


def test_a_module_is_imported_when_a_name_of_it_is_asked_for(
    package: Callable[[Path], None], tmp_path: Path
) -> None:
    package(tmp_path / "sources")
    found = declared()
    assert sorted(found) == sorted(HOMES)
    assert "navy" in found
    assert not any(name.startswith("paintbox.") for name in sys.modules if name != "paintbox.deep")
    assert found["navy"] == "paintbox.blue"
    assert "paintbox.red" not in sys.modules
    check_all_are_found()
    with pytest.raises(KeyError):
        found["mauve"]


def test_a_package_in_a_zip_file_is_read(package: Callable[[Path], None], tmp_path: Path) -> None:
    archive = tmp_path / "paintbox.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for name in MODULES:
            writer.write(tmp_path / "sources" / "paintbox" / name, f"paintbox/{name}")
    package(archive)
    check_all_are_found()
    assert str(sys.modules["paintbox"].__file__).startswith(str(archive))


def test_a_package_without_its_sources_is_imported(package: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    assert compileall.compile_dir(folder, quiet=1, legacy=True)
    for source in folder.rglob("*.py"):
        source.unlink()
    package(folder)
    check_all_are_found()


def test_a_name_that_two_modules_declare_is_refused(package: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "sources" / "paintbox" / "rose.py").write_text(HEAD + 'PAINT = Paint("crimson")\n')
    package(tmp_path / "sources")
    importlib.invalidate_caches()
    with pytest.raises(
        ValueError, match=r"'crimson' is declared twice: in paintbox\.red and in paintbox\.rose"
    ):
        _ = declared().homes
