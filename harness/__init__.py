"""Checkpoint Harness: pytest for LLM checkpoints.

PYTEST_DONT_REWRITE: the plugin is imported by every pytest session; rewriting its asserts would cost
each of them time and change nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"
