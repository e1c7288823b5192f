"""The command that asks one case again."""

from __future__ import annotations

import re
import shlex

from harness.case_result import CaseResult
from harness.runs.record import RunRecord

__all__ = ["rerun_command"]

_SELECTABLE = re.compile(r"[\w:+\-.\[\]\\/]+")
"""What `pytest -k` takes as one word."""


def rerun_command(record: RunRecord, result: CaseResult) -> str:
    """Return the command line that gates one case again, quoted for a shell.

    Where the case's id is more than a word to `-k`, it is the command for its whole suite.

    Args:
        record: The session.
        result: The candidate's result of the case.
    """
    baselines = [
        verdict.baseline
        for verdict in record.verdicts
        if verdict.suite == result.suite and verdict.checkpoint == result.checkpoint and verdict.baseline
    ]
    words = ["pytest", f"--model={result.checkpoint}"]
    words += [f"--baseline={baselines[0]}"] if baselines else []
    if _SELECTABLE.fullmatch(result.case_id):
        words += ["-k", f"{result.case_id}-"]  # an item is called CASE-CHECKPOINT: c1- is not c10
    return shlex.join(words)
