"""Tiny random models of many architectures, and whether our answers are those of transformers.

`python tests/model_architectures.py` prints the table of docs/local-models.md.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["DEFAULT", "MODELS", "Compared", "build", "compare", "rows"]

TOKENIZER = Path(__file__).parents[1] / "examples" / "support-desk" / "models" / "base"
CLOSE = 1e-4
"""Two best logits closer than this are a tie that rounding may decide."""

_DENSE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
_HEAD = {"head_dim": 8}
_WINDOW = {"sliding_window": 12}
_MIXED_LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}
_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3}
_OWN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3}
_MAMBA2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}
_LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
_DELTA = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "shared_expert_intermediate_size": 16,
}
_LONGROPE = {
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "original_max_position_embeddings": 40,
    },
    "original_max_position_embeddings": 40,
}


def _rope(kind: str, **parameters: float) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **parameters}}


MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # name: (model type, settings)
    "apertus": ("apertus", _DENSE),
    "arcee": ("arcee", _DENSE),
    "bamba": ("bamba", _DENSE | _MAMBA2 | {"attn_layer_indices": [1]}),
    "bert, decoder": ("bert", _OWN | {"intermediate_size": 64, "is_decoder": True}),
    "bert, not causal": ("bert", _OWN | {"intermediate_size": 64}),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}),
    "codegen": ("codegen", _GPT | {"rotary_dim": 4}),
    "cohere": ("cohere", _DENSE),
    "cohere2": ("cohere2", _DENSE | _WINDOW | _MIXED_LAYERS),
    "deepseek_v2": ("deepseek_v2", _DENSE | _EXPERTS | _LATENT),
    "deepseek_v3": ("deepseek_v3", _DENSE | _EXPERTS | _LATENT),
    "ernie4_5": ("ernie4_5", _DENSE | _HEAD),
    "exaone4": ("exaone4", _DENSE | _WINDOW | _MIXED_LAYERS),
    "falcon, alibi": ("falcon", _OWN | {"alibi": True, "new_decoder_architecture": False}),
    "falcon, rotary": (
        "falcon",
        _OWN | {"alibi": False, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon_h1": ("falcon_h1", _DENSE | _MAMBA2 | {"mamba_d_ssm": 64}),
    "falcon_mamba": ("falcon_mamba", {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 2}),
    "gemma": ("gemma", _DENSE | _HEAD),
    "gemma2": ("gemma2", _DENSE | _HEAD | _WINDOW | {"query_pre_attn_scalar": 8}),
    "gemma3_text": ("gemma3_text", _DENSE | _HEAD | _WINDOW | _MIXED_LAYERS | {"query_pre_attn_scalar": 8}),
    "glm4": ("glm4", _DENSE | _HEAD),
    "gpt2": ("gpt2", _GPT),
    "gpt_bigcode": ("gpt_bigcode", _GPT),
    "gpt_neo": (
        "gpt_neo",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 12,
            "max_position_embeddings": 256,
            "initializer_range": 0.3,
        },
    ),
    "gpt_neox": ("gpt_neox", _DENSE | {"rotary_pct": 0.25}),
    "gpt_oss": ("gpt_oss", _DENSE | _HEAD | _EXPERTS | _WINDOW),
    "gptj": ("gptj", _GPT | {"rotary_dim": 4}),
    "granite": ("granite", _DENSE | {"attention_multiplier": 0.3, "logits_scaling": 2.0}),
    "granitemoehybrid": (
        "granitemoehybrid",
        _DENSE | _EXPERTS | _MAMBA2 | {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 32},
    ),
    "helium": ("helium", _DENSE | _HEAD),
    "jamba": (
        "jamba",
        _DENSE
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "use_mamba_kernels": False,
            "mamba_d_state": 8,
        },
    ),
    "lfm2": ("lfm2", _DENSE | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
    "llama": ("llama", _DENSE),
    "llama, dynamic": ("llama", _DENSE | _rope("dynamic") | {"max_position_embeddings": 40}),
    "llama, llama3": (
        "llama",
        _DENSE
        | _rope("llama3", original_max_position_embeddings=32, low_freq_factor=1.0, high_freq_factor=4.0),
    ),
    "llama, longrope": ("llama", _DENSE | _LONGROPE),
    "llama, yarn": ("llama", _DENSE | _rope("yarn", original_max_position_embeddings=64)),
    "llama4_text": (
        "llama4_text",
        _DENSE
        | _HEAD
        | {
            "num_local_experts": 2,
            "intermediate_size_mlp": 64,
            "attention_chunk_size": 12,
            "no_rope_layers": [1, 0],
            "floor_scale": 36,
            "attn_scale": 0.5,
        },
    ),
    "mamba": (
        "mamba",
        {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 2, "initializer_range": 0.3},
    ),
    "mamba2": (
        "mamba2",
        {
            "hidden_size": 32,
            "state_size": 8,
            "num_hidden_layers": 2,
            "num_heads": 8,
            "head_dim": 8,
            "expand": 2,
            "n_groups": 1,
            "chunk_size": 8,
            "initializer_range": 0.3,
        },
    ),
    "minimax": (
        "minimax",
        _DENSE | _HEAD | _EXPERTS | {"block_size": 8, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "mistral": ("mistral", _DENSE | {"sliding_window": None}),
    "mistral, window": ("mistral", _DENSE | _WINDOW),
    "mixtral": ("mixtral", _DENSE | _EXPERTS | {"sliding_window": None}),
    "mpt": (
        "mpt",
        {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 256, "initializer_range": 0.3},
    ),
    "nemotron": ("nemotron", _DENSE),
    "olmo2": ("olmo2", _DENSE),
    "olmoe": ("olmoe", _DENSE | _EXPERTS),
    "opt": (
        "opt",
        _OWN | {"ffn_dim": 64, "max_position_embeddings": 256, "word_embed_proj_dim": 32, "init_std": 0.3},
    ),
    "phi": ("phi", _DENSE),
    "phi3": ("phi3", _DENSE),
    "phi3, longrope": ("phi3", _DENSE | _LONGROPE),
    "qwen2": ("qwen2", _DENSE | {"tie_word_embeddings": True}),
    "qwen2_moe": ("qwen2_moe", _DENSE | _EXPERTS | {"shared_expert_intermediate_size": 32}),
    "qwen3": ("qwen3", _DENSE | _HEAD),
    "qwen3_5_text": ("qwen3_5_text", _DENSE | _HEAD | _DELTA),
    "qwen3_moe": ("qwen3_moe", _DENSE | _HEAD | _EXPERTS),
    "qwen3_next": ("qwen3_next", _DENSE | _HEAD | _EXPERTS | _DELTA),
    "recurrent_gemma": (
        "recurrent_gemma",
        _OWN
        | {"intermediate_size": 96, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 12},
    ),
    "rwkv": ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}),
    "smollm3": ("smollm3", _DENSE),
    "stablelm": ("stablelm", _DENSE),
    "starcoder2": ("starcoder2", _DENSE),
    "xglm": (
        "xglm",
        {
            "d_model": 32,
            "ffn_dim": 64,
            "num_layers": 2,
            "attention_heads": 4,
            "max_position_embeddings": 256,
            "init_std": 0.3,
        },
    ),
}

DEFAULT = (
    "bamba", "bert, not causal", "falcon, alibi", "gemma2", "gpt_oss", "jamba", "lfm2", "llama, dynamic",
    "llama4_text", "mamba", "minimax", "mistral, window", "phi3, longrope", "qwen2", "recurrent_gemma",
    "rwkv",
)  # fmt: skip
"""One of each kind: shared prefixes, windows, sinks, ALiBi, states of several sorts, rotations by length."""

_QUESTION = "Where is my order number 4411? It should have come last Tuesday, and "
PROMPTS = (
    ("Hi", 12),
    (_QUESTION + "nobody answers the phone at all.", 5),
    ("Refund please", 3),
    (_QUESTION + "I want a refund for both of the red mugs.", 14),
    ("What is 12 + 30?", 14),
    (" a b c " * 12, 7),
)
"""What is asked, and the most tokens of its answer: short beside long, and rows that end before others."""

TEXTS = (
    ("The parcel is", " late today"),
    ("The parcel is", " here"),
    (_QUESTION + "nobody answers", " the phone at all, sorry about that"),
)


def build(name: str, path: Path) -> Path:
    """Save a random model of an architecture, its logits spread, beside the tokenizer of the example."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    kind, settings = MODELS[name]
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    ids = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **ids, **settings)
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2 and parameter.std() < 0.15:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@dataclass(frozen=True)
class Compared:
    """Our answers beside those of transformers.

    Attributes:
        attention: transformers' attention implementation that was chosen.
        decoding: How rows are decoded by default.
        answers: How many were compared.
        differing: Prompts whose answer is another one, in company or alone.
        close: How many answers differ, and have a step at which rounding may decide.
        likelihoods: Largest difference of log-likelihoods; None where they are refused.
        refused: Why they are.
    """

    attention: str
    decoding: str
    answers: int
    differing: tuple[str, ...]
    close: int
    likelihoods: float | None
    refused: str = ""


