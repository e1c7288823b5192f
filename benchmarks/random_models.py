"""Random models and made-up prompts for the speed benchmarks: the same bytes from the same seed, no download.

A random network costs what a trained one of its shape costs. With a wide initialisation its greedy answers
wander, so that stop strings end them at all lengths, as real answers end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SHAPES", "Shape", "make_model", "make_prompts"]

_CONSONANTS, _VOWELS = "bcdfghklmnprstvwz", "aeiou"
_CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """A model and the task that it is given.

    Attributes:
        architecture: Class of transformers' configuration.
        config: Its arguments.
        shared: Words that all prompts begin with.
        words: Fewest and most words of a prompt's own.
        stop: Strings that end an answer.
        max_tokens: Most tokens of an answer.
    """

    architecture: str
    config: dict[str, Any]
    shared: int
    words: tuple[int, int]
    stop: tuple[str, ...]
    max_tokens: int


SHAPES = {
    "llama-34m": Shape(
        "LlamaConfig",
        {
            "vocab_size": 8192,
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "num_key_value_heads": 8,
            "tie_word_embeddings": False,
        },
        shared=410,
        words=(22, 150),
        stop=("ra", "Question:"),
        max_tokens=64,
    ),
    "qwen2-27m": Shape(
        "Qwen2Config",
        {
            "vocab_size": 10000,
            "hidden_size": 448,
            "intermediate_size": 1216,
            "num_hidden_layers": 10,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        shared=160,
        words=(12, 80),
        stop=("\n\n", "la"),
        max_tokens=96,
    ),
}


def make_model(folder: Path, shape: Shape, *, seed: int = 0) -> Path:
    """Save a random model with a byte-level tokenizer; does nothing where it lies already."""
    import torch
    import transformers

    if (folder / "tokenizer.json").is_file():
        return folder
    torch.manual_seed(seed)
    config = getattr(transformers, shape.architecture)(
        **shape.config,
        max_position_embeddings=2048,
        initializer_range=0.06,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    _tokenizer(shape.config["vocab_size"]).save_pretrained(folder)
    return folder


def make_prompts(shape: Shape, count: int, *, seed: int = 1) -> list[str]:
    """Return prompts that begin alike, as with the same examples before each question."""
    draw = random.Random(seed)
    words = _words()
    shared = f"{_text(draw, words, shape.shared)}\n\n"
    low, high = shape.words
    # most questions are short, some are long
    lengths = [min(high, int(low * draw.lognormvariate(0.9, 0.5))) for _ in range(count)]
    return [f"{shared}Question: {_text(draw, words, max(length, low))}\nAnswer:" for length in lengths]


def _words() -> list[str]:
    draw = random.Random(0)
    syllables = [a + b for a in _CONSONANTS for b in _VOWELS]
    return ["".join(draw.choices(syllables, k=draw.choice((1, 2, 3, 3, 4)))) for _ in range(40_000)]


def _text(draw: random.Random, words: list[str], count: int) -> str:
    # few words are frequent and most are rare, as in any language
    ranks = (min(int(draw.paretovariate(0.35)), len(words)) - 1 for _ in range(count))
    return " ".join(words[rank] for rank in ranks)


def _tokenizer(vocabulary: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|pad|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    draw, words = random.Random(2), _words()
    lines = (f"Question: {_text(draw, words, 40)}\nAnswer: {_text(draw, words, 20)}\n\n" for _ in range(4000))
    raw.train_from_iterator(lines, trainer)
    ends = {"eos_token": "<|endoftext|>", "pad_token": "<|pad|>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=2048, **ends)
    tokenizer.chat_template = _CHAT
    return tokenizer
