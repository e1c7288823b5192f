"""Hold a backend to its contract, and say everything that is wrong with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.cases import Request
from harness.conformance.answer_faults import faults_in_answers
from harness.conformance.checkpoint_faults import faults_in_checkpoints, faults_in_comparing
from harness.conformance.likelihood_faults import faults_in_likelihoods
from harness.conformance.member_faults import faults_in_members
from harness.conformance.trial import LIKELIHOOD_QUESTIONS, QUESTIONS, Trial
from harness.protocols import Backend, BackendOptions

__all__ = ["ConformanceError", "check_backend"]


class ConformanceError(AssertionError):
    """A backend does not keep its contract.

    Attributes:
        faults: What is wrong, one sentence each.
    """

    def __init__(self, spec: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join([f"the backend of {spec} does not keep its contract:", *faults]))


_STAGES = {
    "its members": faults_in_members,
    "resolve": faults_in_checkpoints,
    "generate": faults_in_answers,
    "likelihoods": faults_in_likelihoods,
    "reconcile": faults_in_comparing,
}


def check_backend(
    make: Callable[[BackendOptions], Backend],
    spec: str,
    *,
    root: Path,
    arguments: Mapping[str, str] | None = None,
    requests: Sequence[Request] = QUESTIONS,
    likelihoods: Sequence[Request] = LIKELIHOOD_QUESTIONS,
    rivals: Sequence[str] = (),
    missing: str | None = None,
    unanswerable: Request | None = None,
    repeats: bool = True,
) -> None:
    """Hold a backend to the contract of `harness.protocols`.

    Args:
        make: What builds it: the class that its entry point names.
        spec: A checkpoint that it can answer for, as `NAME/model`, where NAME is the entry point's.
        root: Directory that relative paths in specs start from.
        arguments: `-M` arguments that it is built with.
        requests: Questions that it can answer, at least two; greedy ones where `repeats` holds.
        likelihoods: Requests with continuations that it can answer, if it `GivesLikelihoods`.
        rivals: Further specs that are compared with the checkpoint, if it `Reconciles`.
        missing: A spec that stands for nothing, for a backend that can know that without asking.
        unanswerable: A request that gets no answer, such as a prompt longer than the context.
        repeats: Whether the same question gets the same answer, in whatever company it is asked: so for a
            local model and for recorded outputs, rarely for a served one.

    Raises:
        ConformanceError: Everything that is wrong.
    """
    with tempfile.TemporaryDirectory() as state:
        options = BackendOptions(root=root, state=Path(state), arguments=arguments or {})
        trial = Trial(make, spec, options, requests, likelihoods, rivals, missing, unanswerable, repeats)
        faults: list[str] = []
        for stage, find_faults in _STAGES.items():
            try:
                faults += find_faults(trial)
            except Exception as problem:
                faults.append(f"{stage}: {type(problem).__name__}: {problem}; the rest was not tried")
                raise ConformanceError(spec, faults) from problem
    if faults:
        raise ConformanceError(spec, faults)
