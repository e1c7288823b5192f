"""Which token comes next: the most likely one, or a draw from the row's own random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.inference.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TokenChooser"]


class TokenChooser:
    """Chooses the next token of rows; what a row draws depends on its seed and its length alone.

    Args:
        rows: Every row that will be asked about, by index.
    """

    def __init__(self, rows: Mapping[int, Row]) -> None:
        self._rows = rows
        self._uniforms: dict[int, Sequence[float]] = {}

    def choose(self, logits: Tensor, indices: Sequence[int], lengths: Sequence[int]) -> list[int]:
        """Return the next token of each row.

        Args:
            logits: Shape (rows, vocabulary).
            indices: Which row each line of the logits is of.
            lengths: How many tokens each of them has been given already.
        """
        chosen = logits.argmax(-1)
        sampled = [place for place, index in enumerate(indices) if self._rows[index].temperature > 0]
        if sampled:
            asked = [(indices[place], lengths[place]) for place in sampled]
            chosen[sampled] = self._draw(logits[sampled], asked).to(chosen.device)
        tokens: list[int] = chosen.tolist()
        return tokens

    def forget(self, index: int) -> None:
        """Drop the random numbers of a row that has ended."""
        self._uniforms.pop(index, None)

    def _uniform(self, index: int, length: int) -> float:
        """Return the number in [0, 1) that decides a row's token at this length."""
        import torch

        if index not in self._uniforms:
            row = self._rows[index]
            generator = torch.Generator().manual_seed(row.seed)
            drawn = torch.rand(row.max_tokens, generator=generator, dtype=torch.float64)
            self._uniforms[index] = drawn.tolist()
        return self._uniforms[index][length]

    def _draw(self, logits: Tensor, asked: Sequence[tuple[int, int]]) -> Tensor:
        """Draw by the inverse of the distribution function over the nucleus (Holtzman et al. 2020).

        The whole distribution is walked in the order of the vocabulary, where rounding cannot swap two
        tokens that are about as likely as each other; a nucleus needs the order of probability.
        """
        import torch

        rows = [self._rows[index] for index, _ in asked]
        device = torch.device("cpu") if logits.device.type == "mps" else logits.device  # no float64 there

        def column(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device).unsqueeze(1)

        scaled = logits.to(device).double() / column([row.temperature for row in rows])
        probabilities = torch.softmax(scaled, dim=-1)
        uniforms = column([self._uniform(index, length) for index, length in asked])
        drawn = _inverse(probabilities, uniforms, probabilities.shape[-1])
        nucleus = [place for place, row in enumerate(rows) if row.top_p < 1]
        if nucleus:
            ranked, order = probabilities[nucleus].sort(dim=-1, descending=True, stable=True)
            before = ranked.cumsum(-1) - ranked
            inside = (before < column([rows[place].top_p for place in nucleus])).sum(-1, keepdim=True)
            rank = _inverse(ranked, uniforms[nucleus], inside)
            drawn[nucleus] = order.gather(1, rank)
        return drawn.squeeze(1)


def _inverse(probabilities: Tensor, uniforms: Tensor, inside: Tensor | int) -> Tensor:
    """Return the place in each line where the mass before it passes uniform × the mass of `inside` places."""
    import torch

    cumulative = probabilities.cumsum(-1)
    last = torch.as_tensor(inside, device=probabilities.device).expand(len(probabilities), 1) - 1
    targets = uniforms * cumulative.gather(1, last)
    found = torch.searchsorted(cumulative, targets, right=True)
    return found.minimum(last)
