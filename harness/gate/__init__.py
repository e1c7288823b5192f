"""From paired scores to a verdict: policy, pairing, decision, coverage, slices, noise."""
