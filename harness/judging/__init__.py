"""LLM judges: rubrics, pairwise comparison, and what is done against their biases."""
