"""The suite that gates an imported set: a module for the user's suites, to be changed at will."""

from __future__ import annotations

import re
import textwrap

from harness.interchange.format import Format

__all__ = ["suite_module"]

_CHECKED = '''"""Gates the golden set {name}, imported from {source}."""

import pytest

import harness


@pytest.mark.suite("{name}", gate=harness.Gate(margin=0.02))
def test_{function}(case, response):
    harness.check(case, response)
'''

_JUDGED = '''"""Gates the golden set {name}, imported from {source}.

A judge grades the answers: `--judge=anthropic/NAME`.
"""

import pytest

import harness

RUBRIC = harness.Rubric(
    criteria="""\\
{rubric}""",
    scale=(1, 10),
    passing=0.66,
)


@pytest.mark.suite("{name}", gate=harness.Gate(margin=0.05), rubric=RUBRIC)
def test_{function}(case, response, judge, record_score):
    record_score(judge(case, response))
'''


def suite_module(name: str, form: Format) -> str:
    """Return the source of a suite for a golden set.

    Args:
        name: The set.
        form: The format that it was imported from.
    """
    text = _CHECKED if form.rubric is None else _JUDGED
    function = re.sub(r"\W+", "_", name)
    lines = (form.rubric or "").splitlines()
    rubric = "\n".join(" \\\n".join(textwrap.wrap(line, 100)) for line in lines)
    return text.format(name=name, source=form.description, function=function, rubric=rubric)
