"""Recipes: all problems at once, each with its line and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_training import ADAPTER, SCRATCH, recipe

from harness.errors import ConfigurationError
from harness.files.read_yaml import parse_yaml
from harness.train.plan import save_steps, steps_for
from harness.train.recipe_file import load_recipe, parse_recipe

BAD = """\
name: my/run
bas: models/base
method: lorra
lora: {r: 0, target_modules: []}
learning_rate: 3
data:
  sources:
    - path: a.jsonl
      formt: messages
    - 17
training:
  learning_rate: fast
  epoch: 3
  batch_size: 2.5
  precision: fp64
  warmup: 1.5
"""


def test_every_problem_is_reported_at_once_in_file_order(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    with pytest.raises(ConfigurationError) as caught:
        load_recipe(path)
    lines = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert lines == [
        "1: name: use letters, digits, '.', '_' and '-' only (it becomes a directory)",
        "2: unknown key 'bas': did you mean 'base'?",
        "3: method: should be 'full' or 'lora', not 'lorra'",
        "4: lora.r: should be greater than or equal to 1, not 0",
        "4: lora.target_modules: the list is empty",
        "5: unknown key 'learning_rate': it belongs under 'training'",
        "9: unknown key 'data.sources.0.formt': did you mean 'format'?",
        "10: data.sources.1: should be a mapping of keys, not 17",
        "12: training.learning_rate: should be a valid number, not 'fast'",
        "13: unknown key 'training.epoch': did you mean 'epochs'?",
        "14: training.batch_size: should be a valid integer, not 2.5",
        "15: training.precision: should be 'auto', 'fp32' or 'bf16', not 'fp64'",
        "16: training.warmup: should be less than 1, not 1.5",
    ]


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        (SCRATCH, {"base": "models/base"}, "give either base"),
        (SCRATCH, {"model": None}, "give either base"),
        (SCRATCH, {"method": "lora"}, "needs method: full"),
        (SCRATCH, {"lora": {"r": 4}}, "needs method: lora"),
        (SCRATCH, {"training__epochs": 1}, r"training: give either epochs or max_steps"),
        (SCRATCH, {"training__max_steps": None}, r"training: give either epochs or max_steps"),
        (SCRATCH, {"model__heads": 3}, r"model: hidden_size 32 must be a multiple"),
        (SCRATCH, {"model__kv_heads": 4}, r"multiple of kv_heads"),
        (SCRATCH, {"training__batch_size": True}, "valid integer"),
        (SCRATCH, {"name": ".."}, "it becomes a directory"),
        (SCRATCH, {"data": None}, "'data' is missing"),
        (ADAPTER, {"lora__target_modules": [1]}, "target_modules"),
    ],
)
def test_settings_that_do_not_fit_are_refused(text: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe(text, **changes)


def test_a_recipe_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        parse_recipe(parse_yaml("- a\n- b"))


def test_resolving_fills_every_default() -> None:
    resolved = recipe(ADAPTER, lora=None).resolved()
    assert resolved["lora"] == {"r": 8, "alpha": 16.0, "dropout": 0.0, "target_modules": ["all-linear"]}
    assert resolved["training"]["precision"] == "auto"
    assert resolved["data"]["split"] == {"validation": 0.1, "group": None, "seed": 0}


def test_the_command_line_wins() -> None:
    adjusted = recipe(ADAPTER).adjusted(max_steps=7, output="elsewhere", why="to see")
    assert adjusted.training.max_steps == 7
    assert adjusted.training.epochs is None
    assert (adjusted.output, adjusted.why) == ("elsewhere", "to see")
    assert recipe(ADAPTER).adjusted() == recipe(ADAPTER)


def test_steps_are_counted_as_the_trainer_does() -> None:
    settings = recipe(ADAPTER)  # batches of 4, two of them a step, two epochs
    steps = steps_for(settings, 36)
    assert (steps.effective_batch, steps.per_epoch, steps.max_steps) == (8, 5, 10)
    assert steps_for(settings, 1).max_steps == 2
    assert steps_for(recipe(ADAPTER, training__epochs=0.5), 36).max_steps == 3
    assert save_steps(10, 4) == (4, 8, 10)
    assert save_steps(10, None) == (10,)
    assert save_steps(3, 5) == (3,)
