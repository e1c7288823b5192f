"""A case's own unit test: its checks must accept its `accepts` and reject its `rejects`."""

from __future__ import annotations

from harness.cases import Case, Outcome, Response
from harness.errors import HarnessError
from harness.scoring.evaluate import score

__all__ = ["case_faults"]


def case_faults(case: Case) -> list[str]:
    """Return what is wrong with a case's checks according to its own examples, one line each; [] if nothing.

    A check that lets a bad answer through is as wrong as one that rejects a good answer.
    """
    faults = []
    for kind, answers in (("accepts", case.accepts), ("rejects", case.rejects)):
        for index, answer in enumerate(answers):
            try:
                result = score(case, Response(answer))
            except HarnessError as problem:
                faults.append(f"{kind}[{index}] cannot be scored: {problem}")
                continue
            passed = result.outcome is Outcome.PASSED
            if kind == "accepts" and not passed:
                faults.append(f"accepts[{index}] is {result.outcome}: {result.explanation}")
            if kind == "rejects" and passed:
                faults.append(f"rejects[{index}] passes: {_shown(answer)}")
    return faults


def _shown(answer: str, limit: int = 100) -> str:
    return repr(answer if len(answer) <= limit else answer[: limit - 1] + "…")
