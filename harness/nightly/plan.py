"""The file that says what is compared every night: `nightly.yaml`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError
from harness.files.read_yaml import Document, load_yaml
from harness.registry import did_you_mean

__all__ = ["NightlyPlan", "load_nightly_plan"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class NightlyPlan:
    """What is compared every night, and where its results go.

    Attributes:
        checkpoints: Specs, patterns of folders such as `runs/*/checkpoint-*`, and `newest:RUN`.
        baseline: What they are compared with: a checkpoint, or `run:NAME`.
        suites: Paths as pytest takes them; empty for the project's suites.
        options: Further options of pytest, such as `-M`, `base_url=…`.
        page: Where the HTML page goes, relative to the project.
        history: Where each night leaves a line, relative to the project.
        webhook: Name of the environment variable that holds the webhook's address; None for none.
        pull_request: Whether the verdicts are kept in a comment of the pull request that runs this.
    """

    checkpoints: tuple[str, ...]
    baseline: str
    suites: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    page: str = "nightly/report.html"
    history: str = "nightly/history.jsonl"
    webhook: str | None = None
    pull_request: bool = False


def load_nightly_plan(path: Path) -> NightlyPlan:
    """Read a plan.

    Raises:
        ConfigurationError: It cannot be read, or says something that is no part of a plan; every problem is
            named with its line.
    """
    document = load_yaml(path)
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{path}: expected keys and values: {', '.join(_READERS)}")
    problems: list[str] = []
    fields: dict[str, Any] = {}
    for key, value in document.value.items():
        reader = _READERS.get(key)
        if reader is None:
            problems.append(
                f"{path}:{document.line((key,))}: no key {key!r}{did_you_mean(str(key), tuple(_READERS))}; "
                f"known: {', '.join(_READERS)}"
            )
            continue
        try:
            fields[key] = reader(value)
        except ValueError as problem:
            problems.append(f"{path}:{document.line((key,))}: {key}: {problem}")
    problems += _missing(document, fields)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return NightlyPlan(**fields)


def _missing(document: Document, fields: Mapping[str, Any]) -> list[str]:
    return [
        f"{document.path}: {key} is missing: {what}"
        for key, what in (
            ("checkpoints", "a list of what is to be gated"),
            ("baseline", "a checkpoint or run:NAME to compare with"),
        )
        if key not in (document.value or {})
    ]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text, not {value!r}")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise ValueError("expected a list of texts")
    return tuple(_text(one) for one in values)


def _variable(value: Any) -> str:
    name = _text(value)
    if _VARIABLE.fullmatch(name) is None:
        raise ValueError(
            f"expected the name of an environment variable that holds the address, not {name[:12]!r}…: an "
            "address is a secret, and a file in git keeps none"
        )
    return name


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "checkpoints": _texts,
    "baseline": _text,
    "suites": _texts,
    "options": _texts,
    "page": _text,
    "history": _text,
    "webhook": _variable,
    "pull_request": _yes,
}
