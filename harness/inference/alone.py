"""Decoding for rows that may have no company: one at a time, by the `generate` of transformers itself.

It is what every model's own authors test, so it holds for state that lives in the model, for caches of other
kinds, and for rotations that are computed anew in mid-answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.inference.attention import causal_lm
from harness.inference.lengths import forget_longest
from harness.inference.memory import is_out_of_memory, release
from harness.inference.rows import Decoded, Row
from harness.inference.stop_strings import StopFinder
from harness.inference.token_choice import TokenChooser

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["decode_alone", "neutral_defaults"]


def decode_alone(
    model: Any, tokenizer: Any, rows: Mapping[int, Row], *, eos_ids: frozenset[int], pad_id: int
) -> Iterator[tuple[int, Decoded]]:
    """Continue every row until its end token, a stop string or its token limit, yielding each as it ends.

    A row that does not fit in memory ends with `error`.

    Args:
        model: A causal language model in evaluation mode.
        tokenizer: Decodes what is searched for stop strings.
        rows: What to continue, by index.
        eos_ids: Token ids that end a row; not part of the answer.
        pad_id: Any valid id; nothing is padded.
    """
    stops = StopFinder(tokenizer)
    chooser = TokenChooser(rows)
    inner = causal_lm(model)
    for index in sorted(rows, key=lambda index: (len(rows[index].prompt), index)):
        started = time.perf_counter()
        answer = _Answer(index, rows[index], chooser, stops, eos_ids)
        try:
            forget_longest(inner)
            answer.decode(inner, pad_id)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            answer.tokens, answer.reason = [], "error"
        if answer.reason == "error":
            release(inner.device)
        yield index, Decoded(tuple(answer.tokens), answer.reason, time.perf_counter() - started)
    forget_longest(inner)


class _Answer:
    """What one row becomes: chooses its tokens, and ends it."""

    def __init__(
        self, index: int, row: Row, chooser: TokenChooser, stops: StopFinder, eos_ids: frozenset[int]
    ) -> None:
        self._index, self._row, self._chooser = index, row, chooser
        self._stops, self._eos_ids = stops, eos_ids
        self.tokens: list[int] = []
        self.reason = "length"

    def decode(self, model: Any, pad_id: int) -> None:
        """Let transformers run the model, with our choice of tokens."""
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        prompt = torch.tensor([list(self._row.prompt)], device=model.device)
        with torch.inference_mode(), neutral_defaults(model) as settings:
            model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=settings(
                    max_new_tokens=self._row.max_tokens,
                    do_sample=False,
                    eos_token_id=sorted(self._eos_ids) or None,
                    pad_token_id=pad_id,
                ),
                logits_processor=LogitsProcessorList([self._choose]),
                stopping_criteria=StoppingCriteriaList([self._ended]),
            )
        self._chooser.forget(self._index)

    def _choose(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Leave the chosen token alone possible: be a logits processor of transformers."""
        (token,) = self._chooser.choose(scores, [self._index], [len(self.tokens)])
        if token in self._eos_ids:
            self.reason = "stop"
        else:
            self.tokens.append(token)
        only = scores.new_full(scores.shape, float("-inf"))
        only[:, token] = 0.0
        return only

    def _ended(self, input_ids: Tensor, scores: Tensor, **arguments: Any) -> Tensor:
        """Whether the newest token completes a stop string: be a stopping criterion of transformers."""
        import torch

        if (
            self._row.stop
            and self.reason != "stop"
            and self._stops.completed(self.tokens, self._row.stop, opened=self._row.opened)
        ):
            self.reason = "stop"
        return torch.full((1,), self.reason == "stop", device=input_ids.device)


@contextlib.contextmanager
def neutral_defaults(model: Any) -> Iterator[type[Any]]:
    """Keep the checkpoint's generation settings (penalties, sampling) out of `generate`.

    Yields:
        The class of transformers that settings are made of.
    """
    own = model.generation_config
    model.generation_config = type(own)()
    try:
        yield type(own)
    finally:
        model.generation_config = own
