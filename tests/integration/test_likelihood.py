"""Choices and whole texts as gates: an adapter against its base, by the likelihoods of their own weights."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from tiny_models import WORDS, save_adapter, save_model

from .conftest import Project

MORE = """
import dataclasses

import pytest

import harness

@pytest.mark.suite("choices", name="normed")
def test_acc_norm(case, response):
    check = {"type": "choice", "normalize": "characters"}
    harness.check(dataclasses.replace(case, checks=(check,)), response)

@pytest.mark.suite("texts")
def test_perplexity(case, response, record_score):
    record_score(harness.check(case, response))
"""
BASE, ADAPTER = "models/base", "models/tuned"


class Reference:
    """A checkpoint in plain transformers and PEFT: one pass for each text."""

    def __init__(self, folder: Path, *, adapter: bool) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder / BASE)
        self.model = AutoModelForCausalLM.from_pretrained(folder / BASE)
        if adapter:
            self.model = PeftModel.from_pretrained(self.model, folder / ADAPTER)
        self.model.eval()

    def logprob(self, prompt: str, text: str) -> float:
        import torch

        ids, whole = (
            self.tokenizer(one, add_special_tokens=False)["input_ids"] for one in (prompt, prompt + text)
        )
        start = len(ids) or 1
        whole = whole if ids else [self.tokenizer.bos_token_id, *whole]
        with torch.inference_mode():
            logprobs = self.model(input_ids=torch.tensor([whole])).logits[0].double().log_softmax(-1)
        return sum(float(logprobs[place - 1, whole[place]]) for place in range(start, len(whole)))

    def prompt(self, case: dict[str, Any]) -> str:
        if case.get("raw"):
            return str(case["input"])
        messages = [{"role": "user", "content": case["input"]}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def chosen(self, case: dict[str, Any], *, per_character: bool = False) -> int:
        lengths = [len(text.lstrip()) if per_character else 1 for text in case["choices"]]
        logprobs = [self.logprob(self.prompt(case), text) for text in case["choices"]]
        values = [logprob / length for logprob, length in zip(logprobs, lengths, strict=True)]
        return values.index(max(values))


def drawn(draw: random.Random, count: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(count))


def questions(count: int) -> list[dict[str, Any]]:
    """Return cases after the same examples, with three choices of one to four words; half of them raw."""
    draw = random.Random(0)
    examples = drawn(draw, 40)
    return [
        {
            "id": f"q{i}",
            "input": f"{examples} {drawn(draw, 6)}",
            "choices": [f" {drawn(draw, count)}" for count in draw.sample([1, 2, 3, 4], 3)],
            "raw": i % 2 == 0,
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    save_model(folder / BASE)
    save_adapter(folder / ADAPTER, folder / BASE, spelled=BASE)
    return folder


def by_id(results: dict[str, Any], suite: str) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in results["cases"] if case["suite"] == suite}


@pytest.mark.needs("torch")
def test_an_adapter_is_gated_against_its_base_by_choices_and_texts(made: Path, project: Project) -> None:
    base, tuned = Reference(made, adapter=False), Reference(made, adapter=True)
    asked = questions(60)
    for place, case in enumerate(asked):  # the base chooses right in nine cases of ten
        right = base.chosen(case)
        case["target"] = right if place % 10 else (right + 1) % 3
    draw = random.Random(1)
    texts = [{"id": f"t{i}", "continuation": drawn(draw, 3 + i)} for i in range(40)]
    lengthy = {"id": "q-long", "input": drawn(draw, 200), "choices": [" yes", " no now"], "target": 0}
    unwindowed = {"id": "t-long", "continuation": drawn(draw, 300)}

    (project.path / "models").symlink_to(made / "models")
    project.golden("choices", [*asked, lengthy])
    project.golden("texts", [*texts, unwindowed])
    project.suite("choices")
    project.module(MORE, "suites/test_more.py")
    path = project.path / "results.json"
    done = project.run_process(f"--model={ADAPTER}", f"--baseline={BASE}", f"--harness-json={path}", "-ra")
    results = json.loads(path.read_text(encoding="utf-8"))
    said = done.stdout.str()
    assert done.ret == 1, said

    for golden, per_character in (("choices", False), ("normed", True)):
        found = by_id(results, golden)
        for case in asked:
            for model, key in ((tuned, "score"), (base, "baseline_score")):
                chosen = model.chosen(case, per_character=per_character)
                assert found[case["id"]][key] == float(chosen == case["target"]), (golden, case["id"], key)
    verdicts = {verdict["suite"]: verdict for verdict in results["verdicts"]}
    assert verdicts["choices"]["status"] == "REGRESSED", said
    assert {case["id"]: case["choices"][tuned.chosen(case)] for case in asked}.items() <= {
        name: case["output"] for name, case in by_id(results, "choices").items()
    }.items()
    plain, normed = (by_id(results, suite) for suite in ("choices", "normed"))
    assert any(plain[case["id"]]["score"] != normed[case["id"]]["score"] for case in asked)
    assert results["environment"]["requests"]["wanted"] == 2 * (61 + 41)  # both suites read the same answers

    overflow = by_id(results, "choices")["q-long"]
    assert overflow["outcome"] == "invalid"
    for part in ("prompt of 203 tokens", "continuation 0 (' yes') of 1 tokens", "window of 128"):
        assert part in overflow["explanation"]

    found = by_id(results, "texts")
    for text in texts:
        for model, key in ((tuned, "score"), (base, "baseline_score")):
            logprob = model.logprob("", text["continuation"])
            expected = math.exp(logprob / len(text["continuation"].split()))
            assert found[text["id"]][key] == pytest.approx(expected, rel=1e-3)
    assert 0 < found["t-long"]["score"] < 1
    assert found["t-long"]["outcome"] == "passed"
    assert verdicts["texts"]["mean"] == pytest.approx(sum(case["score"] for case in found.values()) / 41)
