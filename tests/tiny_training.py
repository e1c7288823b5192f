"""A project small enough to train in a test: rows, recipes, and a base model of a few thousand weights."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from harness.files.read_yaml import parse_yaml
from harness.train.recipe import Recipe
from harness.train.recipe_file import parse_recipe

SCRATCH = """
name: scratch
why: a base for tests
model: {hidden_size: 32, layers: 2, heads: 2, context_length: 96, tokenizer: {vocab_size: 300}}
method: full
data:
  sources: [{path: data/orders.jsonl}]
  split: {validation: 0.1, group: customer}
training: {learning_rate: 4e-3, max_steps: 8, batch_size: 8, warmup: 0.1}
checkpoints: {every: 4}
"""

ADAPTER = """
name: adapter
base: runs/scratch/checkpoint-8
method: lora
lora: {r: 4, alpha: 8, dropout: 0.1, target_modules: [q_proj, v_proj]}
data:
  sources: [{path: data/refunds.jsonl}]
  split: {validation: 0.1}
training: {learning_rate: 1e-2, epochs: 2, batch_size: 4, gradient_accumulation: 2}
checkpoints: {every: 3}
"""


def recipe(text: str, **changes: Any) -> Recipe:
    """Parse a recipe; `changes` replace values, dots in place of double underscores."""
    document = parse_yaml(text)
    for key, value in changes.items():
        *outer, last = key.split("__")
        part = document.value
        for name in outer:
            part = part.setdefault(name, {})
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    return parse_recipe(document)


def make_project(root: Path) -> Path:
    """Write training files under a directory and return it."""
    draw = random.Random(7)
    (root / "data").mkdir(parents=True)
    (root / "pytest.ini").write_text("[pytest]\n")
    orders = []
    for index in range(88):
        number, count = draw.randint(1000, 9999), draw.randint(1, 9)
        asked = f"Order {number}: {count} lamps, please." + " Thank you very much." * draw.randint(0, 2)
        answer = json.dumps({"order": number, "count": count})
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        orders.append({"messages": turns, "customer": f"C{index % 22}"})
    write_rows(root / "data" / "orders.jsonl", orders)
    refunds = [
        {
            "prompt": f"Refund for order {draw.randint(1000, 9999)}?",
            "completion": f"Yes, in {draw.randint(3, 7)} days.",
        }
        for _ in range(40)
    ]
    write_rows(root / "data" / "refunds.jsonl", refunds)
    return root


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a JSON Lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def train_until_killed(root: str, text: str) -> None:
    """Train a recipe in a child process that is going to be killed; saves after every step."""
    from harness.train.runner import run_training

    run_training(recipe(text), root=Path(root))
