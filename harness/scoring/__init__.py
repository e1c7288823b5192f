"""Scorers: pure functions from (case, response) to a score."""
