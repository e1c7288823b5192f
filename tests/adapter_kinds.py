"""Adapters of many kinds on one tiny base, and what PEFT alone makes of each: a fresh base, a fresh load."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "PROMPTS", "TEXTS", "Answers", "answers_of_ours", "answers_of_peft", "save_kind"]

_QV = {"target_modules": ["q_proj", "v_proj"]}
KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # name → PEFT's configuration class and its settings; the base's embeddings are tied
    "lora": ("LoraConfig", {"target_modules": "all-linear"}),
    "rslora": ("LoraConfig", {"target_modules": "all-linear", "use_rslora": True}),
    "rank pattern": ("LoraConfig", {**_QV, "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 32}}),
    "one layer": ("LoraConfig", {**_QV, "layers_to_transform": [1]}),
    "dora": ("LoraConfig", {**_QV, "use_dora": True}),
    "pissa": ("LoraConfig", {**_QV, "init_lora_weights": "pissa"}),
    "olora": ("LoraConfig", {**_QV, "init_lora_weights": "olora"}),
    "all biases": ("LoraConfig", {**_QV, "bias": "all"}),
    "biases of its layers": ("LoraConfig", {**_QV, "bias": "lora_only"}),
    "bias of its own": ("LoraConfig", {**_QV, "lora_bias": True}),
    "saved norms": ("LoraConfig", {**_QV, "modules_to_save": ["input_layernorm"]}),
    "saved embeddings": ("LoraConfig", {**_QV, "modules_to_save": ["embed_tokens", "lm_head"]}),
    "tied head": ("LoraConfig", {"target_modules": ["q_proj", "lm_head"]}),
    "tied embeddings": ("LoraConfig", {"target_modules": ["q_proj", "embed_tokens"]}),
    "trainable tokens": ("LoraConfig", {**_QV, "trainable_token_indices": [5, 6, 40, 41]}),
    "added tokens": ("LoraConfig", {**_QV}),
    "ia3": ("IA3Config", {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}),
    "lokr": ("LoKrConfig", {**_QV}),
    "norm tuning": ("LNTuningConfig", {"target_modules": ["input_layernorm"]}),
}
PROMPTS = ("Hi", "Where is my order number 4411? It should have come last Tuesday.", "Refund please")
TEXTS = (("The parcel is", " late today"), ("Refund", " please"))
_TOKENS = 12


@dataclass(frozen=True)
class Answers:
    """What a checkpoint answers to `PROMPTS`, and the log-likelihoods of `TEXTS` (natural logarithms)."""

    texts: tuple[str, ...]
    likelihoods: tuple[float, ...]

    def is_near(self, other: Answers) -> bool:
        """Whether the texts are equal and log-likelihoods differ by rounding at most."""
        pairs = zip(self.likelihoods, other.likelihoods, strict=True)
        return self.texts == other.texts and all(abs(ours - theirs) <= 1e-4 for ours, theirs in pairs)


def save_kind(
    path: Path, base: Path, kind: str, settings: Mapping[str, Any], *, seed: int, added: int = 0
) -> Path:
    """Save a random adapter that changes its base's answers.

    Args:
        path: Where to.
        base: Directory of the base.
        kind: Name of PEFT's configuration class.
        settings: What it is given.
        seed: Of the adapter's numbers.
        added: Tokens that the tokenizer gets, with embeddings that the adapter brings.
    """
    import peft
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if added:
        tokenizer.add_special_tokens(
            {"additional_special_tokens": [f"<new{index}>" for index in range(added)]}
        )
        model.resize_token_embeddings(len(tokenizer))
    rank = {"r": 4, "lora_alpha": 8} if kind == "LoraConfig" else {}
    with warnings.catch_warnings():  # PEFT tells of keys that it put in itself, and of tied weights
        warnings.simplefilter("ignore")
        wrapped = peft.get_peft_model(model, getattr(peft, kind)(task_type="CAUSAL_LM", **rank, **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    wrapped.peft_config["default"].base_model_name_or_path = str(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped.save_pretrained(path)
    if added:
        tokenizer.save_pretrained(path)
    return path


def answers_of_peft(path: Path, base: Path) -> Answers:
    """Ask an adapter as PEFT's documentation does, one prompt at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    own = (path / "tokenizer_config.json").is_file()
    tokenizer = AutoTokenizer.from_pretrained(path if own else base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if own:
        model.resize_token_embeddings(len(tokenizer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(model, str(path)).eval()
    with torch.inference_mode():
        texts = [_generated(model, tokenizer, prompt) for prompt in PROMPTS]
        likelihoods = [_likelihood(model, tokenizer, prompt, text) for prompt, text in TEXTS]
    return Answers(tuple(texts), tuple(likelihoods))


def answers_of_ours(backend: Any, checkpoint: Any) -> Answers:
    """Ask a checkpoint through a backend of ours, everything at once."""
    from harness.cases import Continuation, Message, Request, Sampling

    sampling = Sampling(max_tokens=_TOKENS)
    asked: Sequence[Request] = [
        *(Request((Message("user", prompt),), sampling=sampling, case_id=prompt) for prompt in PROMPTS),
        *(
            Request((Message("user", prompt),), raw=True, continuations=(Continuation(text, prompt),))
            for prompt, text in TEXTS
        ),
    ]
    responses = dict(backend.generate(checkpoint, asked))
    ordered = [responses[index] for index in range(len(asked))]
    count = len(PROMPTS)
    return Answers(
        tuple(response.text for response in ordered[:count]),
        tuple(response.likelihoods[0].logprob for response in ordered[count:]),
    )


def _generated(model: Any, tokenizer: Any, prompt: str) -> str:
    import torch

    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    tokens = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=_TOKENS,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return str(tokenizer.decode(tokens[0, ids.shape[1] :], skip_special_tokens=True))


def _likelihood(model: Any, tokenizer: Any, prompt: str, text: str) -> float:
    import torch

    before, whole = tokenizer(prompt).input_ids, tokenizer(prompt + text).input_ids
    logprobs = model(input_ids=torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(float(logprobs[at - 1, whole[at]]) for at in range(len(before), len(whole)))
