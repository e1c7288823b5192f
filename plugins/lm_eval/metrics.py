"""From what a task's own scoring says of one document to a score in [0, 1].

| metric | value of a document |
| --- | --- |
| higher is better, mean over documents (`acc`, `exact_match`, …) | as it is |
| lower is better, mean over documents | 1 − value |
| `perplexity` of targets | probability of the target, exp(log-likelihood) |
| `word_perplexity` | 1 / perplexity of the document: exp(log-likelihood / words) |
| `byte_perplexity`, `bits_per_byte` | exp(log-likelihood / bytes) |

What is computed over all documents together (BLEU, F1, Matthews' correlation, …) has no value per document
and cannot be paired: it is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.cases import Outcome, Score
from harness.errors import ConfigurationError, ScoringError

from .spec import TaskSpec
from .task_internals import filter_pipelines

__all__ = ["metric_of", "pipeline_of", "to_score"]

_PER_DOCUMENT = {"perplexity", "weighted_perplexity", "bits_per_byte"}
"""lm-eval's aggregations whose items are log-likelihoods of single documents."""


def metric_of(task: Any, spec: TaskSpec) -> str:
    """Return the metric that is the score: the one that the spec picks, or the first of the task.

    Raises:
        ConfigurationError: The task has no such metric, or it has no value per document.
    """
    known = list(task.aggregation())
    name = task.config.task
    if not known:
        raise ConfigurationError(f"lm_eval:{name} has no metric: give its YAML a metric_list")
    metric = spec.metric or known[0]
    if metric not in known:
        raise ConfigurationError(f"lm_eval:{name} has no metric {metric!r}; it has {', '.join(known)}")
    if _aggregation(task, metric) is None:
        usable = [other for other in known if _aggregation(task, other) is not None]
        advice = f"pick another: lm_eval:{spec.task}#{usable[0]}" if usable else "the task has no other"
        raise ConfigurationError(
            f"lm_eval:{name}: {metric} is computed over all documents together, not as a mean of their own "
            f"values: it cannot be paired; {advice}"
        )
    return str(metric)


def pipeline_of(task: Any, spec: TaskSpec) -> str:
    """Return the name of the filter pipeline whose output is scored.

    Raises:
        ConfigurationError: The task has no such pipeline.
    """
    known = list(filter_pipelines(task))
    if spec.filter is None:
        return known[0]
    if spec.filter not in known:
        raise ConfigurationError(
            f"lm_eval:{task.config.task} has no filter {spec.filter!r}; it has {', '.join(known)}"
        )
    return spec.filter


def to_score(task: Any, metric: str, values: Mapping[str, Any], answer: str | None) -> Score:
    """Turn what `process_results` says of a document into a score.

    Raises:
        ScoringError: It says nothing of the metric, or something that is no number in its range.
    """
    if metric not in values:
        raise ScoringError(f"the task's own scoring says nothing of {metric}: only of {', '.join(values)}")
    found = values[metric]
    kind = _aggregation(task, metric)
    if kind in _PER_DOCUMENT:
        value = _likelihood(metric, found)
        return Score(value, Outcome.PASSED, answer, f"{metric}: {found}")
    value = _number(metric, found)
    if not task.higher_is_better().get(metric, True):
        value = 1.0 - value
    if not 0.0 <= value <= 1.0:
        raise ScoringError(f"{metric} is {found!r}: its values must lie in [0, 1] to be a score")
    outcome = Outcome.PASSED if value >= 0.5 else Outcome.MISSED
    return Score(value, outcome, answer, f"{metric} {value:g}")


def _number(metric: str, found: Any) -> float:
    try:
        value = float(found)
    except (TypeError, ValueError):
        raise ScoringError(f"{metric} is {found!r}, not a number") from None
    if not math.isfinite(value):
        raise ScoringError(f"{metric} is {value}")
    return value


def _likelihood(metric: str, found: Any) -> float:
    """Return exp of a log-likelihood, for a (log-likelihood, weight) pair per unit of weight."""
    total, weight = found if isinstance(found, tuple) else (found, 1)
    if not weight:
        raise ScoringError(f"{metric}: the document is empty")
    return math.exp(min(_number(metric, total) / weight, 0.0))


def _aggregation(task: Any, metric: str) -> str | None:
    """Return the name of a metric's aggregation where its values are those of single documents."""
    from lm_eval.api.registry import get_aggregation

    wanted = task.aggregation()[metric]
    for name in ("mean", *sorted(_PER_DOCUMENT)):
        if wanted is get_aggregation(name):
            return name
    return None
