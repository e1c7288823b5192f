"""The whole story in one command: train two candidates, gate both against their base, write the report.

`make demo` runs it from the repository; in a project of your own it shows how the commands fit together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASE = "base"
CANDIDATES = {"refund-lora": "a careful fine-tune", "refund-overfit": "a narrow one, too fast, too long"}


def harness(*arguments: str) -> list[str]:
    """Return the command line of a harness command."""
    return [sys.executable, "-m", "harness.cli", *arguments]


def train_side_by_side(project: Path) -> None:
    """Train both candidates at once, one core each; their logs are shown when they end."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(max((os.cpu_count() or 2) // 2, 1))}
    running = {
        name: subprocess.Popen(
            harness("train", f"recipes/{name}.yaml", "--restart"),
            cwd=project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in CANDIDATES
    }
    for name, process in running.items():
        log, _ = process.communicate()
        title(f"harness train recipes/{name}.yaml   ({CANDIDATES[name]})")
        print(log.rstrip())
        if process.returncode != 0:
            sys.exit(f"training {name} ended with {process.returncode}")


def run(command: Sequence[str], project: Path) -> int:
    """Run a command in the project, showing what it prints, and return its exit code."""
    return subprocess.run(command, cwd=project, check=False).returncode


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n\033[1m── {text}\033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)


def newest(project: Path, run_name: str) -> str:
    """Return the spec of a run's last checkpoint."""
    found = sorted((project / "runs" / run_name).glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    return f"{run_name}/{found[-1].name}"


def main() -> int:
    """Run the demo and return 0 when the gate told the two candidates apart."""
    project = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE
    started = time.monotonic()
    train_side_by_side(project)
    good, bad = (newest(project, name) for name in CANDIDATES)
    codes: dict[str, int] = {}
    for candidate in (good, bad):
        title(f"pytest --model={candidate} --baseline={BASE}")
        codes[candidate] = run(
            [sys.executable, "-m", "pytest", "-q", f"--model={candidate}", f"--baseline={BASE}"], project
        )
    report = project / "report.html"
    title(f"harness compare {BASE} {good} {bad} --html {report.name}")
    run(harness("compare", BASE, good, bad, "--html", report.name, "--flips", "0"), project)
    print()
    for candidate, code in codes.items():
        print(f"exit code {code}: {candidate}")
    print(f"report: {report}   (after {time.monotonic() - started:.0f} s)")
    return 0 if codes == {good: 0, bad: 1} and report.is_file() else 1


if __name__ == "__main__":
    sys.exit(main())
