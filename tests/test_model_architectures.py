"""Every architecture with default settings: its answers are those of transformers, or refused, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_architectures import DEFAULT, MODELS, Compared, build, compare, rows

from harness.inference import company, padded
from harness.inference.architectures import default_attention
from harness.inference.company import continues_in_company, reads_in_company
from harness.inference.lengths import context_window, forget_longest, steady_length
from harness.inference.loading import load_model

DOCS = Path(__file__).parents[1] / "docs" / "local-models.md"


def right(compared: Compared) -> bool:
    alike = not compared.differing and compared.close <= 1
    return alike and (bool(compared.refused) or (compared.likelihoods or 0.0) <= 1e-4)


@pytest.mark.parametrize("name", DEFAULT)
def test_answers_in_company_and_alone_are_those_of_generate(name: str, tmp_path: Path) -> None:
    compared = compare(build(name, tmp_path / "model"))
    assert right(compared), compared
    assert bool(compared.refused) is (name == "bert, not causal")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS.keys() - set(DEFAULT)))
def test_answers_of_every_other_architecture(name: str, tmp_path: Path) -> None:
    compared = compare(build(name, tmp_path / "model"))
    assert right(compared), compared
    assert not compared.refused


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_the_command_prints() -> None:
    assert len(MODELS) > 60
    printed = "\n".join(rows(list(MODELS)))
    assert printed in DOCS.read_text(encoding="utf-8")


def loaded(name: str, path: Path) -> Any:
    kind, _ = MODELS[name]
    attention = default_attention({"model_type": kind})
    return load_model(build(name, path / "model"), device="cpu", dtype="float32", attention=attention)


@pytest.mark.parametrize(("name", "apart"), [("mistral, window", True), ("minimax", False), ("rwkv", False)])
def test_company_is_kept_where_the_model_was_seen_to_bear_it(name: str, apart: bool, tmp_path: Path) -> None:
    model = loaded(name, tmp_path)
    assert continues_in_company(model) is apart
    assert reads_in_company(model)  # padding on the right stands after all that is read


def test_a_model_that_sees_its_padding_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("mistral, window", tmp_path)
    forward = model.forward

    def blind(**given: Any) -> Any:
        given["attention_mask"] = (
            torch.ones_like(given["attention_mask"]) if "attention_mask" in given else None
        )
        return forward(**given)

    monkeypatch.setattr(padded, "_takes", lambda model: {"past_key_values", "position_ids", "logits_to_keep"})
    monkeypatch.setattr(model, "forward", blind)
    assert not company._agrees(model, company._continued, False)


@pytest.mark.parametrize(
    ("name", "window", "steady"),
    [
        ("llama", 256, None),
        ("llama, dynamic", 160, 40),  # four times the original length
        ("llama, yarn", 256, None),  # one set of rotations for every length
        ("phi3, longrope", 256, 40),
        ("llama4_text", 256, 35),
    ],
)
def test_lengths_that_a_configuration_names(
    name: str, window: int, steady: int | None, tmp_path: Path
) -> None:
    model = loaded(name, tmp_path)
    assert (context_window(model), steady_length(model)) == (window, steady)


def test_rotations_that_were_scaled_for_a_long_row_are_forgotten(tmp_path: Path) -> None:
    model = loaded("llama, dynamic", tmp_path)
    long, short = (torch.arange(5, 5 + length).unsqueeze(0) for length in (90, 50))
    with torch.inference_mode():
        first = model(input_ids=short).logits
        model(input_ids=long)
        spoiled = model(input_ids=short).logits
        forget_longest(model)
        again = model(input_ids=short).logits
    assert torch.equal(again, first)
    assert not torch.allclose(spoiled, first, atol=1e-2)  # or there would be nothing to forget


@pytest.mark.slow
def test_models_without_sdpa_are_those_that_transformers_refuses_it_for() -> None:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from harness.inference import architectures

    without = {
        kind
        for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()
        if not getattr(transformers, name if isinstance(name, str) else name[0])._supports_sdpa
    }
    assert without == architectures._WITHOUT_SDPA
