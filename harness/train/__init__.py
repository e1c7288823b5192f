"""From a recipe to checkpoints with manifests."""

from __future__ import annotations

from harness.train.recipe import Recipe
from harness.train.recipe_file import load_recipe
from harness.train.runner import TrainingResult, preview, run

__all__ = ["Recipe", "TrainingResult", "load_recipe", "preview", "run"]
