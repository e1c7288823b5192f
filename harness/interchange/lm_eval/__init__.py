"""Tasks and logged samples of lm-evaluation-harness, in both directions."""
