"""What a second run over unchanged checkpoints costs: the whole process, against the first run.

Copies the support-desk example and gates its base against itself, again and again: only the first run
generates. Prints one JSON line with seconds, their ratio, and the heavy modules that a rerun imported.

    python benchmarks/warm_rerun.py [--rounds 5]
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

CONFTEST = """
import sys

def pytest_unconfigure():
    heavy = [name for name in ("torch", "transformers", "pandas") if name in sys.modules]
    print("HEAVY", ",".join(heavy))
"""


def session(project: Path) -> tuple[float, dict[str, int], str]:
    """Run one gating session; return seconds, its requests, and the heavy modules that it imported."""
    results = project / "results.json"
    arguments = ["--model=models/base", "--baseline=models/base", "--inconclusive=warn", "-q", "-s"]
    quiet = ["-p", "no:hypothesispytest", "-p", "no:anyio"]
    command = [sys.executable, "-m", "pytest", *quiet, *arguments, f"--harness-json={results}"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    record = json.loads(results.read_text(encoding="utf-8"))
    heavy = next(line for line in done.stdout.splitlines() if line.startswith("HEAVY"))
    return elapsed, record["environment"]["requests"], heavy.removeprefix("HEAVY").strip()


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "desk"
        init = [sys.executable, "-m", "harness.cli", "init", str(project)]
        subprocess.run(init, check=True, capture_output=True)
        (project / "conftest.py").write_text(CONFTEST)
        cold, first, _ = session(project)
        warm = [session(project) for _ in range(rounds)]
        cases = sum(len(path.read_text().splitlines()) for path in project.glob("golden/*/v1/cases.jsonl"))
    seconds = [elapsed for elapsed, _, _ in warm]
    result = {
        "benchmark": "warm_rerun",
        "cases": cases,
        "generated_first": first["generated"],
        "generated_again": max(requests["generated"] for _, requests, _ in warm),
        "heavy_imports_again": sorted({heavy for _, _, heavy in warm} - {""}),
        "cold_s": cold,
        "warm_s": statistics.median(seconds),
        "spread_s": [min(seconds), max(seconds)],
        "ratio": cold / statistics.median(seconds),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
