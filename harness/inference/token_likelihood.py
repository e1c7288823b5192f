"""Likelihoods of token ids: packed over shared beginnings where the model allows it, padded elsewhere.

The numbers are sums of log-softmax at the tokens asked for, accumulated in float64. Only the logits at these
places are computed. When memory runs out, the number of tokens in a pass is halved, what is finished stays
finished, and what does not fit alone is an error.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import InferenceError
from harness.inference.attention import causal_lm, layout_attention
from harness.inference.company import reads_in_company
from harness.inference.layout_support import supports_layouts
from harness.inference.lengths import forget_longest, steady_length
from harness.inference.memory import config_number, free_bytes, is_out_of_memory, release
from harness.inference.packed_layout import KeptChains, PackedLayout
from harness.inference.padded import read_padded
from harness.inference.token_packs import Asked, Pack, packs
from harness.inference.token_tree import Passage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TokenLikelihood", "score_passages", "token_budget"]

_LEAST_TOKENS = 16
_SHARE = 0.25  # of free memory, for what one pass computes
_CPU_TOKENS, _GPU_TOKENS = 1024, 8192


@dataclass(frozen=True)
class TokenLikelihood:
    """What is known of one passage.

    Attributes:
        logprob: Natural logarithm of the probability of the tokens asked for, ≤ 0 and finite.
        greedy: Whether each of them is the most likely one.
        seconds: Wall time of the pass that finished it.
    """

    logprob: float
    greedy: bool
    seconds: float


def token_budget(model: Any) -> int:
    """Return how many tokens one pass may hold: a power of two that free memory and vocabulary allow."""
    inner = causal_lm(model)
    most = _CPU_TOKENS if inner.device.type == "cpu" else _GPU_TOKENS
    free = free_bytes(inner.device)
    if free is None:
        return most
    config = inner.config.get_text_config(decoder=True)
    widths = [config_number(config, name) or 0 for name in ("hidden_size", "intermediate_size")]
    each = 3 * 4 * inner.get_input_embeddings().weight.shape[0] + 8 * inner.dtype.itemsize * sum(widths)
    fits = max(int(free * _SHARE) // each, _LEAST_TOKENS)
    return min(most, 1 << (int(fits).bit_length() - 1))


def score_passages(
    model: Any, passages: Sequence[Passage], *, budget: int | None = None, packed: bool | None = None
) -> Iterator[tuple[int, TokenLikelihood | InferenceError]]:
    """Yield (index, likelihood or why there is none) of every passage, as passes finish.

    Args:
        model: A causal language model in evaluation mode, its adapter already chosen: what is kept of a
            prefix belongs to these weights and is dropped at the end.
        passages: What is asked; each fits the model's context window.
        budget: Most tokens in one pass; by default what `token_budget` says.
        packed: Whether shared beginnings are read once, by default where the model supports it.
    """
    budget = budget or token_budget(model)
    packs_it = supports_layouts(model) if packed is None else packed
    run = _Packed(model).run if packs_it else _Padded(model).run
    waiting = [list(range(len(passages)))] if passages else []
    while waiting:
        group = waiting.pop()
        left = dict.fromkeys(group)
        exhausted = 0
        try:
            for index, result in run([passages[index] for index in group], budget):
                del left[group[index]]
                yield group[index], result
        except _ExhaustedError as error:
            exhausted = error.tokens
        if not exhausted:
            continue
        release(causal_lm(model).device)  # after the exception and the tensors of its frames are gone
        rest = list(left)
        if budget > _LEAST_TOKENS and exhausted > _LEAST_TOKENS:
            budget = max(min(budget, exhausted) // 2, _LEAST_TOKENS)
            waiting.append(rest)
        elif len(rest) > 1:
            waiting += [rest[len(rest) // 2 :], rest[: len(rest) // 2]]
        else:
            detail = f"out of memory with {len(passages[rest[0]].tokens)} tokens alone"
            yield rest[0], InferenceError(detail)


class _ExhaustedError(Exception):
    """Memory ran out in a pass of so many tokens."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        super().__init__(tokens)


