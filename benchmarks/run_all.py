"""Run every benchmark in turn, each within a time limit; lines of JSON on standard output, one per result.

The peers' environments are made first, where they are not there yet. A benchmark that needs data packs runs
where they are and says so where they are not; so does one that fails or takes too long.

    python benchmarks/run_all.py [--data FOLDER] [NAME …]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import PEERS, QUIET, ROOT, environment

DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True)
class Benchmark:
    """A script and how it is run.

    Attributes:
        script: Its name, without `.py`.
        arguments: What it gets; `{data}` stands for the folder of the data packs.
        packs: Files or folders in there that it needs.
        minutes: When it is given up.
    """

    script: str
    arguments: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()
    minutes: int = 10


_GENERATE = ("--prompts", "100", "--rounds", "1", "--check", "20")
_CHECKPOINTS = ("--rounds", "2", "--check", "4")
BENCHMARKS = (
    Benchmark("start_up", minutes=3),
    Benchmark("warm_rerun", minutes=5),
    Benchmark("per_case_overhead", ("--rounds", "2", "--peer-cases", "500")),
    Benchmark("vs_lm_eval_choice", ("--data", "{data}/gsm8k/items.jsonl"), ("gsm8k/items.jsonl",)),
    Benchmark("vs_lm_eval_generate", _GENERATE),
    Benchmark("vs_lm_eval_generate", (*_GENERATE, "--shape", "qwen2-27m")),
    Benchmark("multi_checkpoint", _CHECKPOINTS),
    Benchmark("multi_checkpoint", (*_CHECKPOINTS, "--shape", "qwen2-27m")),
    Benchmark("verdict_speed", minutes=3),
    Benchmark("refusal_detector", ("{data}/xstest",), ("xstest",), 3),
    Benchmark("gate_references", ("{data}",), ("alpaca_eval",), 5),
    Benchmark("gate_quality", ("{data}", "--repeats", "1"), ("alpaca_eval", "alpaca_eval_extra"), 15),
    Benchmark("early_stop", ("{data}/alpaca_eval/models", "--runs", "500"), ("alpaca_eval/models",)),
)


def problems(benchmark: Benchmark, data: Path) -> Iterator[str]:
    """Run a benchmark; yield why it gave no result, if it did not."""
    missing = [pack for pack in benchmark.packs if not (data / pack).exists()]
    if missing:
        yield f"skipped: {', '.join(str(data / pack) for pack in missing)} is not there"
        return
    script = Path(__file__).resolve().parent / f"{benchmark.script}.py"
    arguments = [argument.format(data=data) for argument in benchmark.arguments]
    try:
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            check=False,
            env={**os.environ, **QUIET},
            timeout=60 * benchmark.minutes,
        )
    except subprocess.TimeoutExpired:
        yield f"failed: took more than {benchmark.minutes} minutes"
        return
    if done.returncode:
        yield f"failed: exit code {done.returncode}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them in turn; return the number that failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data packs")
    names = sorted({benchmark.script for benchmark in BENCHMARKS})
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all of them without one: {', '.join(names)}"
    )
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    for peer in PEERS:
        try:
            environment(peer)
        except (OSError, subprocess.CalledProcessError) as error:  # those that need it will fail, and say so
            print(f"no environment of {peer}: {error}", file=sys.stderr)
    failed = 0
    for benchmark in BENCHMARKS:
        if options.names and benchmark.script not in options.names:
            continue
        for problem in problems(benchmark, options.data.resolve()):
            told = {"benchmark": benchmark.script, "arguments": benchmark.arguments, "problem": problem}
            print(json.dumps(told), flush=True)
            failed += problem.startswith("failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
