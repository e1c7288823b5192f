"""Start a sandbox: isolate, limit, split into the process of the code and the process of the tests.

Reads two messages from standard input, the second one only in the process of the tests: first the code and
its limits, then the tests. Writes the result as JSON to standard output.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

from .candidate import run_candidate
from .isolation import (
    IsolationError,
    become_powerless,
    enter_namespaces,
    limit,
    make_root,
    unreadable_memory,
)
from .messages import receive
from .tester import run_tests

__all__ = ["main"]


def main() -> None:
    """Run the sandbox that standard input describes."""
    request = receive(0)
    if request is None:
        os._exit(1)
    signal.alarm(request["limits"]["wall"] + 2)  # where whoever started this is gone
    try:
        if request["isolated"]:
            enter_namespaces()
        first = os.fork()
        if first == 0:
            _supervise(request)
        os.waitpid(first, 0)
    except IsolationError as problem:
        _write({"outcome": "refused", "why": str(problem)})
    except OSError as problem:
        _write({"outcome": "refused", "why": f"cannot start a process: {problem.strerror}"})
    os._exit(0)


def _supervise(request: Any) -> None:
    """Be the process of the tests: with it, everything in its PID namespace ends."""
    try:
        unreadable_memory()
        result = os.dup(1)
        if request["isolated"]:
            make_root(request["folder"], request["limits"]["disk"])
        else:
            os.chdir(request["folder"])
        become_powerless()
        unreadable_memory()  # changing the user forgets it
        limit(request["limits"], request["isolated"])
    except (IsolationError, OSError) as problem:
        _write({"outcome": "refused", "why": str(problem)})
        os._exit(0)
    ours, theirs = socket.socketpair()
    with open(os.devnull, "r+b", buffering=0) as null:
        for standard in (1, 2):
            os.dup2(null.fileno(), standard)
        process = os.fork()
        if process == 0:
            os.dup2(null.fileno(), 0)
    if process == 0:
        _be_the_code(request["source"], theirs.fileno())
    theirs.close()
    asked = receive(0)
    _write(run_tests(asked, ours.fileno(), process), result)
    if not request["isolated"]:
        os.killpg(0, signal.SIGKILL)  # the PID namespace would have done it
    os._exit(0)


def _be_the_code(source: str, channel: int) -> None:
    """Be the process of the code: nothing is open but the channel, and the environment is empty."""
    os.closerange(3, channel)
    os.closerange(channel + 1, 1024)
    os.environ.clear()
    sys.argv, sys.path = ["answer"], sys.path[1:]
    for name in [name for name in sys.modules if name.partition(".")[0] == "inside"]:
        del sys.modules[name]
    try:
        run_candidate(source, channel)
    finally:
        os._exit(0)


def _write(result: dict[str, str], descriptor: int = 1) -> None:
    os.write(descriptor, json.dumps(result).encode("ascii"))
