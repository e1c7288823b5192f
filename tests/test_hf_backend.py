"""The hf backend: what it answers, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_models import WORDS, save_adapter, save_model

from harness.cases import Message, Request, Response, Sampling
from harness.errors import CheckpointError, ConfigurationError, TrustError
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions

pytestmark = pytest.mark.needs("torch")


def backend(root: Path, batch_size: int | None = None, **arguments: str) -> HFBackend:
    return HFBackend(
        BackendOptions(root=root, state=root / ".harness", batch_size=batch_size, arguments=arguments)
    )


def requests(count: int = 12, **sampling: object) -> list[Request]:
    settings = Sampling(max_tokens=12, **sampling)  # type: ignore[arg-type]
    texts = [" ".join(WORDS[i % 7 : i % 7 + 1 + i % 5]) + f" {WORDS[i]}" for i in range(count)]
    return [Request((Message("user", text),), settings, case_id=f"c{i}") for i, text in enumerate(texts)]


def answers(made: HFBackend, name: str, asked: Sequence[Request]) -> list[Response]:
    checkpoint = made.resolve(name, name)
    found = dict(made.generate(checkpoint, asked))
    assert sorted(found) == list(range(len(asked)))
    return [found[index] for index in range(len(asked))]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    save_adapter(root / "one", root / "base", seed=1)
    save_adapter(root / "two", root / "base", seed=2)
    return root


def copied(models: Path, tmp_path: Path, name: str = "base") -> Path:
    shutil.copytree(models / name, tmp_path / name)
    return tmp_path / name


def test_greedy_answers_are_those_of_generate_at_batch_size_one(models: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = requests()
    found = answers(backend(models), "base", asked)
    model = AutoModelForCausalLM.from_pretrained(models / "base", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(models / "base")
    for request, response in zip(asked, found, strict=True):
        text = tokenizer.apply_chat_template(
            [message.as_dict() for message in request.messages], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        expected = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert response.text == tokenizer.decode(expected, skip_special_tokens=True)
        assert response.prompt == text
    assert len({response.text for response in found}) > 3  # the model answers different things


def test_batch_size_does_not_change_answers(models: Path) -> None:
    for sampling in ({}, {"temperature": 1.0, "seed": 3}, {"temperature": 0.7, "top_p": 0.8}):
        asked = requests(**sampling)
        alone = [response.text for response in answers(backend(models, 1), "base", asked)]
        together = [response.text for response in answers(backend(models, 16), "base", asked[::-1])][::-1]
        assert alone == together


def test_samples_differ_by_seed_and_index(models: Path) -> None:
    request = requests(1, temperature=1.0)[0]
    asked = [
        Request(request.messages, Sampling(12, 1.0, seed=seed), sample)
        for seed in (0, 1)
        for sample in range(4)
    ]
    texts = [response.text for response in answers(backend(models), "base", asked)]
    assert len(set(texts)) > 4
    assert texts == [response.text for response in answers(backend(models), "base", asked)]


def test_adapters_share_one_load_and_answer_as_if_alone(models: Path) -> None:
    asked = requests()
    alone = {name: [r.text for r in answers(backend(models), name, asked)] for name in ("base", "one", "two")}
    assert len({tuple(texts) for texts in alone.values()}) == 3
    shared = backend(models)
    for name in ("one", "base", "two", "one", "base"):
        assert [response.text for response in answers(shared, name, asked)] == alone[name]


def test_stop_strings_end_an_answer_and_are_not_part_of_it(models: Path) -> None:
    asked = requests()
    full = [response.text for response in answers(backend(models), "base", asked)]
    stop = full[0].split()[2]
    cut = answers(backend(models), "base", requests(stop=(stop,)))
    assert cut[0].text == full[0].split(stop)[0]
    assert cut[0].finish_reason == "stop"


def test_prompt_beyond_the_context_is_not_cut(models: Path) -> None:
    long = Request((Message("user", " ".join(WORDS * 10)),), Sampling(max_tokens=4))
    short = requests(1)[0]
    found = answers(backend(models), "base", [long, short])
    assert found[0].finish_reason == "context_overflow"
    assert "128" in str(found[0].detail)
    assert str(found[0].prompt_tokens) in str(found[0].detail)
    assert found[1].finish_reason in ("stop", "length")


def test_sampling_in_the_generation_config_does_not_leak_into_greedy(models: Path, tmp_path: Path) -> None:
    path = copied(models, tmp_path)
    config = json.loads((path / "generation_config.json").read_text())
    config |= {"do_sample": True, "temperature": 5.0, "top_k": 3, "repetition_penalty": 3.0}
    (path / "generation_config.json").write_text(json.dumps(config))
    asked = requests()
    before = [response.text for response in answers(backend(models), "base", asked)]
    assert [response.text for response in answers(backend(tmp_path), "base", asked)] == before


def starve(made: HFBackend, name: str, most: int) -> list[int]:
    """Let memory run out whenever more than so many rows are decoded together; return the sizes tried."""
    import torch

    sizes: list[int] = []

    def starved(module: object, args: object, given: dict[str, Any]) -> None:
        rows, tokens = given["input_ids"].shape
        decoding = type(given.get("layout")).__name__ == "TokenLayout"
        if decoding or "layout" not in given:
            sizes.append(tokens if decoding else rows)
            if sizes[-1] > most:
                raise torch.OutOfMemoryError("out of memory")

    model = made._model(made.resolve(name, name)).model
    model.register_forward_pre_hook(starved, with_kwargs=True)
    return sizes


def test_out_of_memory_halves_the_batch(models: Path) -> None:
    asked = requests()
    expected = [response.text for response in answers(backend(models), "base", asked)]
    made = backend(models)
    sizes = starve(made, "base", 3)
    assert [response.text for response in answers(made, "base", asked)] == expected
    assert sizes[:3] == [12, 6, 3]
    assert max(sizes[2:]) == 3


def test_a_row_that_does_not_fit_alone_is_an_error_and_the_rest_is_answered(models: Path) -> None:
    import torch

    asked = requests()
    expected = answers(backend(models), "base", asked)
    longest = max(expected, key=lambda response: response.prompt_tokens or 0)
    made = backend(models)
    model = made._model(made.resolve("base", "base")).model

    def starved(module: object, args: object, given: dict[str, Any]) -> None:
        if given["position_ids"].max() >= longest.prompt_tokens:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")

    model.register_forward_pre_hook(starved, with_kwargs=True)
    found = answers(made, "base", asked)
    assert torch.is_inference_mode_enabled() is False
    for response, before in zip(found, expected, strict=True):
        alone = (before.prompt_tokens or 0) + (before.completion_tokens or 0) > (longest.prompt_tokens or 0)
        if alone and before.completion_tokens:
            assert response.finish_reason in ("error", before.finish_reason)
        else:
            assert response.text == before.text
    assert "error" in {response.finish_reason for response in found}
    assert all("out of memory" in str(r.detail) for r in found if r.failed)


def test_no_chat_template_gives_the_plain_text(tmp_path: Path) -> None:
    save_model(tmp_path / "plain", template=None)
    found = answers(backend(tmp_path), "plain", requests(2))
    assert found[0].prompt == requests(1)[0].messages[0].content


def test_endless_chat_template_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.inference import prompts

    monkeypatch.setattr(prompts, "_TEMPLATE_SECONDS", 0.3)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    save_model(tmp_path / "loop", template=loop)
    with pytest.raises(CheckpointError, match=r"did not end within 0\.3 s"):
        answers(backend(tmp_path), "loop", requests(1))


def test_two_bos_tokens_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "twice", template="<bos><bos>{{ messages[0].content }}")
    with pytest.raises(CheckpointError, match="two BOS"):
        answers(backend(tmp_path), "twice", requests(1))


# --- checkpoints that must not load --------------------------------------------------------------------


def test_pickled_weights_are_refused(models: Path, tmp_path: Path) -> None:
    path = copied(models, tmp_path)
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(TrustError, match=r"pickled \(pytorch_model\.bin\)"):
        backend(tmp_path).resolve("base", "base")


def test_code_of_its_own_is_refused_unless_allowed(models: Path, tmp_path: Path) -> None:
    path = copied(models, tmp_path)
    config = json.loads((path / "config.json").read_text()) | {
        "auto_map": {"AutoModelForCausalLM": "evil.Model"}
    }
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrustError, match="trust_remote_code=true"):
        backend(tmp_path).resolve("base", "base")
    allowed = backend(tmp_path, trust_remote_code="true").resolve("base", "base")
    assert allowed.trusted == ("trust_remote_code",)


@pytest.mark.parametrize("cut", [4, 100, 5000])
def test_truncated_weights_are_named(models: Path, tmp_path: Path, cut: int) -> None:
    weights = copied(models, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-cut] if cut < 5000 else weights.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated"):
        backend(tmp_path).resolve("base", "base")


def test_missing_shard_is_named(models: Path, tmp_path: Path) -> None:
    path = copied(models, tmp_path)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (path / "model.safetensors").rename(path / "model-00001-of-00002.safetensors")
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors: shard is missing"):
        backend(tmp_path).resolve("base", "base")


@pytest.mark.parametrize("shards", [{"a": 1, "b": "x"}, {"a": ["x"]}, {"a": "../x"}, ["x"]])
def test_an_index_of_no_files_is_named(models: Path, tmp_path: Path, shards: object) -> None:
    path = copied(models, tmp_path)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json: "):
        backend(tmp_path).resolve("base", "base")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_a_device_that_there_is_not_is_refused_at_once(tmp_path: Path, device: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"-M device={device}: expected auto, cpu, cuda, cuda:N or mps"
    ):
        HFBackend(BackendOptions(root=tmp_path, state=tmp_path, arguments={"device": device}))


@pytest.mark.parametrize("change", ["drop", "add", "nan", "shape"])
def test_tensors_that_do_not_belong_are_refused(models: Path, tmp_path: Path, change: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = copied(models, tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    name = "model.layers.1.self_attn.q_proj.weight"
    if change == "drop":
        del tensors[name]
    elif change == "add":
        tensors["model.layers.7.self_attn.q_proj.weight"] = tensors[name].clone()
    elif change == "nan":
        tensors[name][0, 0] = torch.nan
    else:
        tensors[name] = tensors[name][:8].clone()
    save_file(tensors, weights, metadata={"format": "pt"})
    made = backend(tmp_path)
    with pytest.raises(CheckpointError, match=r"keys|NaN|loaded"):
        list(made.generate(made.resolve("base", "base"), requests(1)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"num_attention_heads": 7},
            r"config\.json: does not fit .*\(32\) is not a multiple .* heads \(7\); corr",
        ),
        ({"num_attention_heads": 0}, r"config\.json: does not fit .*; correct it"),
        ({"hidden_size": "wide"}, r"config\.json: does not fit .*'hidden_size' expected int, got str"),
        (
            {"num_key_value_heads": 1},
            r"base: cannot be loaded: tensors are of other shapes than its config\.json",
        ),
    ],
    ids=["seven heads", "no heads", "no number", "other shapes"],
)
def test_a_configuration_that_describes_no_such_model_is_refused(
    models: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = copied(models, tmp_path)
    config = json.loads((path / "config.json").read_text()) | change
    (path / "config.json").write_text(json.dumps(config))
    made = backend(tmp_path)
    with pytest.raises(CheckpointError, match=said) as refused:
        list(made.generate(made.resolve("base", "base"), requests(1)))
    assert len(str(refused.value).splitlines()) == 1


def test_adapter_on_another_base_is_refused(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "one", tmp_path / "one")
    for kind, arguments in {"shallower": {"layers": 1}, "narrower": {"hidden": 16}}.items():
        save_model(tmp_path / kind, **arguments)  # type: ignore[arg-type]
        config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(tmp_path / kind)
        (tmp_path / "one" / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match="trained on another base"):
            backend(tmp_path).resolve("one", "one")


def test_inert_adapter_is_refused(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(models / "one", tmp_path / "one")
    weights = tmp_path / "one" / "adapter_model.safetensors"
    tensors = {
        name.replace("base_model.model.", "base_model."): tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights)
    made = backend(tmp_path)
    with pytest.raises(CheckpointError, match=r"does not fit|another base"):
        list(made.generate(made.resolve("one", "one"), requests(1)))


def test_missing_base_of_an_adapter_is_named(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "one", tmp_path / "one")
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "models/gone"
    (tmp_path / "one" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"one: its base 'models/gone'|models/gone"):
        backend(tmp_path).resolve("one", "one")


def test_same_name_other_weights_other_fingerprint(tmp_path: Path) -> None:
    first = save_model(tmp_path / "a" / "checkpoint-1", seed=0)
    second = save_model(tmp_path / "b" / "checkpoint-1", seed=1)
    made = backend(tmp_path)
    prints = [made.resolve(str(path), str(path)).fingerprint for path in (first, second)]
    assert prints[0] != prints[1]
    copy = tmp_path / "c" / "other-name"
    shutil.copytree(first, copy)
    assert made.resolve(str(copy), str(copy)).fingerprint == prints[0]
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert made.resolve(str(copy), str(copy)).fingerprint not in prints


def test_ambiguous_and_missing_names(tmp_path: Path) -> None:
    for run in ("a", "b"):
        save_model(tmp_path / "runs" / run / "checkpoint-1")
    made = backend(tmp_path)
    with pytest.raises(CheckpointError, match="ambiguous"):
        made.resolve("checkpoint-1", "checkpoint-1")
    assert made.resolve("a/checkpoint-1", "a/checkpoint-1").name == "a/checkpoint-1"
    with pytest.raises(CheckpointError, match="no checkpoint 'checkpoint-9'"):
        made.resolve("checkpoint-9", "checkpoint-9")


def test_a_link_that_leads_outside_is_refused(models: Path, tmp_path: Path) -> None:
    path = copied(models, tmp_path)
    secret = tmp_path / "secret.json"
    (path / "tokenizer_config.json").rename(secret)
    (path / "tokenizer_config.json").symlink_to(secret)
    with pytest.raises(CheckpointError, match="leads outside"):
        backend(tmp_path).resolve("base", "base")
