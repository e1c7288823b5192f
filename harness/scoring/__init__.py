"""Scorers: pure functions from (case, response) to a score.

A case declares its checks as data; `score` runs them and `check` asserts them. Each check type is a factory
of scorers under `declare_check`, with a JSON Schema of its parameters, found by name (`registry`). `scorers`
has each of them as a function. What they measure can be had without a case, too: the functions named `find_…`
say what they found in a text, or None. Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.scoring import scorers
    from harness.scoring.check_type import CheckType, Example, Scorer, declare_check
    from harness.scoring.checks.choice_letter import find_choice
    from harness.scoring.checks.disclaimer_check import find_disclaimer
    from harness.scoring.evaluate import CheckFailed, InvalidOutput, check, score
    from harness.scoring.registry import check_types
    from harness.scoring.text.credentials import Credential, find_credentials
    from harness.scoring.text.degeneration import distinct_n, find_loop, form_of, main_script, self_bleu
    from harness.scoring.text.facts import Fact, find_facts
    from harness.scoring.text.language import detect_language
    from harness.scoring.text.personal_data import PersonalDatum, find_personal_data
    from harness.scoring.text.refusal import Refusal, find_refusal
    from harness.scoring.text.thought import without_thought
    from harness.stats.pass_at_k import pass_at_k

__all__ = [
    "CheckFailed",
    "CheckType",
    "Credential",
    "Example",
    "Fact",
    "InvalidOutput",
    "PersonalDatum",
    "Refusal",
    "Scorer",
    "check",
    "check_types",
    "declare_check",
    "detect_language",
    "distinct_n",
    "find_choice",
    "find_credentials",
    "find_disclaimer",
    "find_facts",
    "find_loop",
    "find_personal_data",
    "find_refusal",
    "form_of",
    "main_script",
    "pass_at_k",
    "score",
    "scorers",
    "self_bleu",
    "without_thought",
]

_HOMES = {
    "harness.scoring.check_type": (
        "CheckType",
        "Example",
        "Scorer",
        "declare_check",
    ),
    "harness.scoring.checks.choice_letter": ("find_choice",),
    "harness.scoring.text.credentials": (
        "Credential",
        "find_credentials",
    ),
    "harness.scoring.text.degeneration": (
        "distinct_n",
        "find_loop",
        "form_of",
        "main_script",
        "self_bleu",
    ),
    "harness.scoring.checks.disclaimer_check": ("find_disclaimer",),
    "harness.scoring.evaluate": (
        "CheckFailed",
        "InvalidOutput",
        "check",
        "score",
    ),
    "harness.scoring.text.facts": (
        "Fact",
        "find_facts",
    ),
    "harness.scoring.text.language": ("detect_language",),
    "harness.scoring.text.personal_data": (
        "PersonalDatum",
        "find_personal_data",
    ),
    "harness.scoring.text.refusal": (
        "Refusal",
        "find_refusal",
    ),
    "harness.scoring.registry": ("check_types",),
    "harness.scoring.text.thought": ("without_thought",),
    "harness.stats.pass_at_k": ("pass_at_k",),
}
_HOME_OF = {name: module for module, declared in _HOMES.items() for name in declared}


def __getattr__(name: str) -> Any:
    if name == "scorers":
        return importlib.import_module("harness.scoring.scorers")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOME_OF[name]), name)
    return value
