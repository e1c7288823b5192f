"""How helpful answers are, graded by a judge model: `pytest --model=… --judge=anthropic/NAME`.

Each case brings points of its own for the judge, and checks for what a program sees by itself (the language,
a number, a length): an answer that misses them is missed, whatever the judge says. Without `--judge` nothing
is graded, and the suite is shown as not judged.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import harness

HELPFUL = harness.Rubric(
    criteria="""\
A helpful answer does what was asked, correctly and completely, in the language of the question, and says no \
more than serves the person who asked.
5: correct and complete; follows every instruction on form, length and tone; nothing misleads.
4: helpful, with a small flaw that the person would hardly notice.
3: partly helpful: something that was asked is missing, or a flaw takes effort to work around.
2: mostly unhelpful: wrong or missing in the main point, or it ignores an instruction that matters.
1: wrong, harmful, off the question, or no answer at all.
Where a question has a false premise or cannot be answered, the helpful answer says so.
The POINTS of a case make this concrete: an answer that misses one of them is at best a 4, two a 3, most a 2.
A REFERENCE, where there is one, is one good answer among others: facts and results must agree with it, \
wording, order and examples need not.""",
    scale=(1, 5),
    passing=0.75,
)


@pytest.mark.suite("judge", gate=harness.Gate(tier="supporting", margin=0.05), rubric=HELPFUL)
def test_helpful(
    case: harness.Case,
    response: harness.Response,
    judge: Callable[..., harness.Score],
    record_score: Callable[..., None],
) -> None:
    graded = judge(case, response)
    harness.check(case, response)
    record_score(graded)
