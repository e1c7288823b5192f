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
        task_manager=TaskManager(include_path=folder, include_defaults=False),
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


if __name__ == "__main__":
    from harness.plugins.lm_eval.model import register

    model, folder, *kinds = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        register()
        said = {kind: results(kind, model, folder) for kind in kinds}
    print(json.dumps(said, default=str))
