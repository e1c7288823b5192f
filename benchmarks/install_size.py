"""What an installation of the core, and of each extra, weighs.

Builds the wheel, installs it into a fresh environment for each and measures what lies in site-packages, byte
code included, pip and setuptools left out. Prints one JSON line for each: MiB of disk (in blocks, as `du`
counts), what that is beyond the core, and the heaviest packages. With `--limit`, a core that weighs more is
an error.

    python benchmarks/install_size.py [--extras openai,train] [--limit 300]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
"""What a fresh environment has, or may have, before anything is installed."""


def pip(python: str, *arguments: str) -> None:
    """Run pip; what it has against something is on standard error."""
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def build(folder: Path) -> Path:
    """Build the wheel from a copy: setuptools leaves traces among the sources, and uses them again."""
    copy = folder / "sources"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info"))
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(copy))
    return next(folder.glob("*.whl"))


def declared_extras(wheel: Path) -> list[str]:
    """Return the extras of a wheel that are for users, each for one thing."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode("utf-8").splitlines()
    names = [line.removeprefix("Provides-Extra: ") for line in lines if line.startswith("Provides-Extra: ")]
    return [name for name in names if name not in ("all", "lint", "test")]


def sizes_of_packages(environment: Path) -> Counter[str]:
    """Return the bytes on disk of each thing in an environment's site-packages."""
    (site,) = environment.glob("[Ll]ib/**/site-packages")
    sizes: Counter[str] = Counter()
    for path in site.rglob("*"):
        first = path.relative_to(site).parts[0]
        if not first.startswith(NOT_OURS):
            status = path.lstat()
            # Windows counts no blocks.
            sizes[first] += getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return sizes


def measure(wheel: Path, extra: str, core: int | None) -> dict[str, Any]:
    """Install the core, or it with an extra, into a fresh environment and weigh it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder)
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip(str(python), "install", f"{wheel}[{extra}]" if extra else str(wheel))
        sizes = sizes_of_packages(environment)
    total = round(sum(sizes.values()) / 2**20)
    return {
        "benchmark": "install_size",
        "installed": extra or "core",
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "mib": total,
        "beyond_core_mib": None if core is None else total - core,
        "heaviest_mib": {name: round(size / 2**20) for name, size in sizes.most_common(8)},
    }


def main() -> None:
    """Measure, print, and fail where the core outgrew its limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--extras", metavar="A,B", help="only these, or '' for none [default: all]")
    parser.add_argument("--limit", type=int, metavar="MIB", help="the most that the core may weigh")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        given = options.extras
        extras = declared_extras(wheel) if given is None else [name for name in given.split(",") if name]
        core = measure(wheel, "", None)
        print(json.dumps(core), flush=True)
        for extra in extras:
            print(json.dumps(measure(wheel, extra, core["mib"])), flush=True)
    if options.limit is not None and core["mib"] > options.limit:
        sys.exit(f"the core weighs {core['mib']} MiB, more than {options.limit}: see heaviest_mib")


if __name__ == "__main__":
    main()
