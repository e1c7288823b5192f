"""Multiple-choice tasks from GSM8K's text (MIT licence), as lm-eval's local YAML: several shapes of choices.

`numbers`: four numbers of several tokens, after the same five examples. `letters`: A to D, after the same
five. `random`: four numbers, after other examples for each item. `sentences`: four whole sentences, after the
same two.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

__all__ = ["TASKS", "make_tasks", "make_tokenizer", "read_items"]

TASKS = ("numbers", "letters", "random", "sentences")
_TEST = 200  # of 660 items; the others are examples

_HEAD = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/examples.jsonl, test: {folder}/items.jsonl}}
test_split: test
fewshot_split: train
num_fewshot: {shots}
output_type: multiple_choice
"""
_PLAIN = """doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
"""
_SENTENCES = """doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{sentences}}"
doc_to_target: first
"""
_LETTERS = """doc_to_text: "Question: {{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\n\
C. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: gold
"""
_METRICS = """metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
_FIXED = "fewshot_config: {sampler: first_n}\n"
_BODIES = {
    "numbers": (5, _FIXED + _PLAIN),
    "letters": (5, _FIXED + _LETTERS),
    "random": (5, _PLAIN),
    "sentences": (2, _FIXED + _SENTENCES),
}


def read_items(data: Path) -> list[dict[str, str]]:
    """Read GSM8K rows: `question`, and `answer` with the result behind `####`."""
    lines = data.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def make_tasks(folder: Path, items: list[dict[str, str]]) -> None:
    """Write the data files and one YAML for each task."""
    draw = random.Random(0)
    rows = [_row(draw, item) for item in items]
    for place, row in enumerate(rows):
        others = [rows[(place + step) % len(rows)]["steps"] for step in (1, 2, 3)]
        row["sentences"] = [row["steps"], *others]
        draw.shuffle(row["sentences"])
        row["first"] = row["sentences"].index(row["steps"])
    examples = [row for row in rows[_TEST:] if 180 < len(row["question"]) < 260][:40]  # the median has 220
    for name, chosen in (("examples", examples), ("items", rows[:_TEST])):
        lines = "".join(f"{json.dumps(row)}\n" for row in chosen)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    for name, (shots, body) in _BODIES.items():
        head = _HEAD.format(name=name, folder=folder, shots=shots)
        (folder / f"{name}.yaml").write_text(head + body + _METRICS, encoding="utf-8")


def _row(draw: random.Random, item: dict[str, str]) -> dict[str, Any]:
    steps, _, result = item["answer"].partition("####")
    number = result.strip().replace(",", "")
    choices = [*_near(draw, number), number]
    draw.shuffle(choices)
    return {
        "question": " ".join(item["question"].split()),
        "choices": choices,
        "gold": choices.index(number),
        "steps": " ".join(steps.split()),
    }


def _near(draw: random.Random, number: str) -> list[str]:
    """Return three other numbers that somebody could take for the answer."""
    value = float(number)
    found: list[str] = []
    while len(found) < 3:
        other = draw.choice([value + draw.randint(1, 10), value - draw.randint(1, 10), value * 2, value * 10])
        if f"{other:g}" not in (*found, number):
            found.append(f"{other:g}")
    return found


def make_tokenizer(items: list[dict[str, str]], vocabulary: int) -> Any:
    """Return a byte-level tokenizer of that text, with single digits."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = (f"Question: {item['question']}\nAnswer: {item['answer']}\n\n" for item in items)
    raw.train_from_iterator(lines, trainer)
    named = {"eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=2048, **named)
