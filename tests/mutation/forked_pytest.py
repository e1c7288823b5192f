"""Run pytest in a fork of this process, which has loaded everything slow already."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import math
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.installed_tree import InstalledTree
from mutation.rooms import ROOT

__all__ = ["Fork", "Run", "end", "preload", "run_pytest", "start", "wait_for_any"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MOST_MEMORY = 24 << 30  # address space in bytes: a fault may make a loop fill the machine


@dataclass(frozen=True)
class Run:
    """What a fork is to do, and where.

    Attributes:
        tree: The package that it imports.
        log: What it prints.
        scratch: For the temporary folders of its tests; removed at its start.
        seconds: Processor time that it may take, as a busy machine is no fault; of the clock's time ten times
            as much, for what waits for ever.
    """

    tree: InstalledTree
    log: Path
    scratch: Path
    seconds: float


@dataclass(frozen=True)
class Fork:
    """A fork at work.

    Attributes:
        pid: Of the process, which leads its own group.
        answers: Read end of the pipe on which it answers, a file descriptor.
        deadline: By the monotonic clock.
    """

    pid: int
    answers: int
    deadline: float


def preload(names: Iterable[str]) -> None:
    """Import pytest, its plugins and these modules for the forks; what is not installed is left out."""
    for threads in _THREADS:
        os.environ[threads] = "1"  # before numpy is loaded: its threads would not be there in a fork
    import pytest

    with tempfile.TemporaryDirectory() as empty, contextlib.redirect_stdout(io.StringIO()):
        # Plugins that pytest did not import itself it warns about: an empty session imports all but ours.
        pytest.main(["-p", "no:harness", "-p", "no:cacheprovider", "--rootdir", empty, empty])
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "harness")
    assert not ours, f"{ours[0]} is loaded: forks would find it whole, without the fault"
    gc.freeze()  # statsmodels collects garbage at every call, and a collection copies every page it visits


def run_pytest(run: Run, files: Sequence[Path], plugin: object, *arguments: str) -> int:
    """Run these test files, in a fork; return pytest's exit code."""
    import pytest

    plain = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={run.scratch}"]
    return int(pytest.main([*plain, *arguments, *map(str, files)], plugins=[plugin]))


def start(run: Run, work: Callable[[], Any]) -> Fork:
    """Fork, and do some work there; it returns what JSON can say."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Fork(pid, reading, time.monotonic() + 10.0 * run.seconds)
    try:
        os.close(reading)
        os.setsid()
        _settle_in(run)
        answer = json.dumps(work()).encode()
        with open(writing, "wb") as stream:
            stream.write(answer)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # what the parent would do at its exit is not for the fork to do


def wait_for_any(forks: Sequence[Fork]) -> tuple[Fork, Any]:
    """Wait until one of several forks has answered, died or used up its time, and end it.

    Returns:
        The fork and its answer: None where it died without one, `"timeout"` where it was killed.
    """
    collected: dict[int, bytes] = {fork.answers: b"" for fork in forks}
    while True:
        late = [fork for fork in forks if time.monotonic() >= fork.deadline]
        if late:
            return late[0], end(late[0], "timeout")
        ready, _, _ = select.select(list(collected), [], [], 0.5)
        for answers in ready:
            part = os.read(answers, 1 << 20)
            collected[answers] += part
            fork = next(fork for fork in forks if fork.answers == answers)
            with contextlib.suppress(ValueError):
                return fork, end(fork, json.loads(collected[answers]))
            if not part:
                return fork, end(fork, None)


def end(fork: Fork, answer: Any = None) -> Any:
    """Kill what is left of a fork and its children, and return what it answered."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(fork.pid, signal.SIGKILL)
    os.waitpid(fork.pid, 0)
    os.close(fork.answers)
    return answer


def _settle_in(run: Run) -> None:
    """Make a fork a process of its own: its output, its package, its limits."""
    log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(run.seconds), math.ceil(run.seconds) + 1))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(ROOT)
    tree = str(run.tree.folder)
    sys.path.insert(0, tree)
    os.environ["PYTHONPATH"] = tree
    sys.argv = ["pytest"]
