"""Likelihoods beside those of lm-eval's own Hugging Face model: same tokens, same numbers, same greed."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.cases import Message, Request
from harness.inference.likelihood import score
from harness.likelihood import Continuation

WINDOW = 48
TEXT = "The red box holds seven keys. Which key opens the café door?\nAnswer: the ninth key, no.\n\n"
START = "<s>"
PAIRS = [
    ("Which key", " opens the door"),
    ("Which key ", "opens"),  # the blank is the text's
    ("Answer: ", " the ninth"),
    ("The red b", "ox holds"),  # no token ends where the prompt does
    ("The café", " dôor ☃"),
    ("Which key opens the box?\nAnswer:", " the ninth\n"),
    ("Which key opens the box?\nAnswer:", " the seventh\n"),
    ("", "The red box"),
    ("", f"{START}The red box"),
    (f"{START}The red", " box"),
    (f"The {START} red", " box"),
]


@functools.cache
def tokenizer(begins: bool) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer: one that begins each text with a BOS, or one that has only an EOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=[START, "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([TEXT] * 5, trainer)
    if not begins:
        return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>")
    raw.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=START, eos_token="</s>", pad_token="</s>")


@functools.cache
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=WINDOW,
        bos_token_id=0,
        eos_token_id=1,
    )
    made = LlamaForCausalLM(config).eval()
    with torch.no_grad():  # spread the logits, so that a wrong token gives another number
        made.lm_head.weight.mul_(40.0)
    return made


def peer(begins: bool, **options: Any) -> tuple[Any, Any]:
    """Return lm-eval's model and its class of requests.

    Without its cache of logits, which takes those of the wrong place where the same tokens are divided
    differently into prompt and text, as some are here.
    """
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    options["logits_cache"] = False
    made = huggingface.HFLM(
        pretrained=model(), tokenizer=tokenizer(begins), batch_size=3, device="cpu", **options
    )
    return made, pytest.importorskip("lm_eval.api.instance").Instance


def likelihoods(begins: bool, pairs: list[tuple[str, str]]) -> list[tuple[float, bool]]:
    requests = [
        Request(
            (Message("user", prompt),) if prompt else (),
            continuations=(Continuation(text),),
            raw=True,
            case_id=f"c{place}",
        )
        for place, (prompt, text) in enumerate(pairs)
    ]
    found = dict(score(model(), tokenizer(begins), requests))
    return [(one.logprob, one.greedy) for i in range(len(pairs)) for one in found[i].likelihoods]


@pytest.mark.parametrize("begins", [True, False], ids=["bos", "no-bos-no-pad"])
def test_likelihoods_are_those_of_lm_eval(begins: bool) -> None:
    lm, instance = peer(begins)
    draw = random.Random(0)
    drawn = [
        (TEXT[(at := draw.randrange(40)) : at + draw.randrange(1, 40)], draw.choice(PAIRS)[1])
        for _ in range(40)
    ]

    def tokens(text: str) -> int:
        return len(tokenizer(begins)(text)["input_ids"])

    # lm-eval stops where a prompt swallows its text
    pairs = [pair for pair in (*PAIRS, *drawn) if tokens("".join(pair)) > tokens(pair[0].rstrip())]
    assert len(pairs) > 40
    expected = lm.loglikelihood([instance("loglikelihood", {}, pair, 0) for pair in pairs], disable_tqdm=True)
    found = likelihoods(begins, pairs)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    assert [logprob for logprob, _ in found] == pytest.approx([one for one, _ in expected], abs=1e-4)


@pytest.mark.parametrize("begins", [True, False], ids=["bos", "no-bos-no-pad"])
def test_whole_texts_are_those_of_lm_eval(begins: bool) -> None:
    lm, instance = peer(begins, **({"add_bos_token": False} if begins else {}))
    texts = ["The", TEXT, TEXT * 3, (TEXT * 9)[:-1]]  # the window is passed several times
    expected = lm.loglikelihood_rolling(
        [instance("loglikelihood_rolling", {}, (text,), 0) for text in texts], disable_tqdm=True
    )
    found = likelihoods(begins, [("", text) for text in texts])
    assert [logprob for logprob, _ in found] == pytest.approx(expected, abs=1e-3)


def test_a_text_alone_follows_one_bos_where_lm_eval_counts_two() -> None:
    lm, instance = peer(begins=True)
    (counted,) = lm.loglikelihood_rolling([instance("loglikelihood_rolling", {}, ("The",), 0)])
    with torch.inference_mode():
        (token,) = tokenizer(False)("The")["input_ids"]
        logprobs = model()(input_ids=torch.tensor([[0, 0]])).logits[0].double().log_softmax(-1)
    assert counted == pytest.approx(float(logprobs[0, 0] + logprobs[1, token]), abs=1e-4)
    assert likelihoods(True, [("", "The")])[0][0] == pytest.approx(float(logprobs[0, token]), abs=1e-4)
