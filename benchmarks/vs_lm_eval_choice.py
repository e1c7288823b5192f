"""Multiple choice by likelihood: this engine against lm-evaluation-harness on the same model and tasks.

lm-eval builds the prompts, and both sides score the same strings, on the same two threads, in turn.
Likelihoods must agree within 1e-4, and accuracy, plain and normalised, must be equal. lm-eval adds up a
choice's tokens in float32, which rounds a sum of -1,000 by about as much: where the two differ by more, the
same model in float64 decides, and this engine must lie within 1e-4 of it. Prints one JSON line for each
workload: medians, the ratio and its spread. lm-eval's time is that of `simple_evaluate` without bootstrap,
ours is that of tokenising, scoring and choosing.

    python benchmarks/vs_lm_eval_choice.py [--data items.jsonl] [--shape llama-34m] [--rounds 2] [NAME=ITEMS]…

`items.jsonl` holds GSM8K rows with `question` and `answer`.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from choice_tasks import TASKS, make_tasks, make_tokenizer, read_items
from peers import ROOT, reexecute
from random_models import SHAPES

THREADS = 2
BATCH_SIZE = 8
CLOSE = 1e-4
"""Largest difference of log-likelihoods."""
DATA = ROOT.parent / "shared" / "data" / "gsm8k" / "items.jsonl"
WORKLOADS = ("numbers=100", "letters=20", "random=12", "sentences=25")


class Read:
    """Counts the tokens that a model reads from now on, padding included."""

    def __init__(self, model: Any) -> None:
        self.tokens = 0
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, model: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.tokens += (given[0] if given else named["input_ids"]).numel()


@dataclass
class Peer:
    """lm-eval with its Hugging Face model."""

    model: Any
    manager: Any
    read: Read

    def evaluate(self, task: str, items: int) -> tuple[float, list[dict[str, Any]], dict[str, float]]:
        """Return seconds, samples in the order of the items, and the metrics."""
        import lm_eval

        started = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):
            found = lm_eval.simple_evaluate(
                self.model,
                tasks=[task],
                task_manager=self.manager,
                limit=items,
                log_samples=True,
                bootstrap_iters=0,
            )
        elapsed = time.perf_counter() - started
        samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
        return elapsed, samples, found["results"][task]


@dataclass
class Ours:
    """This engine, from strings to chosen answers."""

    model: Any
    tokenizer: Any
    read: Read

    def evaluate(self, asked: list[list[tuple[str, str]]]) -> tuple[float, list[list[tuple[float, bool]]]]:
        """Return seconds and, for each item, log-likelihood and greediness of each choice."""
        from harness.cases import Message, Request
        from harness.inference.likelihood import score
        from harness.likelihood import Continuation

        started = time.perf_counter()
        requests = [
            Request(
                (Message("user", pairs[0][0]),),
                continuations=tuple(Continuation(t) for _, t in pairs),
                raw=True,
            )
            for pairs in asked
        ]
        found = dict(score(self.model, self.tokenizer, requests))
        results = [
            [(one.logprob, one.greedy) for one in found[index].likelihoods] for index in range(len(requests))
        ]
        return time.perf_counter() - started, results


@dataclass
class Referee:
    """The same model in float64, one choice at a time, without either side's code."""

    path: Path
    model: Any = None
    tokenizer: Any = None

    def loglikelihood(self, prompt: str, choice: str) -> float:
        """Return the log-likelihood of a choice, tokenised with its prompt and cut at the prompt's length."""
        import torch
        import transformers

        if self.model is None:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.path)
            self.model = transformers.AutoModelForCausalLM.from_pretrained(self.path, dtype=torch.float64)
            self.model.eval()
        encode = self.tokenizer.encode
        whole, start = encode(prompt + choice), len(encode(prompt))
        tokens = torch.tensor([whole])
        with torch.inference_mode():
            found = self.model(tokens[:, :-1]).logits[0, start - 1 :].log_softmax(-1)
        return float(found.gather(1, tokens[0, start:, None]).sum())


