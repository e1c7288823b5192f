"""What a case costs, whoever answers it: a suite of ours against bare pytest and against deepeval.

Ten thousand recorded answers, each compared with its target in a test of its own:

- *ours*: a suite over a golden set with the fixtures `case` and `response`; outcomes, comparison, verdict and
  run record included. *first* and *again* ask candidate and baseline, both replayed, so that each case is
  called twice: *first* has to fill the cache, *again* finds the answers there, as a rerun does. *stored*
  finds the candidate's there and compares with the same baseline's answers in a stored run
  (`--baseline=run:ID`, as a CI job does): each case is called once, as on the other sides.
- *bare*: `pytest.mark.parametrize` over the same cases, one assert of the same answer, without a baseline.
- *deepeval*: `assert_test` with a metric that only compares, at a fraction of the cases.

Costs are seconds of whole processes, start to end. Against bare pytest they are divided; against deepeval
per case: ours with both sides and everything, over all cases, deepeval's without its start (the slope between
two sizes).
The last line compares `--collect-only`, with the plugin in use and for bare pytest, at two sizes.

All sides run in turn, in deepeval's environment, without plugins but their own. Before anything is timed, one
run of each with some wrong answers must find the same cases wrong.

    python benchmarks/per_case_overhead.py [--cases 10000] [--peer-cases 1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import reexecute

SUITE = """
import harness
import pytest

@pytest.mark.suite("sums")
def test_sum(case, response):
    harness.check(case, response)
"""
BARE = """
import json
import pathlib
import pytest

def rows(name):
    path = pathlib.Path(__file__).with_name(name)
    return [json.loads(line) for line in path.read_text().splitlines()]

CASES = rows("cases.jsonl")
OUTPUTS = {row["id"]: row["output"] for row in rows("good.jsonl")}

@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_sum(case):
    assert OUTPUTS[case["id"]] == case["target"]
"""
DEEPEVAL = """
import json
import pathlib
import pytest
from deepeval import assert_test
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

def rows(name):
    path = pathlib.Path(__file__).with_name(name)
    return [json.loads(line) for line in path.read_text().splitlines()]

CASES = rows("cases.jsonl")
OUTPUTS = {row["id"]: row["output"] for row in rows("good.jsonl")}

class Equals(BaseMetric):
    threshold, evaluation_model, error = 0.5, None, None
    async_mode = include_reason = strict_mode = False

    def measure(self, test_case, *args, **kwargs):
        self.score = float(test_case.actual_output == test_case.expected_output)
        self.success, self.reason = self.score >= self.threshold, ""
        return self.score

    async def a_measure(self, test_case, *args, **kwargs):
        return self.measure(test_case)

    def is_successful(self):
        return self.success

    @property
    def __name__(self):
        return "Equals"

@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_sum(case):
    asked = LLMTestCase(
        input=case["input"], actual_output=OUTPUTS[case["id"]], expected_output=case["target"]
    )
    assert_test(asked, [Equals()], run_async=False)
"""
CANDIDATE, BASELINE = "--model=replay/good.jsonl", "--baseline=replay/base.jsonl"
AS_CANDIDATE = "--model=replay/base.jsonl"
CALLS = {"again": 2, "first": 2, "stored": 1}
"""How often each case is called in what is measured of ours."""
SIDES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ours": (SUITE, ("-p", "harness.plugins.pytest_plugin")),
    "bare": (BARE, ()),
    "deepeval": (DEEPEVAL, ("-p", "deepeval.plugins.plugin")),
}
WRONG_EVERY = 7


@dataclass(frozen=True)
class Ran:
    """One whole process: seconds on the wall and of processors, and what it printed."""

    wall: float
    cpu: float
    output: str


def project(folder: Path, side: str, cases: int, wrong: Callable[[int], bool] = lambda number: False) -> Path:
    """Write the project of one side and return its folder; all sides have the same cases and answers."""
    folder = folder / f"{side}-{cases}"
    home = folder / "golden" / "sums" / "v1" if side == "ours" else folder
    home.mkdir(parents=True)
    rows = [
        {
            "id": f"case-{i:05d}",
            "input": f"{i} + {2 * i} = ?",
            "target": str(3 * i),
            "checks": [{"type": "equals"}],
        }
        for i in range(cases)
    ]
    write(home / "cases.jsonl", rows)
    for name, misses in (("good", wrong), ("base", lambda number: number % WRONG_EVERY == 0)):
        answers = [
            {"id": row["id"], "output": "no idea" if misses(i) else row["target"]}
            for i, row in enumerate(rows)
        ]
        write(folder / f"{name}.jsonl", answers)
    (folder / "suites").mkdir()
    module = folder / "suites" / "test_sums.py" if side == "ours" else folder / "test_sums.py"
    module.write_text(SIDES[side][0], encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return folder


def write(path: Path, rows: Sequence[Any]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(folder: Path, side: str, *arguments: str) -> Ran:
    """Run one side's whole process."""
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *SIDES[side][1], *arguments]
    settings = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Ran(wall, usage.ru_utime + usage.ru_stime, output.read().decode())


def wrong_cases(folder: Path, side: str) -> set[str]:
    """Return the ids of the cases that a side finds wrong."""
    if side == "ours":
        run(folder, side, CANDIDATE, BASELINE, "--harness-json=results.json")
        cases = json.loads((folder / "results.json").read_text(encoding="utf-8"))["cases"]
        return {case["id"] for case in cases if case["outcome"] != "passed"}
    run(folder, side, "--junitxml=junit.xml")
    found = ElementTree.parse(folder / "junit.xml").iter("testcase")  # noqa: S314  (just written by pytest)
    return {
        re.sub(r".*\[(.*)\]", r"\1", case.attrib["name"])
        for case in found
        if case.find("failure") is not None
    }


