"""The small interfaces between this package and what plugs into it.

Third parties implement one of these and register it by entry point; nobody inherits from anything. What a
backend may have besides are protocols of their own, below `Backend`: each says what the engine does with it,
and what happens without. `harness.conformance` holds a backend to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.cases import Case, Request, Response, Sampling, Score

__all__ = [
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
]


@dataclass(frozen=True)
class Checkpoint:
    """A model under test: what a spec string resolved to, before any weight is loaded.

    Attributes:
        spec: What the user typed, such as `checkpoint-300` or `openai/gpt-x`.
        name: Short display name, unique in the session; part of test ids.
        backend: Entry-point name of the backend that answers for it.
        location: Directory, file, hub id or model name that the backend loads or calls.
        fingerprint: sha256 (64 hex digits) of everything that decides its answers: weights, adapter,
            tokenizer and chat template for a local model; endpoint and model name for a served one.
        numerics: Device, dtype, attention and library versions that the answers are computed under.
            Part of every cache key and of the run's record.
        path: Where its files lie, for a local one.
        base: Fingerprint of the base model, for an adapter.
        keyed_by_case: Whether answers belong to case ids rather than to prompts (recorded outputs).
        trusted: Trust flags that were given, such as `trust_remote_code`; recorded with the run.
    """

    spec: str
    name: str
    backend: str
    location: str
    fingerprint: str
    numerics: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    base: str | None = None
    keyed_by_case: bool = False
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackendOptions:
    """What a session tells its backends.

    Attributes:
        root: Directory that relative paths start from (pytest's rootdir).
        state: Directory for what may be kept between sessions (`.harness`).
        batch_size: Rows per batch of a local model, or `auto`.
        concurrency: Most requests in flight at a served model.
        workers: What holds replicas of a local model, as `KIND` or `KIND:COUNT`; None for this process.
        arguments: The `-M key=value` pairs, those for other backends of the session too (see
            `TakesArguments`); a key may carry the name of the backend that it is for, as `openai.timeout`.
    """

    root: Path
    state: Path
    batch_size: int | None = None
    concurrency: int = 8
    workers: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Backend(Protocol):
    """Turns requests into responses. Built with `BackendOptions`; one instance serves a whole session.

    A class is registered under the entry-point group `harness.backends`; the entry's name is what a spec
    begins with, as in `NAME/model`, and the `backend` of its checkpoints. It may also be `TakesArguments`,
    `GivesLikelihoods`, `Reconciles` and `Replicates`.
    """

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Return the checkpoint that `name` (the spec without its provider) stands for.

        Cheap: reads files and hashes them, loads no weights, imports no model library. Only a hub id that
        is not in the local hub cache yet may use the network. The session asks again at its end, to learn
        whether files changed under it: that must look at the files that were found, not for other ones.

        Raises:
            UsageError: It does not exist, is damaged or may not be loaded; one line with the next step.
        """
        ...

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer every request, yielding (index into `requests`, response) as each is finished.

        The order is the backend's own, so that it can batch. A request that gets no answer yields a
        response whose `finish_reason` is `error`; the generator never raises for a single request.

        Raises:
            UsageError: The checkpoint as a whole cannot be used.
        """
        ...

    def close(self) -> None:
        """Free models, connections and threads; it may be called again, and on a backend never used."""
        ...


@runtime_checkable
class TakesArguments(Protocol):
    """A backend that `-M key=value` says something to.

    With it, the engine lets these keys through, plain or behind the backend's name (`NAME.key`), and the
    documentation lists them. Without it a backend takes none: a key that no backend of the session takes ends
    the session with exit code 4, before anything runs.

    The backend itself reads `BackendOptions.arguments` when it is built, leaves alone what is not its own,
    and raises `ConfigurationError` for a value that it cannot use.
    """

    @property
    def ARGUMENTS(self) -> Mapping[str, str]:  # noqa: N802  (a constant of the class, as implemented)
        """What each key means, in a few words: its values, and the default in brackets."""
        ...


@runtime_checkable
class GivesLikelihoods(Protocol):
    """A backend that can say how likely a given text is.

    With it, requests that have `continuations` come to `generate`, and each gets a response with one
    `Likelihood` for each of them, in order. Without it, or where it is False, the engine does not ask: such a
    request ends in *error*, with what to do instead.
    """

    @property
    def LIKELIHOODS(self) -> bool:  # noqa: N802  (a constant of the class, as implemented)
        """Whether it can: True, as a rule."""
        ...


@runtime_checkable
class Reconciles(Protocol):
    """A backend whose checkpoints may each be computed in another way, unless it is told otherwise.

    With it, the engine asks how checkpoints that are compared can be computed alike, and resolves them anew
    under those arguments. Without it they are taken as they are, and refused if their `numerics` differ in
    what changes answers (`harness.numerics`).
    """

    def reconcile(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Return the `-M` arguments, without the backend's name, under which all of these are computed alike.

        Empty where they are already, and so for one checkpoint or none. Under the arguments returned, asking
        again returns nothing.
        """
        ...


@runtime_checkable
class Replicates(Protocol):
    """A backend that answers sooner when several processes each hold its model.

    With it, `--workers=KIND` puts replicas of it behind one of the group `harness.workers`: each replica is
    built from the class's entry point with the session's options, resolves the checkpoint's spec itself, and
    must come to the same fingerprint and numerics. Without it, or where it is False, requests go to the one
    instance in the session's process; `--workers` is refused if no backend of the session replicates.
    """

    @property
    def REPLICATES(self) -> bool:  # noqa: N802  (a constant of the class, as implemented)
        """Whether replicas help: True for a local model, False for what asks a server."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Asks a judge model about a response and reads its replies; the engine does the asking, in batches.

    One with an attribute `prompt_hash` (a digest of all that it tells the judge model) keeps scores under
    other words from being compared; without it, results are joined whatever it asked.
    """

    def requests(
        self, case: Case, response: Response, reference: Response | None = None
    ) -> tuple[Request, ...]:
        """Return what must be asked of the judge about this response (two requests for both orders).

        Raises:
            JudgementError: There is nothing to ask about, such as no baseline's response to compare with.
        """
        ...

    def score(self, replies: Sequence[Response]) -> Score:
        """Turn the replies to `requests`, in order, into a score.

        Raises:
            JudgementError: A reply cannot be used. Never a made-up score.
        """
        ...


@dataclass(frozen=True)
class CaseSet:
    """The cases of one suite, wherever they come from.

    Attributes:
        name: What the suite is called where its marker says nothing else.
        label: Name and version, such as `refunds/v1`: what results are joined on.
        digest: sha256 (64 hex digits) of all that decides the cases.
        cases: In order, at least one, ids unique.
        sampling: How answers are drawn where nobody says otherwise.
    """

    name: str
    label: str
    digest: str
    cases: tuple[Case, ...]
    sampling: Sampling = field(default_factory=Sampling)


@runtime_checkable
class CaseSource(Protocol):
    """Brings cases from outside, under the entry-point group `harness.sources`.

    A suite names one as `SOURCE:SPEC`, as in `lm_eval:arc_easy`. It is loaded in every process that collects
    tests and must return the same there; the cases' checks do the scoring (see the group `harness.checks`).
    """

    def load(self, spec: str, root: Path) -> Sequence[CaseSet]:
        """Return the sets that a spec stands for, each of which gets its own gate; at least one.

        Args:
            spec: What follows `SOURCE:`.
            root: Directory that relative paths start from (pytest's rootdir).

        Raises:
            UsageError: There is no such set, or it cannot be had here; one line with the next step.
        """
        ...
