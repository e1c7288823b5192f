"""The token that ends a turn, made one of the tokens that end an answer.

A pretrained base ends texts with another token (`<|endoftext|>`) than its chat template ends turns with
(`<|im_end|>`). Fine-tuned on turns it learns to write the latter, and whoever asks it waits for the former:
it never stops. So what the trained turns end with is saved as an end-of-sequence token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import TrainingDataError
from harness.train.masking import IGNORED, TokenizedRow

__all__ = ["end_at_turns", "turn_ends"]


def turn_ends(rows: Sequence[TokenizedRow]) -> tuple[int, ...]:
    """Return the ids of the tokens that trained turns end with, in ascending order."""
    ends = set()
    for row in rows:
        following = (*row.labels[1:], IGNORED)
        ends |= {
            label for label, after in zip(row.labels, following, strict=True) if label != IGNORED == after
        }
    return tuple(sorted(ends))


def end_at_turns(tokenizer: Any, model: Any, rows: Sequence[TokenizedRow]) -> None:
    """Have a model's answers end where its trained turns do, wherever it is asked from now on.

    The tokens are added to `eos_token_id` of the generation settings and of the configuration. The tokenizer
    gets the token as its own, since an adapter is saved without settings: servers read it there.

    Args:
        tokenizer: Saved with the checkpoint; changed.
        model: The model, with an adapter or without; changed.
        rows: What is trained.

    Raises:
        TrainingDataError: An adapter's tokenizer cannot be given the token, since its chat template writes
            the one that it has.
    """
    ends = turn_ends(rows)
    settings = model.generation_config
    if not set(ends) <= set(_ids(settings.eos_token_id)):
        settings.eos_token_id = _plain([*_ids(settings.eos_token_id), *ends])
    config = model.config
    if config.eos_token_id is not None and not set(ends) <= set(_ids(config.eos_token_id)):
        config.eos_token_id = _plain([*_ids(config.eos_token_id), *ends])
    if not ends or tokenizer.eos_token_id in ends:
        return
    if "eos_token" not in (tokenizer.chat_template or ""):
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token  # before it becomes a token that is trained
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(ends[0])
    elif hasattr(model, "peft_config"):
        raise TrainingDataError(
            f"turns end with {tokenizer.convert_ids_to_tokens(ends[0])!r}, and the chat template writes the "
            f"tokenizer's eos_token {tokenizer.eos_token!r} elsewhere: whoever asks the adapter would wait "
            "for that one, and its answers would not stop; give the recipe a chat_template whose turns end "
            "with it"
        )


def _ids(value: Any) -> list[int]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _plain(ids: Sequence[int]) -> Any:
    unique = list(dict.fromkeys(ids))
    return unique[0] if len(unique) == 1 else unique
