"""Run a model's code against tests in a sandbox: a process tree that can do nothing else.

On Linux it gets namespaces of its own (user, mount, PID, network, IPC): it sees the system's libraries
read-only, an empty /tmp in memory, no network, no other process, no environment, no home directory. CPU time,
memory, files, processes and wall-clock time are limited anywhere. Where the system does not allow namespaces,
nothing runs unless the user allowed that, too.

The code runs in one process and its tests in another; docs/scoring.md says what passes between them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ScoringError
from harness.sandbox.permission import required_permission

__all__ = ["Ending", "Program", "ProgramLimits", "run_program"]

_START = "import sys; sys.path[0] = sys.argv.pop(); from inside.launcher import main; main()"


@dataclass(frozen=True)
class ProgramLimits:
    """What a program may use.

    Attributes:
        seconds: CPU time of each process: what a busy machine does not change.
        wall: Seconds by the clock for the whole, which end a program that sleeps or waits.
        memory: Address space of each process, in megabytes.
        disk: Size of the working directory (in memory), in megabytes; no file may be larger.
        processes: Processes and threads of the code together.
    """

    seconds: int = 10
    wall: int = 60
    memory: int = 512
    disk: int = 32
    processes: int = 8


@dataclass(frozen=True)
class Program:
    """Code and its tests.

    Attributes:
        source: The code of the model.
        tests: Statements that raise where the code is wrong.
        functions: Names that the tests use of the code.
        setup: Code of ours that runs before the tests, such as a prompt's own helper functions.
        in_process: Whether the tests run in the code's own process: they can use its classes then, and code
            that sets out to cheat can.
    """

    source: str
    tests: str
    functions: tuple[str, ...] = ()
    setup: str = ""
    in_process: bool = False


@dataclass(frozen=True)
class Ending:
    """How a program ended.

    Attributes:
        outcome: `passed`, `failed`, or `unreadable` where the code is no Python.
        why: One line.
    """

    outcome: str
    why: str = ""


def run_program(program: Program, limits: ProgramLimits | None = None) -> Ending:
    """Run the tests of a program in a sandbox.

    Raises:
        ScoringError: It was not allowed, the system cannot contain it, or the tests themselves are wrong.
    """
    permission = required_permission()
    limits = ProgramLimits() if limits is None else limits
    if not hasattr(os, "fork"):
        raise ScoringError("code cannot be run on this system: it needs Linux (or macOS, unisolated)")
    isolated = sys.platform == "linux"
    result = _start(program, limits, isolated=True) if isolated else _not_linux()
    if result["outcome"] == "refused" and permission.unisolated:
        result = _start(program, limits, isolated=False)
    if result["outcome"] == "refused":
        raise ScoringError(
            f"this system cannot contain a model's code: {result['why']}{_advice()}; "
            "--allow-unisolated-code runs it with limits alone"
        )
    if result["outcome"] == "unfit":
        raise ScoringError(f"the tests cannot be run: {result['why']}")
    return Ending(result["outcome"], result["why"])


def _not_linux() -> dict[str, Any]:
    return {"outcome": "refused", "why": f"{sys.platform} has no namespaces"}


def _start(program: Program, limits: ProgramLimits, *, isolated: bool) -> dict[str, Any]:
    """Start a bare interpreter with the launcher; return what it says."""
    bounds = {
        "cpu": limits.seconds,
        "wall": limits.wall,
        "memory": limits.memory,
        "file": limits.disk,
        "disk": limits.disk,
        "processes": limits.processes,
    }
    with tempfile.TemporaryDirectory(prefix="harness-code-", ignore_cleanup_errors=True) as folder:
        if not isolated and os.geteuid() == 0:
            os.chmod(folder, 0o777)  # noqa: S103  (the code runs as nobody)
        code = {"folder": folder, "isolated": isolated, "limits": bounds, "source": program.source}
        tests = {
            "tests": program.tests,
            "setup": program.setup,
            "functions": list(program.functions),
            "in_process": program.in_process,
        }
        process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-c", _START, str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(_message(code) + _message(tests), timeout=limits.wall)
        except subprocess.TimeoutExpired:
            return {"outcome": "failed", "why": f"it did not end within {limits.wall} s"}
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    try:
        result: dict[str, Any] = json.loads(said)
    except ValueError:
        raise ScoringError("the sandbox ended without a result") from None
    return result


def _message(content: Mapping[str, Any]) -> bytes:
    data = json.dumps(content).encode("ascii")
    return struct.pack(">I", len(data)) + data


def _advice() -> str:
    """Return what most often keeps a system from making namespaces, where it is so here."""
    for name, bad in (
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("user/max_user_namespaces", "0"),
    ):
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text(encoding="ascii").strip() == bad:
                return f" ({name.replace('/', '.')} = {bad})"
    return " (containers need --security-opt seccomp=unconfined or --privileged)"
