"""Paired tests and intervals, as pure functions on arrays."""
