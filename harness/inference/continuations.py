"""From prompts and the texts that follow them to token ids, split where the text begins.

The same splits as lm-evaluation-harness 0.4 makes for causal models, so that likelihoods can be compared
with published ones: prompt and text are tokenised together, because a tokenizer may join them, and cut at the
length of the prompt alone; blanks at its end count as the text's; no prompt stands for one BOS token,
or EOS where there is no BOS. One difference: a text alone is never read after two BOS tokens. lm-eval's
`loglikelihood_rolling` does so where the tokenizer adds one, and counts it as a token of the text; its model
argument `add_bos_token=False` makes it ask what is asked here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import CheckpointError

__all__ = ["Encoded", "Wanted", "encode_continuations", "rolling_windows"]

_BLOCK = 512
"""Texts that are tokenised at a time: what a tokenizer returns took 122 bytes a token, the ids take four."""


@dataclass(frozen=True)
class Wanted:
    """A text whose likelihood is asked.

    Attributes:
        prompt: What it follows, as the model reads it; may be empty.
        text: Not empty.
        templated: Whether a chat template wrote the prompt, so that it has its special tokens already.
    """

    prompt: str
    text: str
    templated: bool = False


@dataclass(frozen=True)
class Encoded:
    """Token ids of a prompt (at least one) and of the text after it, or what is wrong with them."""

    prompt: array[int]
    text: array[int]
    problem: str | None = None


def encode_continuations(tokenizer: Any, wanted: Sequence[Wanted]) -> list[Encoded]:
    """Tokenise prompts and texts; the same string beside itself, as a prompt of several choices, once.

    Raises:
        CheckpointError: There is a text without a prompt, and the tokenizer has neither BOS nor EOS.
    """
    return [
        encoded
        for first in range(0, len(wanted), _BLOCK)
        for encoded in _encoded(tokenizer, wanted[first : first + _BLOCK])
    ]


def _encoded(tokenizer: Any, wanted: Sequence[Wanted]) -> list[Encoded]:
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    bos = None if start is None else str(tokenizer.decode([start]))
    split = [_split(one) for one in wanted]

    def key(string: str, one: Wanted) -> tuple[str, bool]:
        adds = bool(one.prompt) and not one.templated and not (bos and string.startswith(bos))
        return string, adds

    prompts = [key(prompt, one) for (prompt, _), one in zip(split, wanted, strict=True)]
    wholes = [key(prompt + text, one) for (prompt, text), one in zip(split, wanted, strict=True)]
    ids = _tokenised(tokenizer, {*prompts, *wholes})
    found = []
    for prompt_key, whole_key in zip(prompts, wholes, strict=True):
        prompt = ids[prompt_key]
        text = ids[whole_key][len(prompt) :]
        if not prompt:
            if start is None:
                raise CheckpointError(
                    "a text without a prompt follows the BOS or EOS token, and the tokenizer has neither"
                )
            prompt, text = _ids((start,)), text[1:] if text[:1] == _ids((start,)) else text
        problem = None
        if not text:
            problem = "the text adds no token to its prompt"
        elif tokenizer.bos_token_id is not None and prompt[:2] == _ids((tokenizer.bos_token_id,) * 2):
            problem = "the prompt begins with two BOS tokens"
        found.append(Encoded(prompt, text, problem))
    return found


def rolling_windows(tokens: Sequence[int], window: int) -> list[tuple[Sequence[int], int]]:
    """Cut a text that is longer than the context window, so that each token but the first is asked for once.

    Every window is as full as it can be. The first asks for all its tokens; each further one begins with the
    token before those that it asks for, the last with as many as fill it.

    Args:
        tokens: The text's ids, with the token that stands before the text.
        window: Most tokens that the model reads at once, ≥ 1.

    Returns:
        Tokens of each window, the last of them only asked for, and the index of the first that is asked for.
    """
    found = []
    for asked in range(1, len(tokens), window):
        end = min(asked + window, len(tokens))
        first = max(end - 1 - window, 0)
        found.append((tokens[first:end], asked - first))
    return found


def _split(one: Wanted) -> tuple[str, str]:
    """Move the prompt's trailing blanks to the text."""
    prompt = one.prompt.rstrip()
    return prompt, one.prompt[len(prompt) :] + one.text


def _tokenised(tokenizer: Any, wanted: set[tuple[str, bool]]) -> dict[tuple[str, bool], array[int]]:
    found = {("", False): _ids(()), ("", True): _ids(())}
    for adds in (False, True):
        strings = sorted(string for string, special in wanted if special is adds and string)
        if strings:
            ids = tokenizer(strings, add_special_tokens=adds, return_attention_mask=False)["input_ids"]
            found.update(zip(((string, adds) for string in strings), map(_ids, ids), strict=True))
    return found


def _ids(tokens: Iterable[int]) -> array[int]:
    """Return token ids in four bytes each: a large plan has tens of millions of them."""
    return array("I", tokens)