def checked(ran: Ran, side: str, cases: int) -> Ran:
    """Return a run of a project without wrong answers; stops the benchmark if it says anything else."""
    if f"\n{cases} passed" not in ran.output or (side == "ours" and "PASS" not in ran.output):
        sys.exit(f"{side}: {ran.output[-2000:]}")
    return ran


def run_id(ran: Ran) -> str:
    """Return the id under which a run of ours was stored."""
    found = re.search(r"^run (\S+): exit code \d+$", ran.output, re.MULTILINE)
    if found is None:
        sys.exit(f"ours: stored no run: {ran.output[-2000:]}")
    return found.group(1)


def main() -> None:
    """Measure all sides in turn and print the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--peer-cases", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    reexecute("deepeval")
    cases, few = options.cases, options.peer_cases
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for side in SIDES:
            check_agreement(home / "agreement", side)
        folders = {side: project(home, side, cases) for side in ("ours", "bare")}
        peers = {size: project(home, "deepeval", size) for size in (few // 10, few)}
        ran: dict[str, list[Ran]] = {}
        for _ in range(options.rounds):
            shutil.rmtree(folders["ours"] / ".harness", ignore_errors=True)
            flows = {"first": ("ours", CANDIDATE, BASELINE), "again": ("ours", CANDIDATE, BASELINE)}
            flows |= {"stored": ("ours", CANDIDATE, "--baseline=run:"), "bare": ("bare",)}
            for label, (side, *arguments) in flows.items():
                if label == "stored":
                    arguments[-1] += run_id(run(folders[side], side, AS_CANDIDATE))
                done = checked(run(folders[side], side, *arguments), side, cases)
                ran.setdefault(label, []).append(done)
            for size, folder in peers.items():
                done = checked(run(folder, "deepeval"), "deepeval", size)
                ran.setdefault(f"deepeval {size}", []).append(done)
        print_cases(ran, cases, few)
        for size in (cases, 200):
            print_collection(home, size, options.rounds)


def check_agreement(home: Path, side: str) -> None:
    """Stop the benchmark if a side does not find exactly the wrong answers wrong."""
    folder = project(home, side, 210, wrong=lambda number: number % 10 == 3)
    found = wrong_cases(folder, side)
    if found != {f"case-{number:05d}" for number in range(3, 210, 10)}:
        sys.exit(f"{side} finds other cases wrong: {sorted(found)}")


def print_cases(ran: dict[str, list[Ran]], cases: int, few: int) -> None:
    """Print what a case costs on each side."""
    for label, calls in CALLS.items():
        ratios = [ours.wall / bare.wall for ours, bare in zip(ran[label], ran["bare"], strict=True)]
        cpu = [ours.cpu / bare.cpu for ours, bare in zip(ran[label], ran["bare"], strict=True)]
        line = {
            "benchmark": "per_case_overhead",
            "against": "bare parametrize",
            "flow": label,
            "calls_per_case": calls,
            "cases": cases,
            "medians_s": {side: median(ran[side]) for side in (label, "bare")},
            "ratio": statistics.median(ratios),
            "spread": [min(ratios), max(ratios)],
            "cpu_ratio": statistics.median(cpu),
        }
        print(json.dumps(line), flush=True)
    small = few // 10
    theirs = [
        (many.wall - start.wall) / (few - small)
        for many, start in zip(ran[f"deepeval {few}"], ran[f"deepeval {small}"], strict=True)
    ]
    ratios = [one / (ours.wall / cases) for one, ours in zip(theirs, ran["again"], strict=True)]
    line = {
        "benchmark": "per_case_overhead",
        "against": "deepeval",
        "cases": {"ours": cases, "deepeval": few},
        "per_case_us": {
            "ours_with_start": 1e6 * median(ran["again"]) / cases,
            "deepeval_without_start": 1e6 * statistics.median(theirs),
        },
        "times_cheaper": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
    }
    print(json.dumps(line), flush=True)


def print_collection(home: Path, size: int, rounds: int) -> None:
    """Print what `--collect-only` costs with the plugin in use, against bare pytest."""
    folders, asked = {}, (CANDIDATE, BASELINE)
    for side in ("ours", "bare"):
        folders[side] = home / f"{side}-{size}"
        if not folders[side].exists():
            project(home, side, size)
    ran: dict[str, list[Ran]] = {side: [] for side in folders}
    for _ in range(rounds if size > 1000 else 3 * rounds):
        for side, folder in folders.items():
            done = run(folder, side, *(asked if side == "ours" else ()), "--collect-only")
            if f"\n{size} tests collected" not in done.output:
                sys.exit(f"{side}: {done.output[-2000:]}")
            ran[side].append(done)
    ratios = [ours.wall / bare.wall for ours, bare in zip(ran["ours"], ran["bare"], strict=True)]
    line = {
        "benchmark": "per_case_overhead",
        "against": "bare parametrize, --collect-only",
        "cases": size,
        "medians_s": {side: median(found) for side, found in ran.items()},
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
    }
    print(json.dumps(line), flush=True)


def median(ran: Sequence[Ran]) -> float:
    """Return the median wall time."""
    return statistics.median(one.wall for one in ran)


if __name__ == "__main__":
    main()
