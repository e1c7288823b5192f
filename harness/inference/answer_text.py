"""The text of an answer, special tokens left out but for those that a call or a thought is told by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.scoring.text.call_blocks import CALL_TOKENS
from harness.scoring.text.thought import THOUGHT_TOKENS

__all__ = ["AnswerText"]


class AnswerText:
    """Decodes answers.

    Mistral's `[TOOL_CALLS]`, Kimi's sections, harmony's channels and many other marks are special tokens:
    left out, what was a call would read as prose, and what was only thought as the answer.

    Args:
        tokenizer: Decodes.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(int(token) for token in tokenizer.all_special_ids)
        texts = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in self._special}
        ends = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}
        marks = {token for token, text in texts.items() if _is_mark(text)}
        if not any("channel" in text for text in texts.values()):  # `<|end|>` alone ends a turn of Phi's
            marks -= {
                token for token, text in texts.items() if text in ("<|start|>", "<|end|>", "<|message|>")
            }
        self._kept = frozenset(marks - ends)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of the tokens."""
        tokens = list(tokens)
        keeps = not self._kept.isdisjoint(tokens)
        if keeps:
            tokens = [token for token in tokens if token not in self._special or token in self._kept]
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=not keeps, clean_up_tokenization_spaces=False
        )
        return text


def _is_mark(text: str) -> bool:
    return CALL_TOKENS.search(text) is not None or THOUGHT_TOKENS.search(text) is not None
