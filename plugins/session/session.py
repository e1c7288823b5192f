"""What a session of ours knows: its checkpoints, its suites, and the answers to what its items ask."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.case_result import CaseResult, Role
from harness.cases import Request, Response
from harness.engine.engine import Engine, Question
from harness.engine.fill import Progress
from harness.engine.plan import Plan
from harness.errors import CheckpointError, JudgementError, StoreError, UsageError
from harness.gate.policy_file import load_gate_file
from harness.protocols import BackendOptions, Checkpoint, Judge

from .item import HarnessItem, Round
from .options import Settings
from .selection import CaseSelection
from .suite import Suites

if TYPE_CHECKING:
    from harness.runs.compare import Side

__all__ = ["GateSession"]


class GateSession:
    """One pytest session that gates checkpoints, in the controller and in each xdist worker alike.

    Args:
        settings: What the session was asked to do.
        root: pytest's rootdir.
        identity: Shared by the controller and its workers; a new one where there are none.

    Raises:
        UsageError: A checkpoint, the baseline or the judge cannot be used.
    """

    def __init__(self, settings: Settings, root: Path, identity: str | None = None) -> None:
        self.settings = settings
        self.root = root
        self.identity = identity or uuid.uuid4().hex
        self._is_worker = identity is not None
        self._closing = contextlib.ExitStack()
        options = BackendOptions(
            root=root,
            state=settings.state,
            batch_size=settings.batch_size,
            concurrency=settings.concurrency,
            workers=settings.workers,
            arguments=settings.arguments,
        )
        self.engine = Engine(options)
        stored = settings.baseline is not None and settings.baseline.startswith("run:")
        specs = list(settings.models)
        live_baseline = None if stored else settings.baseline
        specs += [spec for spec in (live_baseline, settings.judge) if spec is not None]
        compared = 0 if live_baseline is None else len(settings.models) + 1
        resolved = list(self.engine.resolve(specs, compared=compared))
        self.judge: Checkpoint | None = resolved.pop() if settings.judge is not None else None
        self.baseline: Checkpoint | None = resolved.pop() if live_baseline is not None else None
        self.candidates = tuple(resolved)
        self.stored_baseline = self._stored(str(settings.baseline)) if stored else None
        judge = None if self.judge is None else self.judge.fingerprint
        self.selection = CaseSelection(
            settings.limit, settings.sampling.seed, settings.tags, settings.tags_not
        )
        self.suites = Suites(
            settings.golden_roots,
            settings.sampling,
            self.selection,
            judge,
            root=root,
            gates=load_gate_file(root),
            rules_out=settings.rules_out,
            tasks=settings.lm_eval_tasks,
        )
        self._rounds: dict[tuple[int, int, bool], tuple[Round, ...]] = {}
        self.baseline_results: dict[tuple[str, ...], CaseResult] = {}
        self.distrusted: dict[str, tuple[str, ...]] = {}

    def _stored(self, spec: str) -> Side:
        """Return the stored run that `run:NAME`, `run:ID` or `run:ID#CHECKPOINT` stands for."""
        from harness.runs.compare import find_side
        from harness.runs.store import RunStore

        try:
            side = find_side(spec, RunStore(self.settings.state))
            assert side is not None  # it starts with `run:`
            return side.only()
        except (StoreError, UsageError) as error:
            raise CheckpointError(f"--baseline={spec}: {error}") from error

    # --- asking ----------------------------------------------------------------------------------------

    def open_cache(self) -> None:
        """Open the response cache; with `--no-cache` one that only this session sees.

        From here to `close`, checks may run code if the settings say so.
        """
        from harness.engine.cache import ResponseCache  # a session that only collects needs neither
        from harness.sandbox import Permission, allow_code

        self._closing.callback(allow_code, None)
        allow_code(Permission(self.settings.run_code_unisolated) if self.settings.run_code else None)
        folder = self.settings.state if self.settings.use_cache else self._own_folder
        self.engine.open_cache(ResponseCache(folder / "cache.sqlite", session=self.identity))

    @property
    def _own_folder(self) -> Path:
        """Where the answers of a session without a cache lie until it ends."""
        return Path(tempfile.gettempdir()) / f"harness-{self.identity}"

    def rounds(self, item: HarnessItem) -> tuple[Round, ...]:
        """Return the runs of an item's test function: every sample of its checkpoint, then the baseline's."""
        if item.suite is None:
            return (Round(item.checkpoint, Role.CANDIDATE, 0),)
        samples = item.suite.epochs if "response" in item.fixtures else 1
        compares = self.baseline is not None and item.pair_key not in self.baseline_results
        key = (id(item.checkpoint), samples, compares)
        rounds = self._rounds.get(key)
        if rounds is None:
            rounds = self._rounds[key] = self._rounds_of(item.checkpoint, range(samples), compares)
        return rounds

    def _rounds_of(self, candidate: Checkpoint, samples: range, compares: bool) -> tuple[Round, ...]:
        rounds = [Round(candidate, Role.CANDIDATE, sample) for sample in samples]
        if compares and self.baseline is not None:
            rounds += [Round(self.baseline, Role.BASELINE, sample) for sample in samples]
        return tuple(rounds)

    @property
    def compared_with(self) -> str | None:
        """Fingerprint of what the candidates are compared with; None without a baseline."""
        if self.baseline is not None:
            return self.baseline.fingerprint
        return None if self.stored_baseline is None else self.stored_baseline.entry.fingerprint

    @functools.cached_property
    def stored_outputs(self) -> Mapping[tuple[str, ...], tuple[str, ...]]:
        """The outputs of the stored baseline by pair key."""
        stored = () if self.stored_baseline is None else self.stored_baseline.results
        return {result.pair_key: result.outputs for result in stored if result.outputs}

    def question(self, item: HarnessItem, checkpoint: Checkpoint, sample: int) -> Question:
        """Return the question that an item's case puts to a checkpoint."""
        assert item.suite is not None
        assert item.case is not None
        return Question(checkpoint, item.case, item.suite.sampling, sample)

    def fill(self, items: Sequence[HarnessItem], progress: Progress | None = None) -> None:
        """Answer everything that the items will ask, in batches: first the checkpoints, then the judge."""
        questions = [question for item in items for question in self._questions(item)]
        unique = {(id(q.checkpoint), id(q.case), id(q.sampling), q.sample): q for q in questions}
        self.engine.ask(list(unique.values()), progress)
        if self.judge is None:
            return
        from harness.judging import audit, canary_requests

        judged = Plan()
        for item in items:
            for request in self._judge_requests(item):
                judged.add(self.judge, request)
        rubrics = self._rubrics(items)
        for rubric in rubrics.values():
            for request in canary_requests(rubric):
                judged.add(self.judge, request)
        self.engine.fill(judged, progress)
        for name, rubric in rubrics.items():
            self.distrusted[name] = audit(rubric, functools.partial(self.engine.ask_one, self.judge))

    def _rubrics(self, items: Sequence[HarnessItem]) -> dict[str, Judge]:
        """Return the rubrics that the judge is asked about, by suite."""
        suites = [item.suite for item in items if item.suite is not None and "judge" in item.fixtures]
        return {suite.name: suite.rubric for suite in suites if suite.rubric is not None}

    def _questions(self, item: HarnessItem) -> Iterator[Question]:
        if not item.asks or item.suite is None:
            return
        checkpoints = [item.checkpoint, *([self.baseline] if self.baseline is not None else [])]
        for checkpoint in checkpoints:
            for sample in range(item.suite.epochs):
                yield self.question(item, checkpoint, sample)

    def _judge_requests(self, item: HarnessItem) -> Iterator[Request]:
        """Yield what the judge will be asked, as far as the answers it is about are there."""
        if item.suite is None or item.case is None or item.suite.rubric is None:
            return
        if "judge" not in item.fixtures:
            return
        needs_reference = "baseline_response" in item.fixtures
        for question in self._questions(item):
            reference = None
            if needs_reference and self.baseline is not None:
                reference = self._answered(self.question(item, self.baseline, question.sample))
            response = self._answered(question)
            if response is not None:
                with contextlib.suppress(JudgementError):  # its case is told when the test asks
                    yield from item.suite.rubric.requests(item.case, response, reference)

    def _answered(self, question: Question) -> Response | None:
        found = self.engine.answers(question)
        return None if not found or found[-1].failed else found[-1]

    def close(self) -> None:
        """Free models and close the cache; drop the cache of a session without one."""
        try:
            self._closing.close()
            self.engine.close()
        finally:  # freeing a model takes long enough to be interrupted in
            if not self.settings.use_cache and not self._is_worker:
                shutil.rmtree(self._own_folder, ignore_errors=True)