def compare(path: Path) -> Compared:
    """Ask a model through our backend, all at once and one by one, and through transformers."""
    from harness.cases import Continuation, Message, Request, Sampling
    from harness.errors import CheckpointError
    from harness.plugins.backends.hf import HFBackend
    from harness.protocols import BackendOptions

    with tempfile.TemporaryDirectory() as state:
        backend = HFBackend(BackendOptions(root=path.parent, state=Path(state)))
        checkpoint = backend.resolve(path.name, path.name)
        asked = [
            Request((Message("user", prompt),), sampling=Sampling(max_tokens=most), case_id=str(index))
            for index, (prompt, most) in enumerate(PROMPTS)
        ]
        scored = [
            Request((Message("user", prompt),), raw=True, continuations=(Continuation(text, prompt),))
            for prompt, text in TEXTS
        ]
        together = dict(backend.generate(checkpoint, asked))
        alone = [dict(backend.generate(checkpoint, [request]))[0] for request in asked]
        refused = ""
        found: list[float] = []
        try:
            responses = dict(backend.generate(checkpoint, scored))
            found = [responses[index].likelihoods[0].logprob for index in range(len(scored))]
        except CheckpointError as error:
            refused = str(error)
        decoding = _decoding(backend._loaded.model, checkpoint.numerics["batching"])
        backend.close()
    own, gaps, likelihoods = _by_transformers(path)
    differing, close = [], 0
    for index, text in enumerate(own):
        if (together[index].text, alone[index].text) != (text, text):
            close += gaps[index] < CLOSE
            differing += [] if gaps[index] < CLOSE else [PROMPTS[index][0]]
    largest = max((abs(a - b) for a, b in zip(found, likelihoods, strict=False)), default=None)
    return Compared(
        checkpoint.numerics["attention"],
        decoding,
        len(asked),
        tuple(differing),
        close,
        None if refused else largest,
        refused,
    )


