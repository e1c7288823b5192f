"""What a second run over unchanged checkpoints costs: the whole process, against the first run.

Copies the support-desk example and gates its base against itself, 50 cases of each of its four suites, again
and again: only the first run generates, every run must decide the same. No other plugin is loaded. Prints one
JSON line with seconds, their ratio, and the heavy modules that a rerun imported.

    python benchmarks/warm_rerun.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES_OF_A_SUITE = 50
CONFTEST = """
import sys

def pytest_unconfigure():
    heavy = [name for name in ("torch", "transformers", "pandas") if name in sys.modules]
    print("HEAVY", ",".join(heavy))
"""


def session(project: Path) -> tuple[float, dict[str, Any], str]:
    """Run one gating session; return seconds, its results, and the heavy modules that it imported."""
    results = project / "results.json"
    arguments = ["--model=models/base", "--baseline=models/base", "--inconclusive=warn", "-q", "-s"]
    arguments += [f"--limit={CASES_OF_A_SUITE}", f"--harness-json={results}"]
    command = [sys.executable, "-m", "pytest", "-p", "harness.plugins.pytest_plugin", *arguments]
    settings = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=project, env=settings, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    record = json.loads(results.read_text(encoding="utf-8"))
    heavy = next(line for line in done.stdout.splitlines() if line.startswith("HEAVY"))
    return elapsed, record, heavy.removeprefix("HEAVY").strip()


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
    for _, again, _ in warm:
        assert again["cases"] == first["cases"]
        assert again["verdicts"] == first["verdicts"]
    requests = [again["environment"]["requests"] for _, again, _ in warm]
    seconds = [elapsed for elapsed, _, _ in warm]
    result = {
        "benchmark": "warm_rerun",
        "cases": len(first["cases"]),
        "generated_first": first["environment"]["requests"]["generated"],
        "generated_again": max(asked["generated"] for asked in requests),
        "heavy_imports_again": sorted({heavy for _, _, heavy in warm} - {""}),
        "cold_s": cold,
        "warm_s": statistics.median(seconds),
        "spread_s": [min(seconds), max(seconds)],
        "ratio": cold / statistics.median(seconds),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
