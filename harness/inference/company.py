"""Which models give a row in a padded batch what they give it alone: the model itself is asked, once.

Three rows of other lengths are read and continued side by side as `padded` does it, and each of them alone.
Where the logits differ by more than rounding, or the model's code fails, rows get no company.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.inference.attention import causal_lm
from harness.inference.lengths import context_window, forget_longest, steady_length
from harness.inference.padded import PaddedBatch, read_padded

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["continues_in_company", "is_causal", "reads_in_company"]

_LENGTHS = (23, 6, 11)  # tokens of the three rows
_STEPS = 3  # tokens by which each row is continued
_LEAVES_AFTER = 1  # of these steps the last row ends
_LONGEST_BLOCK = 512  # tokens; a row of more would cost seconds where a model runs on a CPU
_TOLERANCE = {"float32": 1e-3, "float64": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""Root mean square of the logits' differences, in units of their standard deviation."""

_continuing: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_reading: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_causal: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def continues_in_company(model: Any) -> bool:
    """Whether rows padded on the left are continued as each would be alone, up to `steady_length`."""
    return _asked_once(causal_lm(model), _continuing, _continued, untold=False)


def reads_in_company(model: Any) -> bool:
    """Whether rows padded on the right are read as each would be alone, up to `steady_length`."""
    return _asked_once(causal_lm(model), _reading, _read, untold=False)


def is_causal(model: Any) -> bool:
    """Whether what a model makes of a token is left alone by the tokens that follow it."""
    return _asked_once(causal_lm(model), _causal, _cut, untold=True)


_Rows = Sequence[Sequence[int]]
_Logits = Sequence["Tensor"]
"""Of each row, shape (places, vocabulary), float32: from the last token of its prompt on."""


def _asked_once(
    model: Any,
    answers: weakref.WeakKeyDictionary[Any, bool],
    computed: Callable[[Any, _Rows], _Logits],
    *,
    untold: bool,
) -> bool:
    if model not in answers:
        answers[model] = _agrees(model, computed, untold)
    return answers[model]


def _agrees(model: Any, computed: Callable[[Any, _Rows], _Logits], untold: bool) -> bool:
    """Whether a model's logits are those that it computes from each row alone.

    Args:
        model: The model.
        computed: Computes them in another way.
        untold: What to answer where that fails, or where no row is short enough to tell.
    """
    import torch

    lengths = _lengths(model)
    if lengths is None:
        return untold
    vocabulary = model.get_input_embeddings().weight.shape[0]
    drawn = torch.randint(
        vocabulary, (len(lengths), max(lengths) + _STEPS), generator=torch.Generator().manual_seed(0)
    )
    rows = [drawn[row, : length + _STEPS].tolist() for row, length in enumerate(lengths)]
    tolerance = _TOLERANCE.get(str(model.dtype).removeprefix("torch."), 0.0)
    with torch.inference_mode():
        try:
            forget_longest(model)
            found = computed(model, rows)
            alone = [
                model(input_ids=torch.tensor([row], device=model.device)).logits[0].float() for row in rows
            ]
        except Exception:  # the model's code meets what it was not written for: it may raise anything
            return untold
    for row, logits in enumerate(found):
        first = lengths[row] - 1
        expected = alone[row][first : first + len(logits)]
        if expected.shape != logits.shape:
            return False
        if not float((logits - expected).square().mean().sqrt()) <= tolerance * float(expected.std()):
            return False
    return True


def _lengths(model: Any) -> tuple[int, ...] | None:
    """Return the tokens of each row; the longest is of more than a block, where the model works in blocks."""
    config = model.config.get_text_config(decoder=True)
    blocks = [
        size
        for name, size in config.to_dict().items()
        if ("chunk" in name or "block" in name) and type(size) is int and size <= _LONGEST_BLOCK
    ]
    longest = max([_LENGTHS[0], *(size + _LENGTHS[1] for size in blocks)])
    limits = (context_window(model), steady_length(model))
    room = min((limit - _STEPS for limit in limits if limit is not None), default=longest)
    if room < _LENGTHS[-1]:
        return None
    return min(longest, room), *_LENGTHS[1:]


def _continued(model: Any, rows: _Rows) -> _Logits:
    """Read all but the last tokens of each row, then these one by one; one row ends before the others."""
    import torch

    batch = PaddedBatch(model, [row[:-_STEPS] for row in rows], pad_id=0)
    active = list(range(len(rows)))
    found: list[list[Tensor]] = [[] for _ in rows]
    for step in range(_STEPS):
        for row, logits in zip(active, batch.logits(), strict=True):
            found[row].append(logits.float())
        if step == _LEAVES_AFTER:
            active = active[:-1]
            batch.keep(active)
        batch.extend([rows[row][step - _STEPS] for row in active])
    return [torch.stack(logits) for logits in found]


def _read(model: Any, rows: _Rows) -> _Logits:
    logits = read_padded(model, rows, first=0).float()
    return [logits[row, len(tokens) - _STEPS - 1 : len(tokens)] for row, tokens in enumerate(rows)]


def _cut(model: Any, rows: _Rows) -> _Logits:
    """Read each row alone without its last tokens."""
    import torch

    read = [torch.tensor([row[: 1 - _STEPS]], device=model.device) for row in rows]
    return [model(input_ids=tokens).logits[0, -2:].float() for tokens in read]
