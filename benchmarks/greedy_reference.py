"""What an answer must be: the greedy continuation of `model.generate`, one prompt at a time, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from random_models import Shape

__all__ = ["compare_with_generate"]

CLOSE = 1e-4
"""Below this gap between the two best logits, rounding may decide which one is greater."""


def compare_with_generate(
    folder: Path, prompts: Sequence[str], shape: Shape, answers: Sequence[str]
) -> dict[str, int]:
    """Count the answers whose tokens are those of `model.generate` at batch size 1.

    Where the two best logits of some step lie closer than 1e-4, another token is no error; those prompts are
    counted apart.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    counts = {"compared": len(answers), "identical": 0, "with_a_close_step": 0, "differ_without_one": 0}
    for prompt, answer in zip(prompts, answers, strict=False):
        ids = tokenizer(prompt, return_tensors="pt")
        found = model.generate(
            **ids,
            max_new_tokens=shape.max_tokens,
            do_sample=False,
            stop_strings=list(shape.stop),
            tokenizer=tokenizer,
            return_dict_in_generate=True,
            output_logits=True,
        )
        text = tokenizer.decode(found.sequences[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        for stop in shape.stop:
            text = text.split(stop)[0]
        best = torch.stack([logits[0].topk(2).values for logits in found.logits])
        close = bool((best[:, 0] - best[:, 1]).min() < CLOSE)
        counts["identical"] += text == answer
        counts["with_a_close_step"] += close
        counts["differ_without_one"] += text != answer and not close
    return counts
