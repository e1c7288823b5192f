"""From a recipe to checkpoints with manifests."""
