"""Greedy generation after a shared prefix: this engine against lm-evaluation-harness on the same model.

Both sides get the same prompts, stop strings and limits, on the same two threads, in turn. Before anything is
timed, every answer of this engine is compared with `model.generate` at batch size 1, token by token. Prints
one JSON line with medians, the ratio to the better of lm-eval's batch sizes, and the spread.

    python benchmarks/vs_lm_eval_generate.py [--shape llama-34m] [--prompts 200] [--rounds 2] [--check 200]

`--variants` times this engine alone, with one thing changed at a time; one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from greedy_reference import compare_with_generate
from peers import reexecute
from random_models import SHAPES, Shape, make_model, make_prompts

THREADS = 2
BATCH_SIZES = (8, 16)


VARIANTS: dict[str, tuple[int | None, dict[str, str]]] = {
    "as it is": (None, {}),
    "64 rows": (64, {}),
    "16 rows": (16, {}),
    "weights=plain": (None, {"weights": "plain"}),
    "batching=left-padded": (None, {"batching": "left-padded"}),
}
"""Batch size, and `-M` arguments."""


def ours(
    folder: Path,
    prompts: Sequence[str],
    shape: Shape,
    batch_size: int | None = None,
    arguments: Mapping[str, str] | None = None,
) -> Callable[[], list[str]]:
    """Return a function that answers all prompts; the first call loads the model."""
    from harness.cases import Message, Request, Sampling
    from harness.plugins.backends.hf import HFBackend
    from harness.protocols import BackendOptions

    sampling = Sampling(max_tokens=shape.max_tokens, stop=shape.stop)
    requests = [Request((Message("user", prompt),), sampling, raw=True) for prompt in prompts]
    options = BackendOptions(
        root=folder.parent, state=folder.parent / "state", batch_size=batch_size, arguments=arguments or {}
    )
    backend = HFBackend(options)
    checkpoint = backend.resolve(folder.name, folder.name)

    def run() -> list[str]:
        found = dict(backend.generate(checkpoint, requests))
        return [found[index].text for index in range(len(requests))]

    return run


def lm_eval(folder: Path, prompts: Sequence[str], shape: Shape, batch_size: int) -> Callable[[], list[str]]:
    """Return a function that answers all prompts with lm-eval's model class, without its task machinery."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    settings = {"until": list(shape.stop), "do_sample": False, "max_gen_toks": shape.max_tokens}
    model = HFLM(
        pretrained=str(folder), dtype="float32", device="cpu", batch_size=batch_size, max_length=2048
    )

    def run() -> list[str]:
        asked = [
            Instance(request_type="generate_until", doc={}, arguments=(prompt, dict(settings)), idx=index)
            for index, prompt in enumerate(prompts)
        ]
        with contextlib.redirect_stderr(io.StringIO()):
            answers: list[str] = model.generate_until(asked, disable_tqdm=True)
        return answers

    return run


def timed(run: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Return the seconds that a call took, and what it returned."""
    started = time.perf_counter()
    answers = run()
    return time.perf_counter() - started, answers


def variants(folder: Path, prompts: Sequence[str], shape: str, rounds: int) -> dict[str, Any]:
    """Time this engine with one thing changed at a time, in turn; answers must stay the same."""
    runs = {
        name: ours(folder, prompts, SHAPES[shape], batch_size, arguments)
        for name, (batch_size, arguments) in VARIANTS.items()
    }
    answers = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(timed(run)[0])
    first = seconds["as it is"]
    return {
        "benchmark": "vs_lm_eval_generate --variants",
        "shape": shape,
        "prompts": len(prompts),
        "seconds": {name: statistics.median(found) for name, found in seconds.items()},
        "times_as_long": {
            name: statistics.median(other / one for other, one in zip(found, first, strict=True))
            for name, found in seconds.items()
        },
        "answers_equal": {
            name: sum(one == other for one, other in zip(found, answers["as it is"], strict=True))
            for name, found in answers.items()
        },
    }


def main() -> int:
    """Compare, measure, print; return 1 where answers differ that must not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-34m")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--check", type=int, default=200, help="answers compared with model.generate")
    parser.add_argument(
        "--variants", action="store_true", help="this engine alone, one thing changed at a time"
    )
    options = parser.parse_args()
    reexecute("lm-eval")

    import torch

    torch.set_num_threads(THREADS)
    logging.disable(logging.WARNING)
    shape = SHAPES[options.shape]
    prompts = make_prompts(shape, options.prompts)
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_model(Path(temporary) / options.shape, shape)
        if options.variants:
            print(json.dumps(variants(folder, prompts, options.shape, options.rounds)))
            return 0
        run = ours(folder, prompts, shape)
        peers = {size: lm_eval(folder, prompts, shape, size) for size in BATCH_SIZES}
        _, answers = timed(run)  # loads the model
        checked = compare_with_generate(folder, prompts, shape, answers[: options.check])
        mine: list[float] = []
        theirs: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
        same: dict[int, int] = {}
        for _ in range(options.rounds):
            for size, peer in peers.items():
                mine.append(timed(run)[0])
                seconds, other = timed(peer)
                theirs[size].append(seconds)
                same[size] = sum(a == b for a, b in zip(answers, other, strict=True))
    best = min(statistics.median(seconds) for seconds in theirs.values())
    result = {
        "benchmark": "vs_lm_eval_generate",
        "shape": options.shape,
        "prompts": len(prompts),
        "answers_against_generate": checked,
        "answers_equal_to_lm_eval": {f"b{size}": count for size, count in same.items()},
        "ours_s": statistics.median(mine),
        "ours_spread_s": [min(mine), max(mine)],
        "lm_eval_s": {f"b{size}": statistics.median(seconds) for size, seconds in theirs.items()},
        "lm_eval_spread_s": {f"b{size}": [min(s), max(s)] for size, s in theirs.items()},
        "ratio": best / statistics.median(mine),
        "spread": [best / max(mine), best / min(mine)],
    }
    print(json.dumps(result))
    return int(checked["differ_without_one"] > 0)


if __name__ == "__main__":
    sys.exit(main())
