"""What lm-eval itself says of a model, by its own and by our model class: run as a process, prints JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any


def results(asked: str, model: str, folder: str) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    chat, _, kind = asked.rpartition(":")
    every = ["answers", "blanks", "choices", "documents", "last_word", "shots"]
    found = simple_evaluate(
        model=kind,
        model_args={"pretrained": model} | ({"dtype": "float32"} if kind == "hf" else {}),
        tasks=["answers", "choices"] if chat else every,
        apply_chat_template=bool(chat),
        task_manager=TaskManager(include_path=folder.split(","), include_defaults=False),
        batch_size=8 if kind == "hf" else None,
        device="cpu",
        bootstrap_iters=0,
    )
    assert found is not None
    samples = {
        task: [
            {
                "doc_id": row["doc_id"],
                "filter": row["filter"],
                "resps": row["resps"],
                "metrics": row["metrics"],
            }
            | {name: row[name] for name in row["metrics"]}
            for row in rows
        ]
        for task, rows in found["samples"].items()
    }
    return {"results": found["results"], "samples": samples}


def prompts(task: str, folder: str) -> list[Any]:
    """What lm-eval asks of a task alone, with four examples that a seed of 5 draws."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model="dummy",
        tasks=[task],
        num_fewshot=4 if task == "shots" else None,
        fewshot_random_seed=5,
        task_manager=TaskManager(include_path=folder.split(","), include_defaults=False),
        bootstrap_iters=0,
    )
    assert found is not None
    return [row["arguments"] for row in found["samples"][task]]


if __name__ == "__main__":
    from harness.plugins.lm_eval.model import register

    model, folder, *kinds = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        register()
        said = {
            kind: prompts(kind.removeprefix("prompts:"), folder)
            if kind.startswith("prompts:")
            else results(kind, model, folder)
            for kind in kinds
        }
    print(json.dumps(said, default=str))
