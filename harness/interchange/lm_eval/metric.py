"""From a metric of lm-eval to the check that decides as it does, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Row
from harness.interchange.lm_eval.yaml import TaskFile

__all__ = ["STRIPPED", "check_of", "match_flags", "output_type"]

STRIPPED = [
    {
        "name": "stripped",
        "filter": [
            {"function": "regex", "regex_pattern": r"(?s)\A.*\Z", "fallback": ""},
            {"function": "take_first"},
        ],
    }
]
"""Takes the blanks off an answer's ends, as our checks do: lm-eval's regex filter strips what it finds."""
_CHECKS: Mapping[str, Mapping[str, Row]] = {
    "generate_until": {"exact_match": {"type": "equals"}},
    "loglikelihood": {"acc": {"type": "exact_greedy"}},
    "loglikelihood_rolling": {
        "byte_perplexity": {"type": "perplexity", "per": "byte"},
        "bits_per_byte": {"type": "perplexity", "per": "byte"},
    },
    "multiple_choice": {
        "acc": {"type": "choice"},
        "acc_norm": {"type": "choice", "normalize": "characters"},
        "acc_bytes": {"type": "choice", "normalize": "bytes"},
    },
}
_BY_DEFAULT = {
    "generate_until": ("exact_match",),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
    "multiple_choice": ("acc", "acc_norm"),
}
"""What lm-eval measures where a task has no metric_list."""
_AGGREGATIONS = {"byte_perplexity": "weighted_perplexity", "bits_per_byte": "bits_per_byte"}
_FLAGS = {"ignore_case": "casefold", "ignore_punctuation": "punctuation"}
_PLAIN_KEYS = frozenset({"aggregation", "higher_is_better", "metric"})


def output_type(task: TaskFile) -> str:
    """Return a task's output type: a key of what lm-eval knows.

    Raises:
        GoldenSetError: There is none of that name.
    """
    kind = task.values.get("output_type", "generate_until")
    if kind not in _CHECKS:
        raise task.error("output_type", f"{kind!r} is not read; known: {', '.join(_CHECKS)}")
    return str(kind)


def check_of(task: TaskFile, metric: str | None) -> Row:
    """Return the check that stands for the metric of a task.

    Args:
        task: The task.
        metric: Which of its metrics; None where it has only one.

    Raises:
        GoldenSetError: It has several and none is picked, or what it scores cannot be carried over.
    """
    kind = output_type(task)
    _only_plain_filters(task)
    listed = task.values.get("metric_list") or [{"metric": name} for name in _BY_DEFAULT[kind]]
    if not isinstance(listed, list) or not all(
        isinstance(one, Mapping) and "metric" in one for one in listed
    ):
        raise task.error("metric_list", "must be a list of mappings, each with a `metric`")
    names = [one["metric"] for one in listed]
    if metric is None and len(names) > 1:
        raise task.error(
            "metric_list", f"a case passes by one of {', '.join(map(str, names))}: say which with --metric"
        )
    if metric is not None and metric not in names:
        raise task.error("metric_list", f"has no {metric!r}, only {', '.join(map(str, names))}")
    picked = listed[0 if metric is None else names.index(metric)]
    name = picked["metric"]
    if name not in _CHECKS[kind]:
        known = ", ".join(_CHECKS[kind])
        raise task.refused("metric_list", f"the metric {name!r} of {kind} (only {known})")
    return {**_CHECKS[kind][name], **_normalised(picked, name, task)}


def _normalised(picked: Mapping[str, Any], name: str, task: TaskFile) -> Row:
    wanted = _AGGREGATIONS.get(name, "mean")
    if picked.get("aggregation", wanted) != wanted:
        raise task.refused("metric_list", f"the aggregation {picked['aggregation']!r} of {name}")
    if picked.get("higher_is_better", name not in _AGGREGATIONS) is not (name not in _AGGREGATIONS):
        raise task.refused("metric_list", f"the direction of {name}")
    flags = _FLAGS if name == "exact_match" else {}
    for key, value in picked.items():
        if key not in _PLAIN_KEYS and value and not (key in flags and value is True):
            raise task.refused("metric_list", f"{key} of {name}")
    steps = [step for key, step in flags.items() if picked.get(key)]
    return {"normalize": ["strip", *steps]} if steps else {}


def _only_plain_filters(task: TaskFile) -> None:
    filters = task.values.get("filter_list")
    if not filters or filters == STRIPPED:
        return
    steps = (
        filters[0].get("filter") if isinstance(filters, list) and isinstance(filters[0], Mapping) else None
    )
    if len(filters) != 1 or steps != [{"function": "take_first"}]:
        raise task.refused("filter_list", "what it does to an answer before it is scored")


def match_flags(case: Case) -> Row:
    """Return the options of exact_match under which it decides as a case's checks do.

    Raises:
        GoldenSetError: There are none.
    """
    steps: set[str] = set()
    for check in case.checks:
        steps |= set(check.get("normalize", ()))
    if other := sorted(steps - {"strip", *_FLAGS.values()}):
        raise GoldenSetError(
            f"case {case.id}: lm-eval's exact_match has nothing like normalize: {other[0]}; export as harness"
        )
    return {flag: True for flag, step in _FLAGS.items() if step in steps}
