"""What a test can ask by itself: the objects behind the `checkpoint`, `baseline` and `judge` fixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Case, Message, Request, Response, Sampling, Score
from harness.engine.engine import Engine
from harness.errors import ConfigurationError, InferenceError
from harness.protocols import Checkpoint

from ..session.suite import Suite

__all__ = ["JudgeHandle", "LiveCheckpoint"]


@dataclass(frozen=True)
class LiveCheckpoint:
    """A checkpoint that can be asked at any time: the `checkpoint` and `baseline` fixtures."""

    _checkpoint: Checkpoint
    _engine: Engine
    _sampling: Sampling

    @property
    def spec(self) -> str:
        """What the user typed."""
        return self._checkpoint.spec

    @property
    def name(self) -> str:
        """Display name."""
        return self._checkpoint.name

    @property
    def fingerprint(self) -> str:
        """Digest (sha256) of what decides its answers."""
        return self._checkpoint.fingerprint

    def __str__(self) -> str:
        return self._checkpoint.name

    def generate(
        self,
        messages: str | Sequence[Mapping[str, Any]],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        sample: int = 0,
    ) -> Response:
        """Answer a prompt, or a list of `{"role", "content"}` messages, from the cache where it is known.

        Raises:
            ConfigurationError: A message has no role or content, or one that is no text.
            InferenceError: The infrastructure failed.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        base = self._sampling
        sampling = Sampling(
            max_tokens=base.max_tokens if max_tokens is None else max_tokens,
            temperature=base.temperature if temperature is None else temperature,
            top_p=base.top_p,
            stop=tuple(stop),
            seed=base.seed if seed is None else seed,
        )
        turns = tuple(map(_message, messages))
        response = self._engine.ask_one(self._checkpoint, Request(turns, sampling, sample))
        if response.failed:
            raise InferenceError(f"{self.spec}: {response.detail}")
        self._engine.require_one_model(self._checkpoint)
        return response


def _message(given: Mapping[str, Any]) -> Message:
    """Return a message as it is asked: a missing text, or a list of parts, would be asked by its `repr`."""
    role, content = given.get("role"), given.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise ConfigurationError(
            f"each message needs a `role` and a `content`, both strings, not {given!r:.80}"
        )
    return Message(role, content)


@dataclass(frozen=True)
class JudgeHandle:
    """The `judge` fixture: asks the judge model what the suite's rubric says about a response."""

    _engine: Engine
    _model: Checkpoint
    _suite: Suite

    def __call__(self, case: Case, response: Response, reference: Response | None = None) -> Score:
        """Return the judge's score of a response (against a reference answer, for a pairwise rubric).

        Raises:
            JudgementError: The judge's reply cannot be used; the case ends in *error*.
            InferenceError: Several models have answered under the judge's name: it is several judges.
        """
        rubric = self._suite.rubric
        if rubric is None:
            raise ConfigurationError(
                f"suite {self._suite.name!r} has no rubric: suite(…, rubric=harness.Rubric(…))"
            )
        replies = [
            self._engine.ask_one(self._model, request)
            for request in rubric.requests(case, response, reference)
        ]
        self._engine.require_one_model(self._model)
        return rubric.score(replies)
