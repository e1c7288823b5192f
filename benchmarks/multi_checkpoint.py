"""Several LoRA checkpoints of one base against one merged model: what a gate of three costs beside one.

Every side is a process of its own, so that its peak memory is its own: one answers the prompts with three
adapters over one base in memory, the others with one merged model each. They run in turn on the same two
threads. Answers of different models differ in length, so the time of *one* is the mean over the three merged
models. All answers of each adapter are compared with those of its merged model alone, by this engine and, for
some, by `model.generate` at batch size 1. Prints one JSON line with medians, the ratio of times, the ratio of
peak memory, and the spread.

    python benchmarks/multi_checkpoint.py [--shape llama-34m] [--prompts 48] [--rounds 3] [--check 8]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from greedy_reference import compare_with_generate
from peers import QUIET
from random_models import SHAPES, make_model, make_prompts

THREADS = 2
ADAPTERS = ("checkpoint-100", "checkpoint-200", "checkpoint-300")


def make_checkpoints(folder: Path, shape: str) -> None:
    """Save a base, adapters of it, and each adapter merged into it."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    base = make_model(folder / "base", SHAPES[shape])
    tokenizer = AutoTokenizer.from_pretrained(base)
    for seed, name in enumerate(ADAPTERS):
        torch.manual_seed(seed)
        lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
        for parameter, tensor in adapted.named_parameters():
            if "lora_B" in parameter:  # they begin at zero
                torch.nn.init.normal_(tensor, std=0.02)
        adapted.save_pretrained(folder / name)
        loaded: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder / name)
        loaded.merge_and_unload().save_pretrained(folder / f"{name}-merged")
        tokenizer.save_pretrained(folder / f"{name}-merged")


def serve(folder: Path, shape: str, prompts: int) -> None:
    """Answer all prompts with the checkpoints that a line of input names; write seconds, answers, memory."""
    import torch

    from harness.cases import Message, Request, Sampling
    from harness.plugins.backends.hf import HFBackend
    from harness.protocols import BackendOptions

    torch.set_num_threads(THREADS)
    task = SHAPES[shape]
    sampling = Sampling(max_tokens=task.max_tokens, stop=task.stop)
    asked = [
        Request((Message("user", prompt),), sampling, raw=True) for prompt in make_prompts(task, prompts)
    ]
    backend = HFBackend(BackendOptions(root=folder, state=folder / f"state-{os.getpid()}"))
    for line in sys.stdin:
        checkpoints = [backend.resolve(name, name) for name in json.loads(line)]
        started = time.perf_counter()
        found = [dict(backend.generate(checkpoint, asked)) for checkpoint in checkpoints]
        seconds = time.perf_counter() - started
        answers = [[one[index].text for index in range(len(asked))] for one in found]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([seconds, answers, peak]), flush=True)


@dataclass
class Side:
    """A process that answers."""

    process: subprocess.Popen[str]

    def answer(self, names: Sequence[str]) -> tuple[float, list[list[str]], int]:
        """Return seconds, the answers of each checkpoint, and the process's peak memory in bytes so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(list(names)), file=self.process.stdin, flush=True)
        seconds, answers, peak = json.loads(self.process.stdout.readline())
        return seconds, answers, peak


@contextlib.contextmanager
def side(folder: Path, shape: str, prompts: int) -> Iterator[Side]:
    """Start a process that answers, and end it."""
    command = [sys.executable, __file__, "--serve", str(folder), "--shape", shape, "--prompts", str(prompts)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **QUIET}
    ) as process:
        yield Side(process)


def compare(
    folder: Path,
    shape: str,
    prompts: Sequence[str],
    together: Sequence[Sequence[str]],
    alone: Sequence[Sequence[str]],
) -> dict[str, int]:
    """Count the answers of adapters over one base that are those of each merged model alone.

    Args:
        folder: Holds the merged models.
        shape: Of the models.
        prompts: Those that `model.generate` answers, too.
        together: The answers of each adapter.
        alone: The answers of each merged model.
    """
    counts = {"compared": sum(map(len, alone)), "equal": 0}
    for name, answers, expected in zip(ADAPTERS, together, alone, strict=True):
        counts["equal"] += sum(one == other for one, other in zip(answers, expected, strict=True))
        checked = compare_with_generate(
            folder / f"{name}-merged", prompts, SHAPES[shape], answers[: len(prompts)]
        )
        for key, count in checked.items():
            counts[f"generate_{key}"] = counts.get(f"generate_{key}", 0) + count
    return counts


def main() -> int:
    """Compare, measure, print; return 1 where answers differ that must not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-34m")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", type=int, default=8, help="answers of each compared with model.generate")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.shape, options.prompts)
        return 0
    os.environ.update(QUIET)

    import torch

    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_checkpoints(folder, options.shape)
        merged = [[f"{name}-merged"] for name in ADAPTERS]
        with contextlib.ExitStack() as sides:
            started = [sides.enter_context(side(folder, options.shape, options.prompts)) for _ in range(4)]
            three, ones = started[0], started[1:]
            _, together, _ = three.answer(ADAPTERS)  # loads the model
            alone = [one.answer(name)[1][0] for one, name in zip(ones, merged, strict=True)]
            times: list[tuple[float, float]] = []
            for _ in range(options.rounds):
                each = [one.answer(name) for one, name in zip(ones, merged, strict=True)]
                seconds, again, three_peak = three.answer(ADAPTERS)
                times.append((statistics.mean(one[0] for one in each), seconds))
            one_peak = statistics.mean(one[2] for one in each)
        prompts = make_prompts(SHAPES[options.shape], options.prompts)[: options.check]
        counts = compare(folder, options.shape, prompts, together, alone)
    ratios = [seconds / one for one, seconds in times]
    failed = bool(counts["generate_differ_without_one"]) or again != together
    result = {
        "benchmark": "multi_checkpoint",
        "shape": options.shape,
        "prompts": options.prompts,
        "checkpoints": len(ADAPTERS),
        "answers": counts,
        "one_merged_s": statistics.median(one for one, _ in times),
        "three_adapters_s": statistics.median(seconds for _, seconds in times),
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "one_merged_peak_mb": round(one_peak / 2**20),
        "three_adapters_peak_mb": round(three_peak / 2**20),
        "memory_ratio": three_peak / one_peak,
        "agree": not failed,
    }
    print(json.dumps(result))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
