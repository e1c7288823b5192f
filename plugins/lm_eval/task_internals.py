"""What we use of lm-eval's tasks that its documentation does not promise."""

from __future__ import annotations

from typing import Any

from harness.upstream.private_name import PrivateName, missing_names, refuse_without

__all__ = ["NAMES", "filter_pipelines"]

_TASK = "lm_eval.Task"
_PIPELINES = PrivateName(_TASK, "_filters", guards="a response is read by the filters of its own task")
NAMES = (_PIPELINES,)


def filter_pipelines(task: Any) -> dict[str, Any]:
    """Return a task's filter pipelines by name, in their order.

    Raises:
        IncompatibleLibraryError: This lm-eval keeps them elsewhere.
    """
    refuse_without(missing_names(NAMES, {_TASK: task}))
    return {str(pipeline.name): pipeline for pipeline in task._filters}
