"""Find out, token by token, that a row has just completed a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.inference.answer_text import AnswerText
from harness.scoring.text.thought import without_thought

__all__ = ["StopFinder"]

_HALF = "\ufffd"  # what a decoder writes for bytes that are no character yet
_MARGIN = 8  # characters by which the beginning of a decoded tail may differ from the whole text


class StopFinder:
    """Looks for stop strings in what a tokenizer makes of the newest tokens.

    A stop string ends with the newest token or not yet, so decoding is needed only where that token's own
    text can hold the string's last character. Stop strings may span tokens, and characters may too.

    Args:
        tokenizer: Decodes.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._text = AnswerText(tokenizer)
        self._pieces: dict[int, str] = {}
        self._last: dict[tuple[str, ...], str | None] = {}

    def completed(self, tokens: Sequence[int], stops: tuple[str, ...], *, opened: bool = False) -> bool:
        """Whether the text of the tokens holds a stop string, given that it did not one token earlier.

        A stop string ends an answer. Within a thought before the answer it ends nothing.

        Args:
            tokens: All tokens of the answer so far, at least one.
            stops: The strings, none of them empty.
            opened: Whether the prompt began a thought.
        """
        if not (self._may_end(tokens[-1], stops) and self._holds(tokens, stops)):
            return False
        answer = without_thought(self._text.decode(tokens), opened=opened)
        return any(stop in answer for stop in stops)

    def _may_end(self, token: int, stops: tuple[str, ...]) -> bool:
        if stops not in self._last:
            ends = "".join({stop[-1] for stop in stops})
            # decoders add, strip and merge spaces between tokens: there the pieces say nothing
            self._last[stops] = None if any(end.isspace() and end != "\n" for end in ends) else ends
        if token not in self._pieces:
            self._pieces[token] = self._decode([token])
        piece, ends_of_stops = self._pieces[token], self._last[stops]
        return ends_of_stops is None or _HALF in piece or any(end in piece for end in ends_of_stops)

    def _holds(self, tokens: Sequence[int], stops: tuple[str, ...]) -> bool:
        needed = max(map(len, stops)) + len(self._pieces[tokens[-1]]) + _MARGIN
        width = needed
        while True:  # byte tokens and skipped special tokens make less than a character each
            text = self._decode(tokens[-width:])
            if len(text) >= needed or width >= len(tokens):
                return any(stop in text for stop in stops)
            width *= 2

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
