"""Rows that are decoded one by one: the same tokens, draws, stops and limits as in every other layout."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from tiny_models import save_model

from harness.inference.alone import decode_alone
from harness.inference.loading import load_model, load_tokenizer
from harness.inference.memory import Limits
from harness.inference.padded import decode_padded
from harness.inference.rows import Decoded, Row

EOS = frozenset({2})


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    path = save_model(tmp_path_factory.mktemp("alone") / "model")
    return load_model(path, device="cpu", dtype="float32", attention="sdpa"), load_tokenizer(path)


def prompts(**changes: Any) -> dict[int, Row]:
    generator = torch.Generator().manual_seed(0)
    return {
        index: Row(torch.randint(7, 28, (2 + index,), generator=generator).tolist(), 3 + index, **changes)
        for index in range(6)
    }


def both(loaded: tuple[Any, Any], rows: dict[int, Row]) -> tuple[dict[int, Decoded], dict[int, Decoded]]:
    model, tokenizer = loaded
    alone = dict(decode_alone(model, tokenizer, rows, eos_ids=EOS, pad_id=0))
    padded = dict(decode_padded(model, tokenizer, rows, eos_ids=EOS, pad_id=0, limits=Limits(4)))
    return alone, padded


def without_time(found: dict[int, Decoded]) -> dict[int, Decoded]:
    return {index: dataclasses.replace(one, seconds=0.0) for index, one in found.items()}


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 1.5, "seed": 7}, {"temperature": 2.0, "top_p": 0.7, "seed": 3}]
)
def test_rows_become_what_they_become_side_by_side(loaded: tuple[Any, Any], changes: dict[str, Any]) -> None:
    alone, padded = both(loaded, prompts(**changes))
    assert without_time(alone) == without_time(padded)
    assert len({one.tokens for one in alone.values()}) > 1


def test_a_stop_string_ends_a_row(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    rows = {0: dataclasses.replace(prompts()[5], max_tokens=8)}
    free = dict(decode_alone(model, tokenizer, rows, eos_ids=frozenset(), pad_id=0))[0]
    assert free.finish_reason == "length"
    word = tokenizer.decode(list(free.tokens[:3])).split()[-1]
    stopped = dict(
        decode_alone(
            model, tokenizer, {0: dataclasses.replace(rows[0], stop=(word,))}, eos_ids=frozenset(), pad_id=0
        )
    )[0]
    assert stopped.finish_reason == "stop"
    assert stopped.tokens == free.tokens[: len(stopped.tokens)]
    assert len(stopped.tokens) <= 3


def test_settings_of_the_checkpoint_stay_out(loaded: tuple[Any, Any]) -> None:
    model, _ = loaded
    expected, _ = both(loaded, prompts())
    own = model.generation_config
    model.generation_config = type(own)(repetition_penalty=9.0, do_sample=True, min_new_tokens=5)
    try:
        found, _ = both(loaded, prompts())
        assert model.generation_config.repetition_penalty == 9.0  # as it was
    finally:
        model.generation_config = own
    assert without_time(found) == without_time(expected)


def test_a_row_that_memory_does_not_suffice_for_is_an_error(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    forward = model.forward

    def starved(**given: Any) -> Any:
        if given["input_ids"].shape[1] == 4:
            raise torch.OutOfMemoryError("not enough memory")
        return forward(**given)

    monkeypatch.setattr(model, "forward", starved)
    found = dict(decode_alone(model, tokenizer, prompts(), eos_ids=EOS, pad_id=0))
    assert [index for index, one in found.items() if one.finish_reason == "error"] == [2]
    assert found[2].tokens == ()
