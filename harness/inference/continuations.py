"""From prompts and the texts that follow them to token ids, split where the text begins.

The same splits as lm-evaluation-harness 0.4 makes for causal models, so that likelihoods can be compared
with published ones: prompt and text are tokenised together, because a tokenizer may join them, and cut at the
length of the prompt alone; blanks at its end count as the text's; no prompt stands for one BOS token,
or EOS where there is no BOS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import CheckpointError

__all__ = ["Encoded", "Wanted", "encode_continuations", "rolling_windows"]


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

    prompt: Sequence[int]
    text: Sequence[int]
    problem: str | None = None


def encode_continuations(tokenizer: Any, wanted: Sequence[Wanted]) -> list[Encoded]:
    """Tokenise prompts and texts, each different string once.

    Raises:
        CheckpointError: There is a text without a prompt, and the tokenizer has neither BOS nor EOS.
    """
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
        prompt = ids[prompt_key] if prompt_key[0] else []
        text = ids[whole_key][len(prompt) :]
        if not prompt:
            if start is None:
                raise CheckpointError(
                    "a text without a prompt follows the BOS or EOS token, and the tokenizer has neither"
                )
            prompt, text = ([start], text) if text[:1] != [start] else (text[:1], text[1:])
        problem = None
        if not text:
            problem = "the text adds no token to its prompt"
        elif tokenizer.bos_token_id is not None and prompt[:2] == [tokenizer.bos_token_id] * 2:
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


def _tokenised(tokenizer: Any, wanted: set[tuple[str, bool]]) -> dict[tuple[str, bool], list[int]]:
    found: dict[tuple[str, bool], list[int]] = {}
    for adds in (False, True):
        strings = sorted(string for string, special in wanted if special is adds and string)
        if strings:
            ids = tokenizer(strings, add_special_tokens=adds, return_attention_mask=False)["input_ids"]
            found.update(zip(((string, adds) for string in strings), ids, strict=True))
    return found
