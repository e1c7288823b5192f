"""From a recipe to checkpoints with manifests."""

from __future__ import annotations

from harness.errors import MissingDependencyError

try:
    from harness.train.recipe import Recipe
except ModuleNotFoundError as missing:  # pydantic, which nothing outside of training needs
    raise MissingDependencyError(str(missing.name), "train") from None
from harness.train.recipe_file import load_recipe
from harness.train.runner import TrainingResult, preview, run_training

__all__ = ["Recipe", "TrainingResult", "load_recipe", "preview", "run_training"]
