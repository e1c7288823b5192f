"""A backend on trial: how it is built, what it stands for, and what it is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.cases import Message, Request, Sampling
from harness.likelihood import Continuation
from harness.protocols import Backend, BackendOptions, Checkpoint

__all__ = ["LIKELIHOOD_QUESTIONS", "QUESTIONS", "Trial"]

_SHORT = Sampling(max_tokens=16)
QUESTIONS = (
    Request((Message("user", "Name a colour."),), _SHORT, case_id="colour"),
    Request((Message("system", "Be brief."), Message("user", "What is 2 + 2?")), _SHORT, case_id="sum"),
    Request((Message("user", "Name a colour."),), _SHORT, sample=1, case_id="colour"),
    Request(
        (Message("user", "Hello"), Message("assistant", "Hello!"), Message("user", "Who are you?")),
        _SHORT,
        case_id="greeting",
    ),
)
"""What a backend is asked unless its author gives other questions; greedy, a few tokens each."""
LIKELIHOOD_QUESTIONS = tuple(
    Request(
        (Message("user", prompt),),
        continuations=(Continuation(" blue"), Continuation(" a tall tree")),
        raw=True,
    )
    for prompt in ("The sky is", "Today it is")
)
"""Whose likelihoods are asked of a backend that gives them, unless its author gives other requests."""


@dataclass(frozen=True)
class Trial:
    """A backend on trial; the fields are the arguments of `check_backend`.

    Attributes:
        make: What builds the backend.
        spec: The checkpoint that it answers for, as `NAME/model`.
        options: What it is built with.
        requests: Questions that it can answer.
        likelihoods: Requests for likelihoods that it can answer.
        rivals: Further specs that are compared with the checkpoint.
        missing: A spec that stands for nothing.
        unanswerable: A request that gets no answer.
        repeats: Whether the same question gets the same answer.
    """

    make: Callable[[BackendOptions], Backend]
    spec: str
    options: BackendOptions
    requests: Sequence[Request]
    likelihoods: Sequence[Request]
    rivals: Sequence[str]
    missing: str | None
    unanswerable: Request | None
    repeats: bool

    @property
    def name(self) -> str:
        """The backend's name, which is that of its entry point."""
        return self.spec.partition("/")[0]

    @contextlib.contextmanager
    def backend(self, **arguments: str) -> Iterator[Backend]:
        """Build it with further arguments, and close it in the end."""
        backend = self.make(replace(self.options, arguments={**self.options.arguments, **arguments}))
        try:
            yield backend
        finally:
            backend.close()

    def resolve(self, backend: Backend, spec: str | None = None) -> Checkpoint:
        """Resolve the checkpoint of a spec, as the engine does."""
        text = spec or self.spec
        return backend.resolve(text.partition("/")[2], text)
