"""Every check type as a function, under the name that cases give it.

    from harness.scoring import scorers

    similar = scorers.rouge(value="The cat sat.", at_least=0.5)
    record_score(similar(case, response))

Each takes the parameters of its check (docs/scoring.md) and returns a pure function from a case and a
response to a `Score`. Called so, it judges whatever it is given: that an empty answer is invalid, and that a
parameter left out is the case's `target`, are rules of `harness.check` and `harness.scoring.score`.
"""

from __future__ import annotations

from harness.scoring.checks.choice_letter import choice_letter
from harness.scoring.checks.code_checks import python_tests
from harness.scoring.checks.code_fence_check import code_fence
from harness.scoring.checks.containment_checks import contains, contains_all, contains_any, not_contains
from harness.scoring.checks.degeneration_checks import ends_by_itself, no_loop, script
from harness.scoring.checks.disclaimer_check import disclaimer
from harness.scoring.checks.fuzzy_check import fuzzy
from harness.scoring.checks.grounding_checks import grounded, no_hallucination_markers
from harness.scoring.checks.instruction_check import instruction
from harness.scoring.checks.json_checks import json_equals, json_fields, json_schema
from harness.scoring.checks.json_checks import json_parses as json
from harness.scoring.checks.label_check import label
from harness.scoring.checks.language_check import language
from harness.scoring.checks.leak_checks import no_pii, no_prompt_leak, no_secrets
from harness.scoring.checks.likelihood_checks import choice, exact_greedy, perplexity
from harness.scoring.checks.list_check import list_equals as list
from harness.scoring.checks.number_check import number
from harness.scoring.checks.overlap_checks import bleu, chrf, length_ratio, overlap, rouge
from harness.scoring.checks.overlap_checks import check_token_f1 as token_f1
from harness.scoring.checks.refusal_checks import not_refusal, refusal
from harness.scoring.checks.regex_check import matches as regex
from harness.scoring.checks.semantic_check import semantic_similarity
from harness.scoring.checks.table_checks import csv_table as csv
from harness.scoring.checks.table_checks import markdown_table
from harness.scoring.checks.template_check import template
from harness.scoring.checks.text_checks import (
    allow_empty,
    ends_with,
    equals,
    max_length,
    min_length,
    one_of,
    starts_with,
)
from harness.scoring.checks.tool_calls_check import tool_calls
from harness.scoring.checks.toxicity_check import not_toxic
from harness.scoring.checks.xml_check import xml
from harness.scoring.checks.yaml_check import yaml

__all__ = [
    "allow_empty",
    "bleu",
    "choice",
    "choice_letter",
    "chrf",
    "code_fence",
    "contains",
    "contains_all",
    "contains_any",
    "csv",
    "disclaimer",
    "ends_by_itself",
    "ends_with",
    "equals",
    "exact_greedy",
    "fuzzy",
    "grounded",
    "instruction",
    "json",
    "json_equals",
    "json_fields",
    "json_schema",
    "label",
    "language",
    "length_ratio",
    "list",
    "markdown_table",
    "max_length",
    "min_length",
    "no_hallucination_markers",
    "no_loop",
    "no_pii",
    "no_prompt_leak",
    "no_secrets",
    "not_contains",
    "not_refusal",
    "not_toxic",
    "number",
    "one_of",
    "overlap",
    "perplexity",
    "python_tests",
    "refusal",
    "regex",
    "rouge",
    "script",
    "semantic_similarity",
    "starts_with",
    "template",
    "token_f1",
    "tool_calls",
    "xml",
    "yaml",
]
