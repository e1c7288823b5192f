"""What a task is called: `NAME_OR_PATH?option=value&…#METRIC:FILTER`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigurationError
from harness.registry import did_you_mean

__all__ = ["TaskSpec", "parse_task_spec"]


@dataclass(frozen=True)
class TaskSpec:
    """A task, how its prompts are built, and which of its metrics is the score. Names are lm-eval's own.

    Attributes:
        task: Name of a task, group or tag, or path of a YAML file or of a folder with some.
        num_fewshot: Examples before the question; None leaves the task's own number.
        fewshot_seed: Seed of the examples' draw.
        apply_chat_template: Whether prompts are conversations that the checkpoint's chat template renders.
        fewshot_as_multiturn: Whether examples are turns of that conversation, or text of its one user turn.
        system_instruction: What stands before the task's description.
        confirm_run_unsafe_code: Whether a task that runs what the model writes may do so.
        metric: Name of a metric; None for the task's first.
        filter: Name of a filter pipeline; None for the task's first.
    """

    task: str
    num_fewshot: int | None = None
    fewshot_seed: int = 1234
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    confirm_run_unsafe_code: bool = False
    metric: str | None = None
    filter: str | None = None

    @property
    def prompts(self) -> dict[str, Any]:
        """What decides the prompts beside the task itself, as plain JSON values."""
        return {
            "num_fewshot": self.num_fewshot,
            "fewshot_seed": self.fewshot_seed,
            "apply_chat_template": self.apply_chat_template,
            "fewshot_as_multiturn": self.fewshot_as_multiturn,
            "system_instruction": self.system_instruction,
        }


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("expected a whole number ≥ 0")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "num_fewshot": _whole,
    "fewshot_seed": _whole,
    "apply_chat_template": _flag,
    "fewshot_as_multiturn": _flag,
    "system_instruction": str,
    "confirm_run_unsafe_code": _flag,
}


def parse_task_spec(text: str) -> TaskSpec:
    """Read what follows `lm_eval:`, such as `arc_easy?num_fewshot=5#acc_norm`.

    Raises:
        ConfigurationError: An option is unknown or has a wrong value.
    """
    rest, _, picked = text.partition("#")
    task, _, query = rest.partition("?")
    metric, _, pipeline = picked.partition(":")
    if not task.strip():
        raise ConfigurationError(
            f"lm_eval:{text} names no task: write lm_eval:NAME or lm_eval:path/to/task.yaml"
        )
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key not in _OPTIONS:
            hint = did_you_mean(key, tuple(_OPTIONS)) or f"; known: {', '.join(_OPTIONS)}"
            raise ConfigurationError(f"lm_eval:{text}: no option {key!r}{hint}")
        try:
            options[key] = _OPTIONS[key](value)
        except ValueError as problem:
            raise ConfigurationError(f"lm_eval:{text}: {key}={value}: {problem}") from None
    return TaskSpec(task.strip(), metric=metric or None, filter=pipeline or None, **options)
