"""The check types that come with this package, by name; each is imported when it is first asked for.

All of them together take longer to import than a rerun of a suite takes, and a suite uses a few.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from harness.scoring.check_type import CheckType

__all__ = ["BUILT_IN"]

_MODULES = {
    "choice_letter": ("choice_letter",),
    "code_checks": ("python_tests",),
    "code_fence_check": ("code_fence",),
    "containment_checks": ("contains", "contains_all", "contains_any", "not_contains"),
    "degeneration_checks": ("ends_by_itself", "no_loop", "script"),
    "disclaimer_check": ("disclaimer",),
    "fuzzy_check": ("fuzzy",),
    "grounding_checks": ("grounded", "no_hallucination_markers"),
    "instruction_check": ("instruction",),
    "json_checks": ("json", "json_equals", "json_fields", "json_schema"),
    "label_check": ("label",),
    "language_check": ("language",),
    "leak_checks": ("no_pii", "no_prompt_leak", "no_secrets"),
    "likelihood_checks": ("choice", "exact_greedy", "perplexity"),
    "list_check": ("list",),
    "number_check": ("number",),
    "overlap_checks": ("bleu", "chrf", "length_ratio", "overlap", "rouge", "token_f1"),
    "refusal_checks": ("not_refusal", "refusal"),
    "regex_check": ("regex",),
    "semantic_check": ("semantic_similarity",),
    "table_checks": ("csv", "markdown_table"),
    "template_check": ("template",),
    "text_checks": (
        "allow_empty",
        "ends_with",
        "equals",
        "max_length",
        "min_length",
        "one_of",
        "starts_with",
    ),
    "tool_calls_check": ("tool_calls",),
    "toxicity_check": ("not_toxic",),
    "xml_check": ("xml",),
    "yaml_check": ("yaml",),
}
"""Names by the module beside this one that declares them, in a tuple whose name ends in `_CHECKS`."""


class _BuiltIn(Mapping[str, CheckType]):
    """Check types by name."""

    def __init__(self) -> None:
        self._homes = {name: module for module, declared in _MODULES.items() for name in declared}
        self._loaded: dict[str, CheckType] = {}

    def __getitem__(self, name: str) -> CheckType:
        if name not in self._loaded:
            self._loaded |= _declared(self._homes[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


def _declared(module: str) -> dict[str, CheckType]:
    found = importlib.import_module(f"harness.scoring.checks.{module}")
    lists = [getattr(found, name) for name in found.__all__ if name.endswith("_CHECKS")]
    return {kind.name: kind for kinds in lists for kind in kinds}


BUILT_IN: Mapping[str, CheckType] = _BuiltIn()
