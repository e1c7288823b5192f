"""The `semantic_similarity` check: how near an answer is to a reference, by a local embedding model."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case, Response, Score
from harness.errors import ScoringError
from harness.scoring.check_type import Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.optional import require
from harness.scoring.checks.parameters import SHARE, TEXT

__all__ = ["semantic_similarity", "similarity"]


@declare_check(
    "semantic_similarity",
    parameters={
        "value": {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": TEXT},
        "model": TEXT,
        "at_least": SHARE,
    },
    target="value",
)
def semantic_similarity(value: str | Sequence[str], model: str, at_least: float) -> Scorer:
    """The cosine of the answer's and the reference's embeddings (the best of several; a negative one is 0) is
    the score; it passes from `at_least` on. `model` is the directory of a sentence encoder in the format of
    transformers or sentence-transformers; nothing is downloaded and no code of it is run. Needs [hf].
    """  # noqa: D205  (one paragraph is the documentation of the check)
    require("torch", "hf")
    require("transformers", "hf")
    if not (Path(model) / "config.json").is_file():
        raise ValueError(f"model: {model!r} is no directory with a model's config.json")
    references = [value] if isinstance(value, str) else list(value)

    def scorer(case: Case, response: Response) -> Score:
        best = max(similarity(model, reference, response.text) for reference in references)
        return graded(max(best, 0.0), at_least, "semantic similarity")

    return scorer


def similarity(model: str, one: str, other: str) -> float:
    """Return the cosine of two texts' embeddings, in [−1, 1].

    Args:
        model: Directory of the encoder.
        one: A text.
        other: Another one.

    Raises:
        ScoringError: The model cannot be loaded, or gives no finite embedding.
    """
    import torch

    first, second = _embedding(model, one), _embedding(model, other)
    found = float(torch.nn.functional.cosine_similarity(first, second, dim=0))
    if not -1.001 <= found <= 1.001:
        raise ScoringError(f"the embeddings of {model} are not finite or zero")
    return max(-1.0, min(1.0, found))


@functools.lru_cache(maxsize=4096)
def _embedding(model: str, text: str) -> Any:
    """Return the embedding of a text: the mean of the last hidden states, or the first of them."""
    import torch

    tokenizer, encoder, first_only = _loaded(model)
    limit = min(tokenizer.model_max_length, getattr(encoder.config, "max_position_embeddings", 512), 8192)
    text = text.encode("utf-8", "replace").decode("utf-8")
    inputs = tokenizer(text or " ", return_tensors="pt", truncation=True, max_length=limit)
    with torch.inference_mode():
        states = encoder(**inputs).last_hidden_state[0].float()
    if not len(states):
        raise ScoringError(f"the tokenizer of {model} makes nothing of the text")
    return states[0] if first_only else states.mean(dim=0)


@functools.lru_cache(maxsize=2)
def _loaded(model: str) -> tuple[Any, Any, bool]:
    from transformers import AutoModel, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **options)
        encoder = AutoModel.from_pretrained(model, use_safetensors=True, **options)
    except (OSError, ValueError, ImportError) as problem:
        raise ScoringError(f"{model} cannot be loaded: {' '.join(str(problem).split())[:300]}") from problem
    return tokenizer, encoder.eval(), _takes_first(Path(model))


def _takes_first(folder: Path) -> bool:
    """Whether the model was trained to be read at its first token, as its pooling module says."""
    config = folder / "1_Pooling" / "config.json"
    try:
        return bool(json.loads(config.read_text(encoding="utf-8")).get("pooling_mode_cls_token", False))
    except (OSError, ValueError, AttributeError):
        return False
