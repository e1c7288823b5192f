"""The engine: resolves checkpoints, fills plans stage by stage, and answers single questions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.cases import Case, Request, Response, Sampling, canonical_json
from harness.checkpoints.spec import parse_spec
from harness.engine.dialogue import next_request
from harness.engine.fill import FillReport, Progress, fill
from harness.engine.plan import Plan, PlannedRequest, RequestKeys, request_key
from harness.errors import ConfigurationError, InferenceError
from harness.numerics import require_alike
from harness.protocols import Backend, BackendOptions, Checkpoint, Reconciles, Replicates, TakesArguments
from harness.registry import BACKENDS, WORKERS, did_you_mean, load_adapter, names

if TYPE_CHECKING:
    from harness.engine.cache import ResponseCache

__all__ = ["Engine", "Question"]

_LOCAL = "hf"


class Question(NamedTuple):
    """One case put to one checkpoint: which sample, drawn how.

    A tuple, as a session makes several for each case, and a frozen dataclass takes twice as long to make.
    """

    checkpoint: Checkpoint
    case: Case
    sampling: Sampling
    sample: int = 0


@dataclass(frozen=True)
class _Opening:
    """The first request of a case and its canonical JSON.

    It is looked up by the identity of case and sampling, so it keeps both alive.
    """

    case: Case
    sampling: Sampling
    request: Request
    spelling: str


_Dialogue = tuple[Question, tuple[Response, ...]]
"""A question and all answers to it; looked up by the identity of its case, which it keeps alive."""

_Asking = tuple[Question, list[Response], "PlannedRequest | None"]
"""A question, the answers to its turns so far, and its next turn."""


class Engine:
    """Answers questions from the cache, and fills the cache in batches.

    Args:
        options: What every backend is told.
    """

    def __init__(self, options: BackendOptions) -> None:
        self.options = options
        self._backends: dict[str, Backend] = {}
        self._cache: ResponseCache | None = None
        self._answers: dict[str, Response] = {}
        self._keys: dict[int, tuple[Checkpoint, RequestKeys]] = {}
        self._openings: dict[tuple[int, int, int], _Opening] = {}
        self._dialogues: dict[tuple[int, int, int, int], _Dialogue] = {}
        self._answered_by: dict[str, dict[str, None]] = {}
        self.report = FillReport()

    # --- checkpoints -----------------------------------------------------------------------------------

    def resolve(self, specs: Sequence[str], *, compared: int = 0) -> tuple[Checkpoint, ...]:
        """Resolve spec strings, in order; display names are made unique.

        Args:
            specs: What the user typed.
            compared: The first so many are compared with each other, the last of these is the baseline:
                they are computed alike, if need be as the most demanding of them must be.

        Raises:
            UsageError: A backend is unknown, a checkpoint missing or damaged, a `-M` key meant for nobody, or
                checkpoints that are compared cannot be computed alike.
        """
        resolved = self._resolved(specs)
        self._refuse_unknown_arguments()
        demands = self._demands(resolved[:compared])
        if demands:  # as if the user had passed them
            self._close_backends()
            self.options = dataclasses.replace(self.options, arguments={**self.options.arguments, **demands})
            resolved = self._resolved(specs)
        require_alike(resolved[:compared])
        if self.options.workers is not None and not any(map(_replicates, self._backends.values())):
            raise ConfigurationError("--workers: no checkpoint of this session is a local model to replicate")
        taken = [checkpoint.name for checkpoint in resolved]
        return tuple(
            dataclasses.replace(checkpoint, name=checkpoint.spec.replace("::", "-"))
            if taken.count(checkpoint.name) > 1
            else checkpoint
            for checkpoint in resolved
        )

    def _resolved(self, specs: Sequence[str]) -> list[Checkpoint]:
        known = names(BACKENDS)
        parsed = [parse_spec(text, known) for text in specs]
        return [self._backend(spec.backend or _LOCAL).resolve(spec.name, spec.text) for spec in parsed]

    def _demands(self, compared: Sequence[Checkpoint]) -> dict[str, str]:
        """Return the `-M` arguments that make checkpoints of one backend be computed alike."""
        found: dict[str, str] = {}
        for name, backend in self._backends.items():
            if isinstance(backend, Reconciles):
                own = [checkpoint for checkpoint in compared if checkpoint.backend == name]
                found |= {f"{name}.{key}": value for key, value in backend.reconcile(own).items()}
        return found

    def _refuse_unknown_arguments(self) -> None:
        accepted = {
            spelling
            for name, backend in self._backends.items()
            if isinstance(backend, TakesArguments)
            for key in backend.ARGUMENTS
            for spelling in (key, f"{name}.{key}")  # a key may carry the name of the backend it is for
        }
        for key in self.options.arguments:
            if key not in accepted:
                hint = did_you_mean(key, sorted(accepted))
                listed = ", ".join(sorted(known for known in accepted if "." not in known)) or "none"
                raise ConfigurationError(
                    f"-M {key}: no backend of this session takes it{hint}; it takes: {listed}"
                )

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = _spread(name, load_adapter(BACKENDS, name)(self.options), self.options)
        return self._backends[name]

    def changed_since(self, checkpoints: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
        """Return those whose files are no longer what was resolved (weights changed under the session)."""
        known = names(BACKENDS)
        changed = []
        for checkpoint in checkpoints:
            spec = parse_spec(checkpoint.spec, known)
            again = self._backend(spec.backend or _LOCAL).resolve(spec.name, spec.text)
            if again.fingerprint != checkpoint.fingerprint:
                changed.append(checkpoint)
        return tuple(changed)

    # --- answers ---------------------------------------------------------------------------------------

    def open_cache(self, cache: ResponseCache) -> None:
        """Use this cache from now on, and drop the failures that sessions of other days left in it."""
        cache.forget_other_failures()
        self._cache = cache

    def ask(self, questions: Sequence[Question], progress: Progress | None = None) -> None:
        """Make sure that every question is answered: one batched stage per turn of the longest dialogue."""
        waiting: list[_Asking] = [(question, [], self._turn(question, ())) for question in questions]
        while waiting:
            stage = Plan()
            asked: list[_Asking] = []
            for question, found, turn in waiting:
                while turn is not None and (response := self._answers.get(turn.key)) is not None:
                    found.append(response)
                    turn = self._turn(question, found)
                if turn is not None:
                    stage.put(turn)
                    asked.append((question, found, turn))
            self.fill(stage, progress)
            waiting = asked
        self._openings.clear()  # every checkpoint has been asked

    def fill(self, plan: Plan, progress: Progress | None = None) -> None:
        """Fill one stage and remember its answers for this session."""
        if not len(plan):
            return
        report, answers = fill(plan, self._opened(), self._backend_of, progress=progress)
        self.report += report
        self._answers.update(answers)
        for planned in plan:
            self._note_model(planned.checkpoint, answers[planned.key])

    def answers(self, question: Question) -> tuple[Response, ...]:
        """Return the answers to a question's turns so far, without asking anything."""
        dialogue = self._dialogues.get(_identity(question))
        if dialogue is not None:
            return dialogue[1]
        found: list[Response] = []
        while (turn := self._turn(question, found)) is not None:
            response = self._known(turn)
            if response is None:
                break
            found.append(response)
        return tuple(found)

    def answer(self, question: Question) -> Response:
        """Return the last turn's answer; asks now what was not planned.

        Raises:
            InferenceError: The infrastructure failed; nothing is known about the model.
        """
        dialogue = self._dialogues.get(_identity(question))
        if dialogue is not None:
            response = dialogue[1][-1]
        else:
            found = list(self.answers(question))
            while (turn := self._turn(question, found)) is not None:
                found.append(self._ask_now(turn))
            response = found[-1]
        if response.failed:
            raise InferenceError(f"case {question.case.id}: {question.checkpoint.spec}: {response.detail}")
        self.require_one_model(question.checkpoint)
        return response

    def ask_one(self, checkpoint: Checkpoint, request: Request) -> Response:
        """Answer one request now, from the cache where it is known."""
        return self._ask_now(PlannedRequest(checkpoint, request, request_key(checkpoint, request)))

    def answered_by(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Return the models that gave this session's answers, as far as the server names them."""
        return tuple(self._answered_by.get(checkpoint.fingerprint, ()))

    def require_one_model(self, checkpoint: Checkpoint) -> None:
        """Refuse answers that several models gave under one name: they are nobody's.

        Raises:
            InferenceError: The server has put another model behind the name, in this session or between this
                one and an earlier one whose answers it shares.
        """
        names = self._answered_by.get(checkpoint.fingerprint, ())
        if len(names) > 1:
            raise InferenceError(
                f"{checkpoint.spec}: the model changed behind its name, {' and '.join(names)} have answered: "
                "pin a dated name, or ask everything anew with --no-cache"
            )

    def _note_model(self, checkpoint: Checkpoint, response: Response) -> None:
        """Remember who has answered; rows of a recording may name whom they like."""
        if response.model is not None and not checkpoint.keyed_by_case:
            self._answered_by.setdefault(checkpoint.fingerprint, {})[response.model] = None

    def _ask_now(self, asked: PlannedRequest) -> Response:
        known = self._known(asked)
        if known is not None:
            return known
        plan = Plan()
        plan.add(asked.checkpoint, asked.request, asked.key)
        self.fill(plan)
        return self._answers[asked.key]

    def _turn(self, question: Question, found: Sequence[Response]) -> PlannedRequest | None:
        """Return what a question asks after these answers; None, and the dialogue is kept, at its end."""
        if found:
            request = None
            if question.case.turns:
                request = next_request(question.case, question.sampling, question.sample, found)
            if request is None:
                self._dialogues[_identity(question)] = (question, tuple(found))
                return None
            spelling = canonical_json(request.as_dict())
        else:
            opening = self._opening(question)
            if opening is None:
                return None
            request, spelling = opening.request, opening.spelling
        checkpoint = question.checkpoint
        keys = self._keys.get(id(checkpoint))
        if keys is None:
            keys = self._keys[id(checkpoint)] = (checkpoint, RequestKeys(checkpoint))
        return PlannedRequest(checkpoint, request, keys[1].of(spelling, request.case_id))

    def _opening(self, question: Question) -> _Opening | None:
        """Return a case's first request, which is the same for every checkpoint."""
        key = (id(question.case), id(question.sampling), question.sample)
        opening = self._openings.get(key)
        if opening is None:
            request = next_request(question.case, question.sampling, question.sample, ())
            if request is None:
                return None
            opening = _Opening(question.case, question.sampling, request, canonical_json(request.as_dict()))
            self._openings[key] = opening
        return opening

    def _known(self, asked: PlannedRequest) -> Response | None:
        response = self._answers.get(asked.key)
        if response is None:
            response = self._opened().get(asked.key)
            if response is not None:
                self._answers[asked.key] = response
                self._note_model(asked.checkpoint, response)
        return response

    def _backend_of(self, checkpoint: Checkpoint) -> Backend:
        return self._backend(checkpoint.backend)

    def _opened(self) -> ResponseCache:
        if self._cache is None:
            raise InferenceError("the engine has no cache yet: call open_cache first")
        return self._cache

    def close(self) -> None:
        """Close backends and cache."""
        self._close_backends()
        if self._cache is not None:
            self._cache.close()

    def _close_backends(self) -> None:
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()


def _identity(question: Question) -> tuple[int, int, int, int]:
    return (id(question.checkpoint), id(question.case), id(question.sampling), question.sample)


def _replicates(backend: Backend) -> bool:
    return isinstance(backend, Replicates) and backend.REPLICATES


def _spread(name: str, backend: Backend, options: BackendOptions) -> Backend:
    """Put a backend that gains from replicas (it says so) behind the workers that the session asks for."""
    if options.workers is None or not _replicates(backend):
        return backend
    kind, _, count = options.workers.partition(":")
    spread: Backend = load_adapter(WORKERS, kind)(name, backend, options, int(count) if count else None)
    return spread
