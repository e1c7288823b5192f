"""The `harness` commands, thin."""
