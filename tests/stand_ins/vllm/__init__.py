"""Stands in for vLLM where it cannot run: the part of its interface that our backend uses, over transformers.

It has the signatures of vLLM 0.33 and refuses what the real one refuses of them, so that tests see what goes
in and what comes out. It says nothing of how the real engine computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vllm.lora.request import LoRARequest

CALLS: list[dict[str, Any]] = []


@dataclass
class SamplingParams:
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    stop: list[str] | None = None
    seed: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True


@dataclass
class Logprob:
    logprob: float
    rank: int


@dataclass
class CompletionOutput:
    text: str
    token_ids: list[int]
    finish_reason: str


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None


@dataclass
class ModelConfig:
    max_model_len: int


@dataclass
class LLM:
    model: str
    seed: int = 0
    dtype: str = "auto"
    max_model_len: int = 128
    enforce_eager: bool = False
    enable_lora: bool = False
    max_lora_rank: int = 16
    loaded: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from transformers import AutoTokenizer

        self.model_config = ModelConfig(self.max_model_len)
        self._tokenizer = AutoTokenizer.from_pretrained(self.model)
        CALLS.append(
            {"model": self.model, "enable_lora": self.enable_lora, "max_lora_rank": self.max_lora_rank}
        )

    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[SamplingParams],
        *,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[RequestOutput]:
        CALLS.append({"prompts": prompts, "sampling": sampling_params, "lora": lora_request})
        if lora_request is not None and not self.enable_lora:
            raise ValueError("LoRA is not enabled!")
        model = self._model(lora_request)
        return [
            self._answer(model, prompt["prompt_token_ids"], params)
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    def _model(self, lora_request: LoRARequest | None) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        key = "" if lora_request is None else lora_request.lora_path
        if key not in self.loaded:
            model = AutoModelForCausalLM.from_pretrained(self.model)
            self.loaded[key] = PeftModel.from_pretrained(model, key) if key else model
        return self.loaded[key].eval()

    def _answer(self, model: Any, ids: list[int], params: SamplingParams) -> RequestOutput:
        import torch

        if len(ids) + 1 > self.max_model_len:
            raise ValueError(
                f"The decoder prompt (length {len(ids)}) is longer than the maximum model length"
            )
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)
            known: list[dict[int, Logprob] | None] = [None]
            for position, token in enumerate(ids[1:]):
                row = logprobs[position]
                said = {int(row.argmax()): Logprob(float(row.max()), 1)}
                said[token] = Logprob(float(row[token]), int((row > row[token]).sum()) + 1)
                known.append(said)
            written: list[int] = []
            reason = "length"
            while len(written) < params.max_tokens:
                row = model(torch.tensor([ids + written])).logits[0, -1]
                token = int(row.argmax())
                if token == self._tokenizer.eos_token_id:
                    reason = "stop"
                    break
                written.append(token)
                text = self._tokenizer.decode(written, skip_special_tokens=True)
                if any(stop in text for stop in params.stop or []):
                    reason = "stop"
                    break
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        for stop in params.stop or []:
            text = text.split(stop)[0]
        output = CompletionOutput(text, written, reason)
        return RequestOutput(ids, [output], known if params.prompt_logprobs is not None else None)