def _decoding(model: Any, batching: str) -> str:
    from harness.inference.company import continues_in_company
    from harness.inference.lengths import steady_length

    if batching == "cascade":
        return "shared prefixes"
    if not continues_in_company(model):
        return "one by one"
    longest = steady_length(model)
    return "side by side" if longest is None else f"side by side to {longest} tokens, one by one beyond"


def _by_transformers(path: Path) -> tuple[list[str], list[float], list[float]]:
    """Return the answers of `generate`, the smallest gap of two best logits in each, and log-likelihoods."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    answers, gaps, likelihoods = [], [], []
    for prompt, most in PROMPTS:
        # a model of its own for each: some keep what they read last
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                output_logits=True,
                return_dict_in_generate=True,
            )
        best = torch.stack([logits[0].topk(2).values for logits in found.logits])
        gaps.append(float((best[:, 0] - best[:, 1]).min()))
        answers.append(tokenizer.decode(found.sequences[0, ids.shape[1] :], skip_special_tokens=True))
    for prompt, text in TEXTS:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        before, whole = tokenizer(prompt).input_ids, tokenizer(prompt + text).input_ids
        with torch.inference_mode():
            # the last token is not read: a model whose rotations go by length would read it all otherwise
            logprobs = model(torch.tensor([whole[:-1]])).logits[0].double().log_softmax(-1)
        likelihoods.append(sum(float(logprobs[at - 1, whole[at]]) for at in range(len(before), len(whole))))
    return answers, gaps, likelihoods


def rows(names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the table, as Markdown."""
    yield "| architecture | attention | decoding | answers equal `generate`'s | log-likelihoods differ by |"
    yield "| --- | --- | --- | --- | --- |"
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            compared = compare(build(name, Path(folder) / "model"))
        equal = f"{compared.answers - len(compared.differing) - compared.close} of {compared.answers}"
        last = (
            f"≤ {_rounded_up(compared.likelihoods)}"
            if compared.likelihoods is not None
            else "refused: no causal model"
        )
        yield f"| {name} | {compared.attention} | {compared.decoding} | {equal} | {last} |"


def _rounded_up(difference: float) -> str:
    """Return the next power of ten, which is the same on every machine, or nearly."""
    return next((f"1e-{digits}" for digits in (4, 3, 2, 1) if difference <= 10.0**-digits), "1")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for line in rows(sys.argv[1:] or list(MODELS)):
        print(line, flush=True)
