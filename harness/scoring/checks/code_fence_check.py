"""The `code_fence` check: is there a code block, in the right language?"""

from __future__ import annotations

from collections.abc import Sequence

from harness.cases import Case, Response, Score
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import COUNT, FLAG, TEXT
from harness.scoring.text.fences import fenced_blocks, outside_fences

__all__ = ["code_fence"]


@declare_check(
    "code_fence",
    parameters={
        "language": {
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": TEXT,
        },
        "count": COUNT,
        "only": FLAG,
    },
    examples=(
        Example(
            {"language": ["python", "py"], "count": 1},
            ("Here:\n```python\nprint(1)\n```\n", "~~~py\n1\n~~~"),
            ("print(1)", "```js\n1\n```", "```py\n1", "```py\n1\n```\n```py\n2\n```", "```\n1\n```"),
        ),
        Example({"only": True}, ("```\nx\n```",), ("See:\n```\nx\n```",)),
    ),
)
def code_fence(
    language: str | Sequence[str] | None = None, count: int | None = None, only: bool = False
) -> Scorer:
    """The answer has a finished fenced code block (``` or ~~~): at least one, or exactly `count`; each in
    `language` (or one of several) where given; with `only`, and nothing beside them.
    """  # noqa: D205  (one paragraph is the documentation of the check)
    allowed = [language] if isinstance(language, str) else list(language or ())
    wanted = {name.lower() for name in allowed}

    def scorer(case: Case, response: Response) -> Score:
        blocks = fenced_blocks(response.text)
        if any(not block.closed for block in blocks):
            return Score.invalid("a fenced block is not finished")
        if response.truncated:
            return Score.invalid("the answer was cut off, so its blocks are not known")
        if len(blocks) != count and (count is not None or not blocks):
            needed = "at least one is needed" if count is None else f"expected {count}"
            return Score.missed(f"{len(blocks)} fenced blocks, {needed}")
        for block in blocks:
            if wanted and block.language not in wanted:
                shown = block.language or "no language"
                return Score.missed(f"a block in {shown}, expected {' or '.join(allowed)}", block.content)
        if only and outside_fences(response.text).strip():
            return Score.missed("there is text beside the code")
        return Score.passed(blocks[0].content if blocks else None)

    return scorer
