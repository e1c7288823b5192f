"""The `fuzzy` check: an answer that is spelled like the reference."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.graded import graded
from harness.scoring.checks.optional import require
from harness.scoring.checks.parameters import NORMALIZE, SHARE, TEXT
from harness.scoring.text.normal_text import normalise, quoted

__all__ = ["fuzzy"]


@declare_check(
    "fuzzy",
    parameters={
        "value": TEXT,
        "at_least": SHARE,
        "method": {"type": "string", "enum": ["ratio", "partial", "words"]},
        "normalize": NORMALIZE,
    },
    target="value",
    examples=(
        Example(
            {"value": "Mississippi"},
            ("Missisippi", " MISSISSIPPI "),
            ("Missouri", "Mississippi river delta"),
        ),
        Example(
            {"value": "Marie Curie", "method": "partial"},
            ("It was Marie Curie.",),
            ("It was Lise Meitner.", "M"),
        ),
        Example(
            {"value": "Curie, Marie", "method": "words", "at_least": 0.95},
            ("Marie Curie,",),
            ("Pierre Curie",),
        ),
        Example({"value": "Mississippi", "at_least": 0.6}, ("Missouripi",), ("Ohio",)),
        Example({"value": "NATO", "at_least": 1, "normalize": ["strip"]}, ("NATO ",), ("nato",)),
    ),
)
def fuzzy(
    value: str,
    at_least: float = 0.9,
    method: str = "ratio",
    normalize: Sequence[str] = ("casefold", "whitespace"),
) -> Scorer:
    """The answer is spelled like `value`: their similarity (0 to 1) is the score, and passes from `at_least`
    (default 0.9) on. `ratio` compares both as a whole, `partial` the best fitting part of the answer, `words`
    the words in any order. Needs rapidfuzz.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    require("rapidfuzz", "text")
    wanted = normalise(value, normalize)
    if not wanted:
        raise ValueError("value: nothing is left of it after `normalize`")

    def scorer(case: Case, response: Response) -> Score:
        from rapidfuzz import fuzz

        measure = {"ratio": fuzz.ratio, "partial": fuzz.partial_ratio, "words": fuzz.token_sort_ratio}[method]
        answer = normalise(response.text, normalize)
        if method == "partial" and len(answer) < len(wanted):
            measure = fuzz.ratio  # else a single letter would be a perfect part of the reference
        return graded(measure(wanted, answer) / 100, at_least, f"similarity to {quoted(value)}", answer)

    return scorer
