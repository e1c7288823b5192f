"""What the installed plugin costs a pytest session that does not use it.

Runs an unrelated project's `pytest` with the plugin and with `-p no:harness`, in turn, and prints one JSON
line: medians in seconds, their ratio, and the spread.

    python benchmarks/start_up.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDES = {"with_plugin": [], "without_plugin": ["-p", "no:harness"]}


def seconds(project: Path, arguments: list[str]) -> float:
    """Time one whole pytest process over one trivial test."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    elapsed = time.perf_counter() - started
    assert "harness" not in done.stdout + done.stderr, done.stdout + done.stderr
    return elapsed


def main() -> None:
    """Measure both sides in turn and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "test_unrelated.py").write_text("def test_it():\n    assert True\n")
        (project / "pytest.ini").write_text("[pytest]\n")
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(rounds + 1):
            for side, arguments in SIDES.items():
                times[side].append(seconds(project, arguments))
        for side in SIDES:
            times[side] = times[side][1:]  # the first of each writes bytecode
        assert sorted(path.name for path in project.iterdir() if path.name != "__pycache__") == [
            "pytest.ini",
            "test_unrelated.py",
        ]
    medians = {side: statistics.median(found) for side, found in times.items()}
    spread = {side: [min(found), max(found)] for side, found in times.items()}
    ratio = medians["with_plugin"] / medians["without_plugin"]
    result = {"benchmark": "start_up", "rounds": rounds, "medians": medians, "spread": spread, "ratio": ratio}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
