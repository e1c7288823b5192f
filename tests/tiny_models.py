"""Random Llama checkpoints of a few thousand parameters, to load and decode in tests."""

from __future__ import annotations

import json
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = [
    "the",
    "a",
    "refund",
    "order",
    "is",
    "to",
    "please",
    "help",
    "item",
    "seven",
    "nine",
    "red",
    "blue",
    "box",
    "of",
    "and",
    "with",
    "in",
    "now",
    "yes",
    "no",
]


def save_model(
    path: Path, *, seed: int = 0, layers: int = 2, hidden: int = 32, template: str | None = CHAT_TEMPLATE
) -> Path:
    """Save a random model with its word-level tokenizer; the same arguments make the same bytes."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<|end|>", "<unk>", "<|user|>", "<|assistant|>", "<|system|>"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<bos>",
        eos_token="<|end|>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=special[4:],
    )
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # spread the logits, so that greedy answers differ between prompts
        model.lm_head.weight.mul_(40.0)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def save_adapter(
    path: Path, base: Path, *, seed: int = 1, spelled: str | None = None, use_dora: bool = False
) -> Path:
    """Save a random LoRA adapter that changes its base's answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM.from_pretrained(base)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_alpha=8, use_dora=use_dora)
    wrapped = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.5)
    wrapped.save_pretrained(path)
    saved = json.loads((path / "adapter_config.json").read_text())
    saved["base_model_name_or_path"] = spelled or str(base)
    (path / "adapter_config.json").write_text(json.dumps(saved))
    return path
