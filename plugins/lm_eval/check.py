"""The check `lm_eval`: the task's own filters and scoring decide what a response is worth."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from harness.cases import Case, Response, Score
from harness.errors import ScoringError
from harness.scoring.check_type import CheckType, Scorer

__all__ = ["LM_EVAL_CHECK"]


def lm_eval(task: str, metric: str, filter: str, document: str) -> Scorer:
    """The score is what the task of lm-evaluation-harness itself says of the response; see docs/lm-eval.md.

    Only cases of a suite of `lm_eval:…` carry this check: it finds the task that the suite has loaded.
    """

    def scorer(case: Case, response: Response) -> Score:
        from .metrics import to_score
        from .source import loaded_task
        from .task_internals import filter_pipelines
        from .tasks import quiet

        found = loaded_task(task)
        if found is None:
            raise ScoringError(f"the task {task} is not loaded: its cases are scored in a suite of lm_eval:…")
        number = case.metadata["doc_id"]
        instances = _answered(found, number, response)
        try:
            with quiet():
                filter_pipelines(found)[filter].apply(instances)
                results = [instance.filtered_resps[filter] for instance in instances]
                values = found.process_results(instances[0].doc, results)
        except Exception as error:  # a task's filters and metrics are a foreign program
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ScoringError(f"the scoring of {task.partition('@')[0]} itself failed: {said}") from error
        return to_score(found, metric, values, _answer(results))

    return scorer


def _answered(task: Any, number: int, response: Response) -> list[Any]:
    """Return the document's requests, in lm-eval's own type, with the response in their place."""
    from lm_eval.api.instance import Instance

    asked = _requests(task)[number]
    if asked[0].request_type == "generate_until":
        answers: Sequence[Any] = [response.text]
    elif len(response.likelihoods) != len(asked):
        raise ScoringError(
            f"{len(response.likelihoods)} likelihoods for {len(asked)} texts: this backend cannot say how "
            "likely a text is"
        )
    elif asked[0].request_type == "loglikelihood_rolling":
        answers = [likelihood.logprob for likelihood in response.likelihoods]
    else:
        answers = [(likelihood.logprob, likelihood.greedy) for likelihood in response.likelihoods]
    return [
        Instance(one.request_type, one.doc, one.arguments, one.idx, one.metadata, resps=[answer])
        for one, answer in zip(asked, answers, strict=True)
    ]


_grouped: weakref.WeakKeyDictionary[Any, dict[int, list[Any]]] = weakref.WeakKeyDictionary()


def _requests(task: Any) -> dict[int, list[Any]]:
    """Return a task's requests by document, in order; grouped once."""
    grouped = _grouped.get(task)
    if grouped is None:
        grouped = _grouped[task] = {}
        for instance in sorted(task.instances, key=lambda one: one.idx):
            grouped.setdefault(instance.doc_id, []).append(instance)
    return grouped


def _answer(results: Sequence[Any]) -> str | None:
    return results[0] if len(results) == 1 and isinstance(results[0], str) else None


_TEXT = {"type": "string"}

LM_EVAL_CHECK = CheckType(
    "lm_eval",
    lm_eval,
    parameters={"task": _TEXT, "metric": _TEXT, "filter": _TEXT, "document": _TEXT},
    required=("task", "metric", "filter", "document"),
    allows_empty=lambda parameters, response: True,  # what an empty answer is worth, the task knows
)
