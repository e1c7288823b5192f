"""The nightly comparison: which checkpoints, what is kept of a night, who is told when a verdict moves."""
