"""Small tasks of lm-evaluation-harness over local JSON files, one of each kind."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_models import WORDS

KINDS = ("choices", "shots", "blanks", "answers", "last_word", "documents")


def save_tasks(folder: Path, *, documents: int = 24) -> Path:
    """Write a YAML file for each of `KINDS` and its data; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rnd = random.Random(7)

    def words(count: int) -> str:
        return " ".join(rnd.choice(WORDS) for _ in range(count))

    questions = [
        {
            "question": words(rnd.randint(4, 9)),
            "options": rnd.sample(WORDS, 4),
            "answer": rnd.randrange(4),
            "passage": "the red box" if number < 6 else words(5),
        }
        for number in range(documents)
    ]
    _rows(folder, "questions", questions)
    _rows(folder, "training", [{**row, "question": words(5)} for row in questions])
    _rows(
        folder,
        "blanks",
        [
            {
                "before": words(3),
                "option1": rnd.choice(WORDS),
                "option2": words(2),
                "after": words(4),
                "answer": "12"[n % 2],
            }
            for n in range(documents)
        ],
    )
    _rows(folder, "texts", [{"text": words(rnd.randint(3, 12))} for _ in range(documents)])
    _task(
        folder,
        "choices",
        "questions",
        """
output_type: multiple_choice
description: "please help\\n"
doc_to_text: "{{question}} is"
doc_to_choice: "{{options}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
""",
    )
    _task(
        folder,
        "shots",
        "questions",
        """
output_type: multiple_choice
num_fewshot: 3
training_split: train
fewshot_split: train
doc_to_text: "{{question}} is"
doc_to_choice: "{{options}}"
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
        training="training",
    )
    _task(
        folder,
        "blanks",
        "blanks",
        """
output_type: multiple_choice
doc_to_text: !function blanks_text.which
doc_to_choice: !function blanks_text.sentences
doc_to_target: "{{after}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    )
    (folder / "blanks_text.py").write_text(
        "def which(doc):\n"
        "    return int(doc['answer']) - 1\n\n\n"
        "def sentences(doc):\n"
        "    return [doc['before'] + ' ' + doc[name] for name in ('option1', 'option2')]\n",
        encoding="utf-8",
    )
    _task(
        folder,
        "answers",
        "questions",
        """
output_type: generate_until
num_fewshot: 1
training_split: train
fewshot_split: train
doc_to_text: "{{question}} is"
doc_to_target: "{{['and', 'no'][answer % 2]}}"
generation_kwargs: {until: ["\\n\\n", "now"], max_gen_toks: 6, do_sample: false}
filter_list:
  - name: first
    filter:
      - {function: regex, regex_pattern: "^\\\\s*(\\\\S+)", fallback: "none"}
      - {function: take_first}
  - name: whole
    filter:
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
""",
        training="training",
    )
    _task(
        folder,
        "last_word",
        "texts",
        """
output_type: loglikelihood
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' '+text.split(' ')[-1]}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
""",
    )
    _task(
        folder,
        "documents",
        "texts",
        """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
  - {metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}
""",
    )
    return folder


def _rows(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def _task(folder: Path, name: str, data: str, text: str, training: str | None = None) -> None:
    files = {"test": str(folder / f"{data}.jsonl")}
    if training is not None:
        files["train"] = str(folder / f"{training}.jsonl")
    head = f"task: {name}\ndataset_path: json\ntest_split: test\n"
    head += f"dataset_kwargs: {{data_files: {json.dumps(files)}}}\n"
    (folder / f"{name}.yaml").write_text(
        f"{head}{text.strip()}\nmetadata: {{version: 2.0}}\n", encoding="utf-8"
    )
