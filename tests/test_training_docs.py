"""The recipes that docs/training.md shows are recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.files.read_yaml import parse_yaml
from harness.train.recipe import Recipe
from harness.train.recipe_file import parse_recipe

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", RECIPES, ids=["lora", "from scratch"])
def test_documented_recipes_are_valid(text: str) -> None:
    parse_recipe(parse_yaml(text, str(PAGE)))


def test_the_first_one_shows_every_setting() -> None:
    document = parse_yaml(RECIPES[0])
    shown = {".".join(str(key) for key in place if not isinstance(key, int)) for place in document.lines}
    settings = set()
    for name, info in Recipe.model_fields.items():
        part = getattr(info.annotation, "model_fields", None)
        settings |= {f"{name}.{key}" for key in part} if part else {name}
    alternatives = {"model", "chat_template", "training.max_steps"}
    assert settings - alternatives <= shown
