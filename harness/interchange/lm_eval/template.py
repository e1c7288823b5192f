"""The fields and templates by which an lm-eval task turns a document into a prompt and an answer."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import GoldenSetError
from harness.interchange.lm_eval.yaml import TaskFile

__all__ = ["Reader"]

_MAX_REPEATED = 10_000
_MAX_RENDERED = 2**20
_UNSAID = ("random",)
"""Filters whose value is another one in each run."""


@dataclass(frozen=True)
class Reader:
    """One document, read by the keys of its task.

    Attributes:
        task: The task.
        document: Column → value.
        columns: Names that are columns of any document; a key that is one of them is no template.
        where: File and line of the document, for messages.
    """

    task: TaskFile
    document: Mapping[str, Any]
    columns: frozenset[str]
    where: str

    @property
    def has_choices(self) -> bool:
        """Whether the task names choices."""
        return "doc_to_choice" in self.task.values

    def text(self) -> str | int:
        """Return the question, or the index of the right one of several questions."""
        found = self._resolved("doc_to_text")
        if isinstance(found, str) and self.has_choices and self._is_template("doc_to_text"):
            found = int(found) if found.isascii() and found.isdigit() else found
        if not isinstance(found, str) and not (type(found) is int and self.has_choices):
            raise self.error("doc_to_text", f"must be a text, not {found!r}")
        return found

    def target(self) -> Any:
        """Return the right answer: a text, an index of the choices, or a list of these."""
        found = self._resolved("doc_to_target")
        if isinstance(found, str) and self._is_template("doc_to_target"):
            if self.has_choices and found.isascii() and found.isdigit():
                return int(found)
            if len(found) >= 2 and found[0] == "[" and found[-1] == "]":
                return _literal(found)
        return found

    def choices(self) -> list[str]:
        """Return the texts of the choices."""
        found = self._resolved("doc_to_choice")
        if isinstance(found, str):
            found = _literal(found)
        if isinstance(found, Mapping):
            found = list(found.values())
        if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
            raise self.error("doc_to_choice", f"must be a list of texts, not {found!r}")
        return found

    def description(self) -> str:
        """Return what stands before the question; empty where nothing does."""
        given = self.task.values.get("description", "")
        if not given:
            return ""
        found = self._resolved("description")
        if not isinstance(found, str):
            raise self.error("description", f"must be a text, not {found!r}")
        return found

    def error(self, key: str, problem: str) -> GoldenSetError:
        """Return the error that a key gives no usable value for this document."""
        return self.task.error(key, f"{problem} (document {self.where})")

    def _is_template(self, key: str) -> bool:
        return isinstance(self.task.values.get(key), str) and self.task.values[key] not in self.columns

    def _resolved(self, key: str) -> Any:
        given = self.task.values.get(key)
        if given is None or isinstance(given, bool):
            raise self.task.error(key, "says how a document is asked, and is missing")
        if not isinstance(given, str):
            return given
        if given in self.columns:
            if self.document[given] is None:
                raise self.error(key, f"the column {given!r} is empty")
            return self.document[given]
        try:
            found = _compiled(given).render(**{str(name): value for name, value in self.document.items()})
        except Exception as problem:  # whatever a template of somebody else runs into
            said = " ".join(str(problem).split())
            raise self.error(key, f"its template fails: {type(problem).__name__}: {said}") from None
        if len(found) > _MAX_RENDERED:
            raise self.error(key, f"its template makes a text of {len(found)} characters")
        return found


def _literal(text: str) -> Any:
    """Return the Python literal that a text spells, as lm-eval reads lists; else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text


@functools.lru_cache(maxsize=64)
def _compiled(template: str) -> Any:
    return _environment().from_string(template)


@functools.cache
def _environment() -> Any:
    """Return lm-eval's own environment of templates, which reach nothing but their document."""
    import jinja2
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """Refuses to make huge values out of small ones, too."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            lengths = [len(one) for one in (left, right) if hasattr(one, "__len__")]
            numbers = [abs(one) for one in (left, right) if isinstance(one, (int, float))]
            if lengths:
                large = max(lengths) * max(numbers, default=1) > _MAX_REPEATED
            else:
                large = operator == "**" and max(numbers, default=0) > 64
            if large:
                raise SecurityError(f"{operator} would make too large a value")
            return super().call_binop(context, operator, left, right)

    environment = Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["regex_replace"] = _regex_replace
    for name in _UNSAID:
        del environment.filters[name]
    del environment.globals["lipsum"]
    return environment


def _regex_replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    """Replace as lm-eval's filter of this name does, under the limits of every pattern here."""
    from harness.scoring.checks.regex_check import TIME_LIMIT, compile_pattern

    found: str = compile_pattern(pattern).sub(replacement, text, count=count, timeout=TIME_LIMIT)
    return found
