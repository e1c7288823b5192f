"""LLM judges: rubrics, pairwise comparison, and what is done against being talked into a verdict.

Nothing here asks a model: a judge says what to ask (`requests`) and reads the replies (`score`); the engine
asks in batches, through the ordinary backends and the cache.
"""

from __future__ import annotations

from harness.judging.canaries import Canary, audit, canaries, canary_requests
from harness.judging.pairwise import Pairwise
from harness.judging.rubric import Rubric

__all__ = ["Canary", "Pairwise", "Rubric", "audit", "canaries", "canary_requests"]
