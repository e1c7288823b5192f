"""Generation from requests: prompts and tokenizers at their edges, stop strings, several checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import WORDS, save_adapter, save_model

from harness.cases import Message, Request, Response, Sampling
from harness.errors import CheckpointError
from harness.inference.stop_strings import StopFinder
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions

CLOSE = 1e-4
BATCHING = pytest.mark.parametrize("batching", ["cascade", "left-padded"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    for seed, name in enumerate(("one", "two", "three"), start=1):
        save_adapter(root / name, root / "base", seed=seed)
    save_adapter(root / "dora", root / "base", seed=4, use_dora=True)
    return root


def backend(root: Path, batching: str = "auto", **arguments: str) -> HFBackend:
    return HFBackend(
        BackendOptions(root=root, state=root / ".harness", arguments={"batching": batching, **arguments})
    )


def asked(count: int = 16, **sampling: Any) -> list[Request]:
    sampling = {"max_tokens": 10, **sampling}
    texts = [" ".join(WORDS[n % 7 : n % 7 + 1 + n % 6]) + f" {WORDS[n]}" for n in range(count)]
    return [
        Request((Message("user", text),), Sampling(**sampling), case_id=f"c{n}")
        for n, text in enumerate(texts)
    ]


def answers(made: HFBackend, name: str, requests: Sequence[Request]) -> list[Response]:
    found = dict(made.generate(made.resolve(name, name), requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[index] for index in range(len(requests))]


def edit(path: Path, **changes: Any) -> None:
    held = json.loads(path.read_text())
    kept = {key: value for key, value in {**held, **changes}.items() if value is not None}
    path.write_text(json.dumps(kept))


# --- several checkpoints -------------------------------------------------------------------------------


def by_generate(model: Any, tokenizer: Any, request: Request) -> tuple[str, float]:
    """Return what `model.generate` answers at batch size 1, and the smallest gap of the two best logits."""
    text = tokenizer.apply_chat_template(
        [message.as_dict() for message in request.messages], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    found = model.generate(
        **ids,
        max_new_tokens=request.sampling.max_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.stack([logits[0].topk(2).values for logits in found.logits])
    answer = tokenizer.decode(found.sequences[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return answer, float((best[:, 0] - best[:, 1]).min())


@BATCHING
def test_a_base_and_its_adapters_answer_as_each_checkpoint_does_alone(models: Path, batching: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    requests = asked()
    together = backend(models, batching, weights="plain")
    tokenizer = AutoTokenizer.from_pretrained(models / "base")
    close, seen = 0, set()
    for name in ("one", "base", "two", "dora", "three", "base"):
        found = answers(together, name, requests)
        alone = AutoModelForCausalLM.from_pretrained(models / "base", dtype=torch.float32)
        if name != "base":
            alone = PeftModel.from_pretrained(alone, models / name).merge_and_unload()
        for request, response in zip(requests, found, strict=True):
            expected, gap = by_generate(alone, tokenizer, request)
            close += gap < CLOSE
            assert response.text == expected or gap < CLOSE
        seen.add(tuple(response.text for response in found))
    print(f"{close} of {6 * len(requests)} answers have a step with a top-2 gap below {CLOSE}")
    assert close < len(requests)
    assert len(seen) == 5


def test_checkpoints_of_another_base_take_its_place_in_memory(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "base", tmp_path / "base")
    save_model(tmp_path / "other", seed=5, layers=3)
    requests = asked(4)
    made = backend(tmp_path)
    first = [response.text for response in answers(made, "base", requests)]
    assert [response.text for response in answers(made, "other", requests)] != first
    assert made._loaded is not None
    assert made._loaded.path.name == "other"
    assert [response.text for response in answers(made, "base", requests)] == first


def test_a_base_is_its_files_again_bit_by_bit_after_adapters_were_in_it(models: Path) -> None:
    from safetensors.torch import load_file

    from harness.inference.packed_weights import weight_of

    made, requests = backend(models), asked(2)
    for name in ("one", "two", "base"):
        answers(made, name, requests)
    assert made._loaded is not None
    held = {
        f"{name}.weight": weight_of(layer)
        for name, layer in made._loaded.model.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }
    files = load_file(models / "base" / "model.safetensors")
    assert len(held) == 15
    assert all(torch.equal(weight, files[name]) for name, weight in held.items())


def test_a_base_whose_file_changes_under_its_adapters_is_not_used(models: Path, tmp_path: Path) -> None:
    for name in ("base", "one", "two"):
        shutil.copytree(models / name, tmp_path / name)
    for name in ("one", "two"):
        edit(tmp_path / name / "adapter_config.json", base_model_name_or_path=str(tmp_path / "base"))
    made = backend(tmp_path)
    checkpoints = [made.resolve(name, name) for name in ("one", "two")]
    list(made.generate(checkpoints[0], asked(2)))
    weights = tmp_path / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    with pytest.raises(CheckpointError, match="changed while it was in use"):
        list(made.generate(checkpoints[1], asked(2)))
    assert made._loaded is None


# --- prompts and tokenizers ----------------------------------------------------------------------------


@BATCHING
def test_an_empty_prompt_is_an_error_that_says_what_is_missing(tmp_path: Path, batching: str) -> None:
    save_model(tmp_path / "plain", template=None)
    requests = [Request((Message("user", ""),), Sampling(4)), *asked(2)]
    found = answers(backend(tmp_path, batching), "plain", requests)
    assert found[0].failed
    assert "the prompt is empty" in str(found[0].detail)
    assert not found[1].failed
    assert not found[2].failed


@BATCHING
def test_a_prompt_that_fills_the_window_but_for_one_token(models: Path, batching: str) -> None:
    """The window has 128 tokens: 127 of prompt leave one, 128 leave none."""
    made = backend(models, batching)
    probe = answers(made, "base", [Request((Message("user", "the"),), Sampling(1))])[0]
    around = int(probe.prompt_tokens or 0) - 1
    requests = [
        Request((Message("user", " ".join(["the"] * (length - around))),), Sampling(9), case_id=str(length))
        for length in (127, 128, 500)
    ]
    fits, full, long = answers(made, "base", requests)
    assert (fits.prompt_tokens, fits.completion_tokens or 0) in ((127, 0), (127, 1))
    assert full.finish_reason == long.finish_reason == "context_overflow"
    assert full.detail == "prompt of 128 tokens does not fit the context window of 128"
    assert long.detail == "prompt of 500 tokens does not fit the context window of 128"


@BATCHING
def test_an_answer_that_the_window_ends_says_so(models: Path, batching: str) -> None:
    request = Request((Message("user", " ".join(["the"] * 100)),), Sampling(400))
    (found,) = answers(backend(models, batching), "base", [request])
    if found.finish_reason == "length":
        assert (found.prompt_tokens or 0) + (found.completion_tokens or 0) == 128
        assert "context window of 128" in str(found.detail)
    else:
        pytest.fail("this model was to go on to the end of its window; choose another prompt")


@BATCHING
def test_a_tokenizer_without_pad_token(models: Path, tmp_path: Path, batching: str) -> None:
    shutil.copytree(models / "base", tmp_path / "base")
    edit(tmp_path / "base" / "tokenizer_config.json", pad_token=None)
    edit(tmp_path / "base" / "config.json", pad_token_id=None)
    edit(tmp_path / "base" / "generation_config.json", pad_token_id=None)
    made = backend(tmp_path, batching)
    found = answers(made, "base", asked())
    assert made._tokenizer(made.resolve("base", "base")).pad_token is None
    expected = answers(backend(models), "base", asked())
    assert [response.text for response in found] == [response.text for response in expected]


@BATCHING
def test_no_end_token_anywhere_and_no_pad_token(models: Path, tmp_path: Path, batching: str) -> None:
    shutil.copytree(models / "base", tmp_path / "base")
    edit(tmp_path / "base" / "tokenizer_config.json", pad_token=None, eos_token=None)
    for name in ("config.json", "generation_config.json"):
        edit(tmp_path / "base" / name, pad_token_id=None, eos_token_id=None)
    found = answers(backend(tmp_path, batching), "base", asked(6))
    assert {response.finish_reason for response in found} == {"length"}
    assert {response.completion_tokens for response in found} == {10}


@BATCHING
def test_a_generation_config_that_samples_leaves_greedy_greedy(
    models: Path, tmp_path: Path, batching: str
) -> None:
    shutil.copytree(models / "base", tmp_path / "base")
    edit(
        tmp_path / "base" / "generation_config.json",
        do_sample=True,
        temperature=5.0,
        top_k=3,
        repetition_penalty=3.0,
        max_length=9,
        suppress_tokens=list(range(7, 20)),
        forced_eos_token_id=2,
        no_repeat_ngram_size=1,
    )
    before = [response.text for response in answers(backend(models), "base", asked())]
    assert [response.text for response in answers(backend(tmp_path, batching), "base", asked())] == before


@BATCHING
def test_every_end_token_of_the_generation_config_ends_an_answer(
    models: Path, tmp_path: Path, batching: str
) -> None:
    plain = answers(backend(models), "base", asked())
    word = next(response for response in plain if len(response.text.split()) > 3).text.split()[2]
    shutil.copytree(models / "base", tmp_path / "base")
    ends = [2, 7 + WORDS.index(word)]
    edit(tmp_path / "base" / "generation_config.json", eos_token_id=ends)
    for response, before in zip(answers(backend(tmp_path, batching), "base", asked()), plain, strict=True):
        words = before.text.split()
        assert response.text.split() == (words[: words.index(word)] if word in words else words)


@BATCHING
def test_a_draw_depends_on_seed_case_and_sample_and_never_on_its_batch(models: Path, batching: str) -> None:
    requests = [
        Request(request.messages, Sampling(10, 1.0, 0.95, seed=seed), sample, case_id=request.case_id)
        for request in asked(5)
        for seed in (0, 1)
        for sample in (0, 1)
    ]
    found = [response.text for response in answers(backend(models, batching), "base", requests)]
    assert len(set(found)) > len(requests) / 2
    backwards = answers(backend(models, batching), "base", requests[::-1])[::-1]
    assert [response.text for response in backwards] == found
    for place in (0, 7, 19):
        (alone,) = answers(backend(models, batching), "base", [requests[place]])
        assert alone.text == found[place]


# --- stop strings --------------------------------------------------------------------------------------


@BATCHING
def test_a_stop_string_may_begin_in_one_token_and_end_in_another(models: Path, batching: str) -> None:
    full = answers(backend(models), "base", asked())
    words = next(response for response in full if len(response.text.split()) > 4).text.split()
    stop = f"{words[1][-1]} {words[2]} {words[3][:1]}"  # from within a word into another
    found = answers(backend(models, batching), "base", asked(stop=(stop,)))
    cut = 0
    for response, before in zip(found, full, strict=True):
        assert response.text == before.text.split(stop)[0]
        cut += stop in before.text
        assert response.finish_reason == ("stop" if stop in before.text else before.finish_reason)
    assert cut


def byte_level() -> Any:
    """A tokenizer whose tokens are bytes and a few pairs of them: characters span tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(["ab ab abc\n\nQ: é né 你好 ."] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")


def metaspace() -> Any:
    """A tokenizer that writes spaces as ▁ and strips the first one, as SentencePiece does."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<end>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁a", "a", "b", "▁b", "ab", "c", ".", "\n", "é", "Q:", "▁Q"]
    raw = Tokenizer(
        models.BPE(
            vocab={piece: place for place, piece in enumerate(pieces)},
            merges=[],
            unk_token="<unk>",
            byte_fallback=True,
        )
    )
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", unk_token="<unk>")


TOKENIZERS = {"byte-level": byte_level(), "metaspace": metaspace()}
FREQUENT = {
    name: sorted({*made.encode("ab ab abc\n\nQ: é né 你好 .", add_special_tokens=False)})
    for name, made in TOKENIZERS.items()
}
FREQUENT["metaspace"] = [1, 2 + 0xC3, 2 + 0xA9, 2 + 0x0A, 2 + 0x20, *range(258, 270)]


@pytest.mark.parametrize("name", sorted(TOKENIZERS))
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_stop_string_is_found_at_the_token_that_completes_it(name: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]
    tokens = data.draw(st.lists(st.sampled_from(FREQUENT[name]), min_size=1, max_size=24))
    stops = tuple(data.draw(st.lists(st.text("ab \nQ:é你.", min_size=1, max_size=4), min_size=1, max_size=3)))
    finder = StopFinder(tokenizer)
    for end in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        expected = any(stop in text for stop in stops)
        assert finder.completed(tokens[:end], stops) == expected
        if expected:
            break
