"""The source `lm_eval`: suites of tasks of lm-evaluation-harness, one gate a task."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Sampling, content_digest
from harness.interchange.lm_eval.decoding import sampling_of
from harness.protocols import CaseSet

from .cases import cases_of, config_digest
from .spec import TaskSpec, parse_task_spec
from .tasks import build_tasks

__all__ = ["LmEvalSource", "loaded_task"]

_LOADED: dict[str, Any] = {}
"""Tasks of this process by the key that the checks of their cases carry."""


class LmEvalSource:
    """Builds cases from tasks of lm-evaluation-harness; their scores are the tasks' own (see `.check`)."""

    def load(self, spec: str, root: Path) -> Sequence[CaseSet]:
        """Return one set for each task that the spec names.

        Args:
            spec: `NAME_OR_PATH?option=value&…#METRIC:FILTER`, see `harness.plugins.lm_eval.spec`.
            root: Directory that relative paths start from.

        Raises:
            UsageError: There is no such task, its data cannot be had, or its metric is no mean of documents.
        """
        wanted = parse_task_spec(spec)
        with _lm_evals_seeds():
            return [_case_set(task, wanted) for task in build_tasks(wanted, root)]


@contextlib.contextmanager
def _lm_evals_seeds() -> Iterator[None]:
    """Seed what tasks draw from (shuffled choices, say) as `lm_eval.simple_evaluate` does by default.

    So each process builds the same cases, and they are those of lm-eval's own run of the same task.
    """
    import numpy as np

    kept, kept_numpy = random.getstate(), np.random.get_state()
    random.seed(0)
    np.random.seed(1234)
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)


def _case_set(task: Any, spec: TaskSpec) -> CaseSet:
    name = str(task.config.task)
    digest = config_digest(task, spec)
    key = f"{name}@{digest[:16]}"
    cases = cases_of(task, spec, key)
    _LOADED[key] = task
    picked = "" if spec.metric is None else f"#{spec.metric}" + (f":{spec.filter}" if spec.filter else "")
    return CaseSet(
        name=name + picked,
        label=f"lm_eval:{name}/v{task.VERSION or 0}/{task.config.num_fewshot}-shot{picked}",
        digest=content_digest([digest, [case.content_hash for case in cases]]),
        cases=cases,
        sampling=_sampling(task),
    )


def _sampling(task: Any) -> Sampling:
    if task.OUTPUT_TYPE != "generate_until":
        return Sampling()
    return sampling_of(task.config.generation_kwargs or {}, f"lm_eval:{task.config.task}")


def loaded_task(key: str) -> Any | None:
    """Return the task that a case's check is about, where this process has loaded it."""
    return _LOADED.get(key)
