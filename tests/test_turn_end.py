"""What trained turns end with ends an answer, wherever a checkpoint is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_models import save_model

from harness.data.training_rows import TrainingExample
from harness.errors import TrainingDataError
from harness.train.masking import IGNORED, TokenizedRow
from harness.train.turn_end import end_at_turns, turn_ends

EXAMPLE = TrainingExample(({"role": "user", "content": "?"},), 0, "rows.jsonl", 1)
ROWS = (
    TokenizedRow(
        (1, 4, 8, 5, 9, 2, 4, 8, 5, 10, 2), (IGNORED,) * 4 + (9, 2) + (IGNORED,) * 3 + (10, 2), EXAMPLE
    ),
)
OLD = 3  # an end of texts that no turn ends with


def base(path: Path, template: str | None = None) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_model(path)
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
    tokenizer.eos_token = "<unk>"
    tokenizer.chat_template = template or tokenizer.chat_template
    model.generation_config.eos_token_id = model.config.eos_token_id = OLD
    return tokenizer, model


def test_ends_are_the_last_tokens_of_trained_turns() -> None:
    assert turn_ends(ROWS) == (2,)
    assert turn_ends(()) == ()


def test_the_end_of_turns_is_added_everywhere(tmp_path: Path) -> None:
    tokenizer, model = base(tmp_path / "base")
    end_at_turns(tokenizer, model, ROWS)
    assert model.generation_config.eos_token_id == model.config.eos_token_id == [OLD, 2]
    assert tokenizer.eos_token_id == 2
    end_at_turns(tokenizer, model, ROWS)  # once is enough
    assert model.generation_config.eos_token_id == [OLD, 2]


def test_an_end_that_is_one_already_changes_nothing(tmp_path: Path) -> None:
    tokenizer, model = base(tmp_path / "base")
    tokenizer.eos_token = "<|end|>"
    model.generation_config.eos_token_id = model.config.eos_token_id = 2
    end_at_turns(tokenizer, model, ROWS)
    assert (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id) == (
        2,
        2,
        2,
    )


def test_a_template_that_writes_the_old_end_keeps_it_and_an_adapter_is_refused(tmp_path: Path) -> None:
    tokenizer, model = base(tmp_path / "base", template="{{ eos_token }}{{ messages[0].content }}")
    end_at_turns(tokenizer, model, ROWS)
    assert tokenizer.eos_token_id == OLD
    assert model.generation_config.eos_token_id == [OLD, 2]  # which is saved with the whole model
    adapter = SimpleNamespace(
        generation_config=model.generation_config, config=model.config, peft_config={"default": None}
    )
    with pytest.raises(TrainingDataError, match="its answers would not stop"):
        end_at_turns(tokenizer, adapter, ROWS)
