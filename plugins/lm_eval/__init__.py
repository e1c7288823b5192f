"""lm-evaluation-harness, both ways: its tasks as suites of ours, and our engine as one of its models."""
