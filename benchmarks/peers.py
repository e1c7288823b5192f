"""Environments of the peers that the benchmarks compare with, each made once under `build/peers/`.

A benchmark against a peer calls `reexecute("lm-eval")` first: it goes on in the peer's own environment, which
holds the peer, this project as it stands (editable) and the same torch, so that both sides run in one process
tree on the same libraries.

    python benchmarks/peers.py [NAME …]      make them ahead of time; all of them without a name
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "peers"
PEERS = {
    "lm-eval": ("lm-eval==0.4.13", "-e", ".[hf]", "datasets", "accelerate"),
    "deepeval": ("deepeval==4.3.1", "-e", "."),
}
UNPINNED = {"deepeval": ("click", "rich", "tabulate")}
"""What a peer wants in a version that is not ours; everything else is pinned as it is for us."""
QUIET = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads slow both sides many times over on shared cores
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
}
"""Settings of both sides."""


def environment(name: str) -> Path:
    """Return the Python of a peer's environment; makes it where it is not there or out of date."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    done = folder / ".installed"
    wanted = " ".join((_torch(), *PEERS[name]))
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {folder} …", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if "-e" in PEERS[name] and ".[hf]" in PEERS[name]:
        subprocess.run([*install, _torch()], cwd=ROOT, check=True)
    pins = folder / "constraints.txt"
    pins.write_text(_pins(UNPINNED.get(name, ())), encoding="utf-8")
    subprocess.run([*install, "-c", str(pins), *PEERS[name]], cwd=ROOT, check=True)
    done.write_text(wanted, encoding="utf-8")
    return python


def reexecute(name: str) -> None:
    """Go on in a peer's environment, with the settings that both sides share; return when there already."""
    if os.environ.get("HARNESS_BENCH_PEER") == name:
        return
    python = environment(name)
    settings = {**os.environ, **QUIET, "HARNESS_BENCH_PEER": name}
    os.execve(python, [str(python), *sys.argv], settings)  # noqa: S606  (a fixed interpreter, no shell)


def _torch() -> str:
    """Return the requirement of torch that the constraints pin."""
    return next(line for line in _constraints() if line.startswith("torch=="))


def _pins(without: Sequence[str]) -> str:
    """Return our constraints without those of some packages."""
    return "".join(f"{line}\n" for line in _constraints() if line.partition("==")[0] not in without)


def _constraints() -> list[str]:
    return (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    for peer in sys.argv[1:] or PEERS:
        print(environment(peer))