class _Sums:
    """What is known so far of each passage."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._missing = [len(passage.tokens) - passage.start for passage in passages]
        self._logprob = [0.0] * len(passages)
        self._greedy = [True] * len(passages)

    def add(
        self, asked: Sequence[Asked], logprobs: Sequence[float], greedy: Sequence[bool], seconds: float
    ) -> Iterator[tuple[int, TokenLikelihood | InferenceError]]:
        """Take in what a pass found; yield the passages that are complete now."""
        for want, logprob, most_likely in zip(asked, logprobs, greedy, strict=True):
            index = want.passage
            self._logprob[index] += logprob
            self._greedy[index] &= most_likely
            self._missing[index] -= 1
            if not self._missing[index]:
                total = self._logprob[index]
                if math.isfinite(total):
                    yield index, TokenLikelihood(min(total, 0.0), self._greedy[index], seconds)
                else:
                    yield index, InferenceError("the model's logits are not finite numbers")


_Results = Iterator[tuple[int, "TokenLikelihood | InferenceError"]]


@dataclass(frozen=True)
class _Packed:
    """Packs of a token tree, one forward pass each."""

    model: Any

    def run(self, passages: Sequence[Passage], budget: int) -> _Results:
        sums = _Sums(passages)
        kept: KeptChains = {}
        for pack in packs(passages, budget):
            started = time.perf_counter()
            logprobs, greedy = _guarded(functools.partial(self._forward, pack, kept), len(pack.tokens))
            for key in pack.drop:
                del kept[key]
            yield from sums.add(pack.asked, logprobs, greedy, time.perf_counter() - started)

    def _forward(self, pack: Pack, kept: KeptChains) -> tuple[list[float], list[bool]]:
        import torch

        inner = causal_lm(self.model)
        device = inner.device
        rows = torch.tensor([want.row for want in pack.asked], dtype=torch.long)
        unique, place = torch.unique(rows, return_inverse=True)
        with torch.inference_mode(), layout_attention(self.model):
            logits = self.model(
                input_ids=torch.tensor([pack.tokens], device=device),
                position_ids=torch.tensor([pack.positions], device=device),
                use_cache=False,
                logits_to_keep=unique.to(device),
                layout=PackedLayout(pack, kept, dtype=inner.dtype, device=device),
            ).logits[0]
            return _log_softmax_at(logits, place, [want.token for want in pack.asked])


@dataclass(frozen=True)
class _Padded:
    """Rows of like length, padded on the right, through the model's own attention; alone where it shows."""

    model: Any

    def run(self, passages: Sequence[Passage], budget: int) -> _Results:
        sums = _Sums(passages)
        same: dict[
            tuple[int, ...], list[int]
        ] = {}  # what is read is the same where only the last token differs
        for index, passage in enumerate(passages):
            same.setdefault(tuple(passage.tokens[: passage.read]), []).append(index)
        steady = steady_length(self.model) if reads_in_company(self.model) else 0
        queue = sorted(same, key=len, reverse=True)
        while queue:
            alone = steady is not None and len(queue[0]) > steady
            rows = queue[: 1 if alone else max(budget // len(queue[0]), 1)]
            del queue[: len(rows)]
            if alone:
                forget_longest(self.model)
            started = time.perf_counter()
            asked = [
                Asked(row * len(rows[0]) + position, passages[index].tokens[position + 1], index)
                for row, tokens in enumerate(rows)
                for index in same[tokens]
                for position in range(passages[index].start - 1, passages[index].read)
            ]
            logprobs, greedy = _guarded(
                functools.partial(self._forward, rows, asked), len(rows) * len(rows[0])
            )
            yield from sums.add(asked, logprobs, greedy, time.perf_counter() - started)
        forget_longest(self.model)

    def _forward(
        self, rows: Sequence[Sequence[int]], asked: Sequence[Asked]
    ) -> tuple[list[float], list[bool]]:
        import torch

        longest = len(rows[0])
        first = min(want.row % longest for want in asked)  # no logits before the first that is asked for
        with torch.inference_mode():
            logits = read_padded(self.model, rows, first=first)
            wanted = torch.tensor([want.row for want in asked])
            unique, place = torch.unique(wanted, return_inverse=True)
            at = (unique // longest).to(logits.device), (unique % longest - first).to(logits.device)
            return _log_softmax_at(logits[at], place, [want.token for want in asked])


def _guarded(
    forward: Callable[[], tuple[list[float], list[bool]]], tokens: int
) -> tuple[list[float], list[bool]]:
    """Run a pass; say how large it was when memory runs out."""
    try:
        return forward()
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not is_out_of_memory(error):
            raise
    raise _ExhaustedError(tokens)


def _log_softmax_at(logits: Tensor, rows: Tensor, tokens: Sequence[int]) -> tuple[list[float], list[bool]]:
    """Return the log-probability of each token at its row of the logits, and whether it is the most likely.

    Args:
        logits: Shape (rows, vocabulary), of any floating type.
        rows: One for each token.
        tokens: Token ids.
    """
    import torch

    logits = logits.float()
    most_likely, normaliser = logits.argmax(-1), logits.logsumexp(-1).double()
    rows, asked = rows.to(logits.device), torch.tensor(tokens, dtype=torch.long, device=logits.device)
    logprobs = logits[rows, asked].double() - normaliser[rows]
    return logprobs.tolist(), (most_likely[rows] == asked).tolist()
