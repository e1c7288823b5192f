"""Checkpoint Harness: pytest for LLM checkpoints.

Everything public is reached from here, and is imported when it is first used: the plugin is loaded by every
pytest session, and one that does not use it must not pay for it.

PYTEST_DONT_REWRITE: for the same reason, asserts here are left as they are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.case_result import CaseResult
    from harness.cases import Case, Message, Outcome, Request, Response, Sampling, Score
    from harness.errors import HarnessError
    from harness.evaluation import evaluate
    from harness.gate.compare_scores import RestOfSuite, compare_scores
    from harness.gate.policy import Gate
    from harness.gate.verdict import Status, Verdict
    from harness.golden_sets.read import GoldenSet, load_golden
    from harness.judging import Pairwise, Rubric
    from harness.likelihood import Continuation, Likelihood
    from harness.protocols import (
        Backend,
        BackendOptions,
        CaseSet,
        CaseSource,
        Checkpoint,
        GivesLikelihoods,
        Judge,
        Reconciles,
        Replicates,
        TakesArguments,
    )
    from harness.runs.dataframe import load_runs
    from harness.scoring import CheckFailed, InvalidOutput, check

__all__ = [
    "Backend",
    "BackendOptions",
    "Case",
    "CaseResult",
    "CaseSet",
    "CaseSource",
    "CheckFailed",
    "Checkpoint",
    "Continuation",
    "Gate",
    "GivesLikelihoods",
    "GoldenSet",
    "HarnessError",
    "InvalidOutput",
    "Judge",
    "Likelihood",
    "Message",
    "Outcome",
    "Pairwise",
    "Reconciles",
    "Replicates",
    "Request",
    "Response",
    "RestOfSuite",
    "Rubric",
    "Sampling",
    "Score",
    "Status",
    "TakesArguments",
    "Verdict",
    "__version__",
    "check",
    "compare_scores",
    "evaluate",
    "load_golden",
    "load_runs",
]

__version__ = "0.1.0"

_HOMES = {
    "harness.case_result": ("CaseResult",),
    "harness.cases": (
        "Case",
        "Message",
        "Outcome",
        "Request",
        "Response",
        "Sampling",
        "Score",
    ),
    "harness.gate.compare_scores": ("RestOfSuite", "compare_scores"),
    "harness.errors": ("HarnessError",),
    "harness.evaluation": ("evaluate",),
    "harness.golden_sets.read": ("GoldenSet", "load_golden"),
    "harness.runs.dataframe": ("load_runs",),
    "harness.judging": ("Pairwise", "Rubric"),
    "harness.likelihood": ("Continuation", "Likelihood"),
    "harness.gate.policy": ("Gate",),
    "harness.protocols": (
        "Backend",
        "BackendOptions",
        "CaseSet",
        "CaseSource",
        "Checkpoint",
        "GivesLikelihoods",
        "Judge",
        "Reconciles",
        "Replicates",
        "TakesArguments",
    ),
    "harness.scoring": ("CheckFailed", "InvalidOutput", "check"),
    "harness.gate.verdict": ("Status", "Verdict"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
