"""A check's own unit test: it must accept the `accepts` and reject the `rejects` of a case or an example."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Message, Outcome, Response
from harness.errors import HarnessError
from harness.likelihood import Continuation
from harness.scoring.check_type import CheckType, Example
from harness.scoring.evaluate import score

__all__ = ["case_faults", "example_case", "example_faults"]


def case_faults(case: Case) -> list[str]:
    """Return what is wrong with a case's checks according to its own examples, one line each; [] if nothing.

    A check that lets a bad answer through is as wrong as one that rejects a good answer.
    """
    return _faults(case, case.accepts, case.rejects)


def example_faults(kind: CheckType, example: Example) -> list[str]:
    """Return what a check type decides otherwise than its example says, one line each; [] if nothing."""
    return _faults(example_case(kind, example), example.accepts, example.rejects)


def example_case(kind: CheckType, example: Example) -> Case:
    """Return the case of an example: its question, under this one check."""
    return Case(
        "example",
        (Message("user", example.question),),
        checks=({"type": kind.name, **example.parameters},),
        tools=example.tools,
        continuations=tuple(map(Continuation, example.choices)),
    )


def _faults(case: Case, accepts: Sequence[str | Response], rejects: Sequence[str | Response]) -> list[str]:
    faults = []
    for kind, answers in (("accepts", accepts), ("rejects", rejects)):
        for index, answer in enumerate(answers):
            try:
                result = score(case, Response(answer) if isinstance(answer, str) else answer)
            except HarnessError as problem:
                faults.append(f"{kind}[{index}] cannot be scored: {problem}")
                continue
            passed = result.outcome is Outcome.PASSED
            if kind == "accepts" and not passed:
                faults.append(f"accepts[{index}] is {result.outcome}: {result.explanation}")
            if kind == "rejects" and passed:
                shown = answer if isinstance(answer, str) else answer.text
                faults.append(f"rejects[{index}] passes: {_shown(shown)}")
    return faults


def _shown(answer: str, limit: int = 100) -> str:
    return repr(answer if len(answer) <= limit else answer[: limit - 1] + "…")