def prepare(folder: Path, data: Path, shape: str) -> tuple[Peer, Ours, Referee]:
    """Make the model and the tasks, and load the model once for each side."""
    import torch
    import transformers
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from harness.inference.fused_layers import fuse_layers
    from harness.inference.loading import load_model, load_tokenizer
    from harness.inference.packed_weights import can_pack, pack_linears

    torch.set_num_threads(THREADS)
    logging.disable(logging.WARNING)
    items = read_items(data)
    make_tasks(folder, items)
    torch.manual_seed(0)
    config = getattr(transformers, SHAPES[shape].architecture)(
        **SHAPES[shape].config,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    path = folder / "model"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(path)
    make_tokenizer(items, config.vocab_size).save_pretrained(path)
    lm = HFLM(pretrained=str(path), dtype="float32", device="cpu", batch_size=BATCH_SIZE, max_length=2048)
    peer = Peer(lm, TaskManager(include_path=str(folder), include_defaults=False), Read(lm.model))
    model = load_model(path, device="cpu", dtype="float32", attention="sdpa")
    if can_pack():  # as gates do
        pack_linears(model)
        fuse_layers(model)
    return peer, Ours(model, load_tokenizer(path), Read(model)), Referee(path)


def measure(
    peer: Peer, ours: Ours, referee: Referee, task: str, items: int, rounds: int
) -> tuple[dict[str, Any], bool]:
    """Run one workload on both sides in turn; return its line, and whether the results agree."""
    _, samples, _ = peer.evaluate(task, 2)  # both sides warm
    ours.evaluate(list(map(pairs_of, samples)))
    theirs: list[float] = []
    own: list[float] = []
    ratios: list[float] = []
    for _ in range(rounds):
        peer.read.tokens = ours.read.tokens = 0
        seconds, samples, metrics = peer.evaluate(task, items)
        asked = list(map(pairs_of, samples))
        runs = [ours.evaluate(asked) for _ in range(2)]
        theirs.append(seconds)
        own += [elapsed for elapsed, _ in runs]
        ratios += [seconds / elapsed for elapsed, _ in runs]
    results = runs[-1][1]
    expected = [likelihoods_of(sample) for sample in samples]
    texts = [[text.removeprefix(" ") for _, text in pairs] for pairs in asked]
    gold = [int(sample["target"]) for sample in samples]
    accuracy = {
        "acc": hits(results, texts, gold, normalised=False),
        "acc_norm": hits(results, texts, gold, normalised=True),
    }
    reported = {name: metrics[f"{name},none"] for name in accuracy}
    found = [
        (pair, mine, other)
        for pairs, one, two in zip(asked, results, expected, strict=True)
        for pair, mine, other in zip(pairs, one, two, strict=True)
    ]
    disputed = [
        (referee.loglikelihood(*pair), mine[0], other[0])
        for pair, mine, other in found
        if not abs(mine[0] - other[0]) <= CLOSE
    ]
    close = all(abs(exact - mine) <= CLOSE for exact, mine, _ in disputed)
    agree = close and all(abs(accuracy[name] - reported[name]) < 1e-9 for name in accuracy)
    line = {
        "benchmark": "vs_lm_eval_choice",
        "task": task,
        "items": len(asked),
        "choices": sum(map(len, asked)),
        "lm_eval_s": statistics.median(theirs),
        "ours_s": statistics.median(own),
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "tokens_read": [peer.read.tokens, ours.read.tokens // len(runs)],
        "largest_difference": max(abs(mine[0] - other[0]) for _, mine, other in found),
        "disputed": len(disputed),
        "from_float64": {
            "ours": max((abs(exact - mine) for exact, mine, _ in disputed), default=None),
            "lm_eval": max((abs(exact - other) for exact, _, other in disputed), default=None),
        },
        "greedy_differs": sum(mine[1] != other[1] for _, mine, other in found),
        "accuracy": accuracy,
        "lm_eval_accuracy": reported,
        "agree": agree,
    }
    return line, agree


def pairs_of(sample: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the (prompt, choice) strings that lm-eval asked for an item."""
    arguments = sample["arguments"]
    listed = list(arguments.values()) if isinstance(arguments, dict) else arguments
    return [(a["arg_0"], a["arg_1"]) if isinstance(a, dict) else (a[0], a[1]) for a in listed]


def likelihoods_of(sample: dict[str, Any]) -> list[tuple[float, bool]]:
    """Return what lm-eval found for an item; some versions log numbers as text."""
    return [(float(one[0][0]), str(one[0][1]) == "True") for one in sample["resps"]]


def hits(
    results: list[list[tuple[float, bool]]], texts: list[list[str]], gold: list[int], *, normalised: bool
) -> float:
    """Return the share of items whose likeliest choice is the right one."""
    found = 0
    for choices, spelled, right in zip(results, texts, gold, strict=True):
        lengths = [len(text) if normalised else 1 for text in spelled]
        values = [logprob / length for (logprob, _), length in zip(choices, lengths, strict=True)]
        found += values.index(max(values)) == right
    return found / len(gold)


def main() -> int:
    """Measure and print; return 1 where the two sides disagree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="llama-34m")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "workloads", nargs="*", default=WORKLOADS, metavar="NAME=ITEMS", help=", ".join(TASKS)
    )
    options = parser.parse_args()
    if not options.data.is_file():
        parser.error(f"{options.data} is not there: name a file of GSM8K rows with --data")
    reexecute("lm-eval")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        peer, ours, referee = prepare(Path(folder), options.data.resolve(), options.shape)
        for workload in options.workloads:
            task, _, items = workload.partition("=")
            line, agree = measure(peer, ours, referee, task, int(items), options.rounds)
            print(json.dumps({**line, "shape": options.shape, "threads": THREADS}), flush=True)
            failed += not agree
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
