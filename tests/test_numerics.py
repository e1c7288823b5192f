"""Checkpoints that are compared are computed alike, or not compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHAT_TEMPLATE, WORDS, save_adapter, save_model

from harness.cases import Message, Request, Sampling
from harness.engine.engine import Engine
from harness.errors import CheckpointError, ConfigurationError
from harness.numerics import differences, require_alike
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions, Checkpoint


def options(root: Path, **arguments: str) -> BackendOptions:
    return BackendOptions(root=root, state=root / ".harness", arguments=arguments)


def numerics(root: Path, *specs: str, compared: int | None = None, **arguments: str) -> list[dict[str, str]]:
    engine = Engine(options(root, **arguments))
    try:
        resolved = engine.resolve(specs, compared=len(specs) if compared is None else compared)
        return [dict(checkpoint.numerics) for checkpoint in resolved]
    finally:
        engine.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    save_adapter(root / "folds", root / "base")
    save_adapter(root / "dora", root / "base", use_dora=True)
    return root


def change_config(path: Path, **changes: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.needs("torch")
def test_numerics_say_how_answers_are_computed(models: Path) -> None:
    (found,) = numerics(models, "folds")
    assert {key: found[key] for key in ("device", "dtype", "attention", "batching", "adapter")} == {
        "device": "cpu",
        "dtype": "float32",
        "attention": "sdpa",
        "batching": "cascade",
        "adapter": "folded",
    }
    assert set(found) >= {"weights", "torch", "transformers", "peft", "tokenizers"}
    (half,) = numerics(models, "folds", dtype="bfloat16")
    assert half["dtype"] == "bfloat16"
    assert half["batch_size"] == "auto"  # below float32 an answer may depend on it


@pytest.mark.needs("torch")
def test_a_base_is_computed_as_its_adapter_must_be(models: Path) -> None:
    alone = numerics(models, "base")[0]
    assert numerics(models, "folds", "base")[1] == alone
    dora, base = numerics(models, "dora", "base")
    assert dora["adapter"] == "shared-base"
    assert base["weights"] == dora["weights"] == "plain"
    assert numerics(models, "base", "folds", "dora", compared=2)[:2] == numerics(models, "base", "folds")


@pytest.mark.needs("torch")
def test_what_one_model_cannot_do_its_baseline_does_not(models: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "whole")
    save_model(tmp_path / "windows")
    change_config(tmp_path / "windows", model_type="mistral", sliding_window=64)
    windows, whole = numerics(tmp_path, "windows", "whole")
    assert windows["batching"] == whole["batching"] == "left-padded"
    assert numerics(tmp_path, "whole")[0]["batching"] == "cascade"


@pytest.mark.needs("torch")
def test_two_types_are_both_computed_in_the_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.plugins.backends.hf_numerics._cuda_at_hand", lambda: True)
    save_model(tmp_path / "wide")
    save_model(tmp_path / "half")
    change_config(tmp_path / "half", dtype="bfloat16")
    assert numerics(tmp_path, "half")[0]["dtype"] == "bfloat16"
    half, wide = numerics(tmp_path, "half", "wide")
    assert half["dtype"] == wide["dtype"] == "float32"
    assert half == wide


@pytest.mark.needs("torch")
def test_answers_of_a_base_beside_a_switched_adapter_are_its_own(models: Path) -> None:
    asked = [Request((Message("user", f"{WORDS[n]} {WORDS[n + 1]}"),), Sampling(8)) for n in range(6)]

    def answers(backend: HFBackend, name: str) -> list[str]:
        found = dict(backend.generate(backend.resolve(name, name), asked))
        return [found[index].text for index in range(len(asked))]

    alone = {name: answers(HFBackend(options(models)), name) for name in ("base", "dora")}
    assert alone["base"] != alone["dora"]
    together = HFBackend(options(models, weights="plain"))
    for name in ("dora", "base", "dora"):
        assert answers(together, name) == alone[name]


@pytest.mark.needs("torch")
def test_a_key_may_carry_the_name_of_its_backend(models: Path) -> None:
    assert numerics(models, "base", **{"hf.dtype": "bfloat16"})[0]["dtype"] == "bfloat16"
    with pytest.raises(ConfigurationError, match="expected one of auto, plain"):
        numerics(models, "base", weights="packd")


@pytest.mark.needs("torch")
def test_a_torch_without_onednn_says_what_to_pass(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.inference.packed_weights.can_pack", lambda: False)
    backend = HFBackend(options(models))
    checkpoint = backend.resolve("base", "base")
    if checkpoint.numerics["weights"] == "plain":
        pytest.skip("weights are packed on x86-64 only")
    with pytest.raises(CheckpointError, match="-M weights=plain"):
        list(backend.generate(checkpoint, [Request((Message("user", "the"),))]))


def checkpoint(spec: str, backend: str = "hf", **numerics: str) -> Checkpoint:
    return Checkpoint(
        spec=spec, name=spec, backend=backend, location=spec, fingerprint=spec, numerics=numerics
    )


def test_other_numerics_than_the_baselines_are_refused() -> None:
    ours, theirs = checkpoint("ours", dtype="bfloat16"), checkpoint("theirs", dtype="float32")
    with pytest.raises(ConfigurationError, match=r"ours .* theirs \(dtype float32 → bfloat16\)"):
        require_alike([theirs, ours, theirs])
    require_alike([theirs, theirs])
    require_alike([ours])
    require_alike([])
    require_alike([checkpoint("ours", "replay", dtype="bfloat16"), theirs])  # nothing in common


def test_what_a_checkpoint_is_is_no_difference_of_numerics() -> None:
    assert not differences({"dtype": "float32", "adapter": "folded"}, {"dtype": "float32"})
    # what earlier versions switched may have been spoiled by the adapter before: it is no baseline
    assert differences({"adapter": "own-base"}, {"adapter": "switched"}) == "adapter switched → own-base"
    assert not differences({"template_date": "2026-01-02"}, {})
    assert differences({"template_date": "2026-01-02"}, {"template_date": "2026-01-01"})
    assert differences({"torch": "3.0"}, {"torch": "2.0", "dtype": "float32"}) == (
        "dtype float32 → unset, torch 2.0 → 3.0"
    )


@pytest.mark.needs("torch")
def test_checkpoints_with_other_chat_templates_are_refused_unless_told(models: Path) -> None:
    save_model(models / "retold", template=f"{CHAT_TEMPLATE}{{# another #}}")
    save_model(models / "plain", template=None)
    with pytest.raises(ConfigurationError, match=r"retold .* \(template [0-9a-f]{12} → [0-9a-f]{12}\).*=own"):
        numerics(models, "retold", "base")
    told = numerics(models, "retold", "base", template="own")
    assert [one["template"] for one in told] == ["own", "own"]
    ours, theirs = numerics(models, "base", "plain")
    assert "template" in ours
    assert "template" not in theirs
    assert numerics(models, "base")[0]["template"] == numerics(models, "folds")[0]["template"]


@pytest.mark.needs("torch")
def test_a_template_is_the_same_wherever_it_is_written(models: Path) -> None:
    save_model(models / "elsewhere")
    path = models / "elsewhere" / "chat_template.jinja"
    config = models / "elsewhere" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": path.read_text()}))
    path.unlink()
    assert numerics(models, "elsewhere")[0]["template"] == numerics(models, "base")[0]["template"]


@pytest.mark.needs("torch")
def test_attention_is_what_the_architecture_has(tmp_path: Path) -> None:
    save_model(tmp_path / "plain")
    save_model(tmp_path / "capped")
    change_config(tmp_path / "capped", model_type="gemma2", head_dim=8)
    (capped,) = numerics(tmp_path, "capped")
    assert (capped["attention"], capped["batching"], capped["company"]) == ("eager", "left-padded", "tried")
    assert numerics(tmp_path, "capped", attention="sdpa")[0]["attention"] == "sdpa"  # as the user says
    both = numerics(tmp_path, "capped", "plain")
    assert both[0] == both[1]
    assert "company" not in numerics(tmp_path, "plain")[0]


@pytest.mark.needs("torch")
def test_an_attention_that_an_architecture_lacks_is_refused_with_what_to_pass(tmp_path: Path) -> None:
    from model_architectures import build

    build("gemma2", tmp_path / "capped")
    backend = HFBackend(options(tmp_path, attention="sdpa"))
    with pytest.raises(CheckpointError, match="no sdpa attention in transformers; pass -M attention=eager"):
        list(backend.generate(backend.resolve("capped", "capped"), [Request((Message("user", "the"),))]))
