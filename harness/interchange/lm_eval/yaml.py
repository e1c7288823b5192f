"""The YAML of an lm-evaluation-harness task with what it includes: read, and nothing of it ever run.

Keys: https://github.com/EleutherAI/lm-evaluation-harness/blob/main/docs/task_guide.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import GoldenSetError, HarnessError
from harness.files.read_yaml import load_yaml

__all__ = ["TaskFile", "read_task_file"]

_READ = frozenset(
    {
        "dataset_kwargs",
        "dataset_path",
        "description",
        "doc_to_choice",
        "doc_to_target",
        "doc_to_text",
        "fewshot_delimiter",
        "filter_list",
        "generation_kwargs",
        "metadata",
        "metric_list",
        "num_fewshot",
        "output_type",
        "repeats",
        "target_delimiter",
        "test_split",
        "unsafe_code",
        "validation_split",
    }
)
_NO_MATTER = frozenset(
    {
        "dataset_name",
        "doc_to_decontamination_query",
        "fewshot_config",
        "fewshot_split",
        "should_decontaminate",
        "tag",
        "task",
        "task_alias",
        "training_split",
    }
)
"""What changes neither a prompt without examples nor a score."""
_MAX_INCLUDES = 8
_GATE_IT = "gate the task as it is instead: --lm-eval-tasks (docs/lm-eval.md)"


@dataclass(frozen=True)
class TaskFile:
    """A task's keys, those of included files among them, and where each of them stands.

    Attributes:
        path: The task's own file.
        values: Its keys without those that are null.
        places: Key → file and one-based line.
    """

    path: Path
    values: Mapping[str, Any]
    places: Mapping[str, tuple[Path, int]]

    def error(self, key: str, problem: str) -> GoldenSetError:
        """Return the error that a key cannot be used, with its file and line."""
        path, line = self.places.get(key, (self.path, 1))
        return GoldenSetError(f"{key}: {problem}", path=path, line=line)

    def refused(self, key: str, problem: str) -> GoldenSetError:
        """Return the error that a key cannot be carried over, and what to do instead."""
        return self.error(key, f"{problem} cannot be carried over: {_GATE_IT}")


def read_task_file(path: Path) -> TaskFile:
    """Read a task's YAML and what it includes; keys of its own win, and later includes over earlier ones.

    Raises:
        GoldenSetError: Not strict YAML, a `!function`, an include that is missing or leads back to itself,
            a group of tasks, or a key that would change what is asked or scored and is not read.
    """
    values, places = _merged(path, ())
    task = TaskFile(path, {key: value for key, value in values.items() if value is not None}, places)
    if isinstance(task.values.get("task"), list) or "group" in task.values:
        key = "group" if "group" in task.values else "task"
        raise task.error(key, "this is a group of tasks: import the YAML of each")
    for key in task.values:
        if key not in _READ | _NO_MATTER:
            raise task.refused(key, "this key")
    for key, harmless in (("num_fewshot", 0), ("repeats", 1), ("unsafe_code", False)):
        if task.values.get(key, harmless) != harmless:
            advice = (
                " (or import what it logs with --log_samples: -f lm-eval)" if key == "num_fewshot" else ""
            )
            raise task.refused(key, f"{task.values[key]!r}{advice}")
    return task


def _merged(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], dict[str, tuple[Path, int]]]:
    if path.resolve() in above or len(above) > _MAX_INCLUDES:
        raise GoldenSetError("include: leads back to itself, or too deep", path=path)
    try:
        document = load_yaml(path)
    except HarnessError as problem:
        advice = f"; code of a task is never run here: {_GATE_IT}" if "!function" in str(problem) else ""
        raise GoldenSetError(f"{problem}{advice}") from None
    if not isinstance(document.value, Mapping):
        raise GoldenSetError("is no lm-eval task: expected a mapping of keys", path=path)
    own = dict(document.value)
    values: dict[str, Any] = {}
    places: dict[str, tuple[Path, int]] = {}
    included = own.pop("include", None) or []
    for name in included if isinstance(included, list) else [included]:
        line = document.line(("include",))
        if not isinstance(name, str) or not (path.parent / name).is_file():
            raise GoldenSetError(f"include: there is no file {name!r}", path=path, line=line)
        inner, inner_places = _merged(path.parent / name, (*above, path.resolve()))
        values |= inner
        places |= inner_places
    return values | own, places | {key: (path, document.line((key,))) for key in own}
