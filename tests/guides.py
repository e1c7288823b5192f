"""The guides under docs/guides: changes shown as diffs, which are applied to a copy of the code.

`python tests/guides.py` renews the diffs when the code around their places has changed: line numbers, context
and generated pages. Where a change no longer fits at all it says where; mend the guide's diff by hand then.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
GUIDES = [path for path in sorted((ROOT / "docs" / "guides").glob("*.md")) if path.stem != "README"]
GENERATED = {
    "docs/scoring.md": "harness.scoring.catalogue",
    "docs/served-models.md": "harness.engine.argument_table",
}
"""Pages of which a part is written by a module."""

_DIFF = re.compile(r"(?<=```diff\n).*?\n(?=```\n)", re.DOTALL)
_COPIED = ("docs", "harness", "plugins", "suites", "tests")


def diff_of(guide: Path) -> str:
    """Return the diff that a guide shows."""
    (diff,) = _DIFF.findall(guide.read_text(encoding="utf-8"))
    return str(diff)


def files_in(diff: str) -> list[str]:
    """Return the files that a diff changes or makes, relative to the repository."""
    return re.findall(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE)


def copy_code(folder: Path) -> Path:
    """Copy what guides change; return the folder."""
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def apply(diff: str, folder: Path, *options: str) -> str:
    """Apply a diff to a copy; return what `git` complains of."""
    command = ["git", "apply", *options, "-"]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=diff, capture_output=True, encoding="utf-8", check=False
    )
    return done.stderr if done.returncode else ""


def run(command: Sequence[str], code: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of Python in a copy, which is imported as if it was installed.

    Args:
        command: What follows `python`.
        code: The copy.
        site: Folder for what stands for the installation.
    """
    if not site.exists():
        _install(code, site)
    paths = [str(site), str(code / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    return subprocess.run(
        [sys.executable, *command], cwd=site, env=environment, capture_output=True, text=True, check=False
    )


def _install(code: Path, site: Path) -> None:
    """Lay out the package of a copy as it is installed, without its golden sets, and its entry points."""
    package = site / "harness"
    shutil.copytree(code / "harness", package)
    for mapped in ("plugins", "suites"):
        shutil.copytree(code / mapped, package / mapped)
    groups = tomllib.loads((code / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    metadata = site / "checkpoint_harness-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: checkpoint-harness\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def renewed(diff: str, folder: Path) -> str:
    """Return a diff with its places and context as the code is now.

    Raises:
        ValueError: A file has changed so much that its part of the diff does not fit.
    """
    before, after = copy_code(folder / "a"), copy_code(folder / "b")
    for part in re.split(r"(?m)^(?=diff --git )", diff):
        (path,) = files_in(part) or [""]
        complaint = apply(part, after, "-C1", "--recount") if path else ""
        if complaint and path not in GENERATED:
            raise ValueError(f"{path}: {complaint.strip()}")
    for path in GENERATED.keys() & set(files_in(diff)):
        made = run(["-m", GENERATED[path], str(after / path)], after, folder / "site")
        if made.returncode:
            raise ValueError(f"{path}: {made.stderr.strip()}")
    parts = []
    for path in files_in(diff):
        old = f"a/{path}" if (before / path).exists() else os.devnull
        command = ["git", "diff", "--no-index", "--no-prefix", "-U1", old, f"b/{path}"]
        made = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
        named = made.stdout.replace(f"diff --git b/{path} b/{path}", f"diff --git a/{path} b/{path}")
        parts.append(re.sub(r"(?m)^index .*\n", "", named))
    return "".join(parts)


def main() -> int:
    """Renew every guide; return 1 where one needs a hand."""
    failed = 0
    for guide in GUIDES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                diff = renewed(diff_of(guide), Path(folder))
            except ValueError as problem:
                print(f"{guide.relative_to(ROOT)}: {problem}")
                failed = 1
                continue
        text = guide.read_text(encoding="utf-8")
        guide.write_text(_DIFF.sub(lambda _, diff=diff: diff, text), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
