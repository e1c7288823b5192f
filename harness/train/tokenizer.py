"""A tokenizer and chat template for a model that is trained from scratch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.train.recipe import NewTokenizer

__all__ = ["BOS", "CHAT_TEMPLATE", "PAD", "TURN_END", "TURN_START", "train_tokenizer"]

BOS = "<|bos|>"
PAD = "<|pad|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{- message['content'] + '<|im_end|>' }}{%- endgeneration %}
{%- else %}
{{- message['content'] + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
"""ChatML with a BOS token; the assistant's words and its end-of-turn token are marked for the loss."""


def train_tokenizer(texts: Iterable[str], settings: NewTokenizer, *, context_length: int) -> Any:
    """Train a byte-level BPE tokenizer and return it as a transformers tokenizer with `CHAT_TEMPLATE`.

    Every byte has a token, so any text can be encoded and decodes to itself. The same texts in the same
    order give the same tokenizer.

    Args:
        texts: Messages to learn merges from.
        settings: Vocabulary size and digit splitting.
        context_length: Longest sequence of the model, in tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    steps: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if settings.split_digits:
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=[PAD, BOS, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    wrap: Any = PreTrainedTokenizerFast  # its constructor carries no annotations
    return wrap(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
    )
