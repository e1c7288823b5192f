"""The torch hot path: loading checkpoints and generating with them."""
