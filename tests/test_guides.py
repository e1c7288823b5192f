"""The guides' diffs apply to the code as it is, do what they say, and open few files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from guides import GUIDES, ROOT, apply, copy_code, diff_of, files_in, renewed, run

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git applies the diffs")

PROVE = {
    "add-a-backend": ["tests/test_argument_table.py"],
    "add-a-check": ["tests/test_check_examples.py", "-k", "emoji or page"],
}
"""What shows that a guide's change works, beside the tests that are part of it."""

MOST_FILES = 3


def test_the_four_guides_are_there_and_listed() -> None:
    listed = (ROOT / "docs" / "guides" / "README.md").read_text(encoding="utf-8")
    assert [guide.stem for guide in GUIDES] == [
        "add-a-backend",
        "add-a-check",
        "change-a-table-column",
        "change-the-p-value-of-clustered-suites",
    ]
    assert all(f"({guide.name})" in listed for guide in GUIDES)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_change_opens_few_files_and_says_how_many(guide: Path) -> None:
    opened = [path for path in files_in(diff_of(guide)) if path.split("/")[0] not in ("docs", "tests")]
    assert 1 <= len(opened) <= MOST_FILES, opened
    assert f"**Files opened: {len(opened)}" in guide.read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_change_applies_and_does_what_it_says(guide: Path, tmp_path: Path) -> None:
    code, diff = copy_code(tmp_path / "code"), diff_of(guide)
    complaint = apply(diff, code)
    assert complaint == "", f"{complaint}renew the guide:  python tests/guides.py"
    tests = [path for path in files_in(diff) if path.startswith("tests/test_")]
    for arguments in filter(None, (tests, PROVE.get(guide.stem))):
        asked = [str(code / word) if word.startswith("tests/") else word for word in arguments]
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={code}", *asked]
        done = run([*command, f"--config-file={code / 'pyproject.toml'}"], code, tmp_path / "site")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_guide_is_renewed_when_the_code_around_it_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines above its place, and one of its lines of context, are others: it fits again afterwards."""
    (guide,) = (guide for guide in GUIDES if guide.stem == "change-a-table-column")
    moved = copy_code(tmp_path / "moved")
    page = moved / "harness" / "report" / "table.py"
    text = page.read_text(encoding="utf-8")
    page.write_text(
        text.replace('    return {\n        "verdict"', '    # moved\n    return {\n        "verdict"')
    )
    monkeypatch.setattr("guides.ROOT", moved)
    (tmp_path / "work").mkdir()
    diff = renewed(diff_of(guide), tmp_path / "work")
    assert diff != diff_of(guide)
    assert files_in(diff) == files_in(diff_of(guide))
    assert apply(diff, moved) == ""
