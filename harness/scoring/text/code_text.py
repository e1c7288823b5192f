"""Find the Python code in a model's answer: fenced, bare, or the rest of a function that the prompt began."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence

from harness.scoring.text.fences import fenced_blocks
from harness.scoring.text.thought import without_thought

__all__ = ["before_function", "extract_code", "last_function"]

_LANGUAGES = ("", "py", "py3", "python", "python3", "pycon")
_MOST_PARAGRAPHS = 20  # behind code; each is tried without those after it
_TOP_FUNCTION = re.compile(r"^(?:@[^\n]*\n)*(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_CODE_BEGINS = re.compile(r"^(?:from\s+\w|import\s+\w|(?:async\s+)?def\s+\w|class\s+\w|@\w)", re.MULTILINE)
_PROSE = re.compile(  # "This function adds two numbers.", "Example usage:"
    r"^[A-Z][\w'’]*(?:,? [\w'’`\"(]+){2}[^=\n]*$|^[A-Z]\w*(?: \w+){0,2}:[ \t]*$", re.MULTILINE
)
# What ends a completion, as published with HumanEval (Chen et al. 2021): the next thing at the margin.
_BODY_ENDS = re.compile(
    r"^(?:class |def |async def |@|#|if |print\(|```|from |import |assert )", re.MULTILINE
)


def extract_code(text: str, functions: Sequence[str], prompt: str = "") -> str | None:
    """Return the program that an answer gives, or None where it holds no code.

    Of several fenced blocks it is the last one that defines all the functions; where none does, all of them
    together. Without a fence, or where the text before the first one defines them (as where the prompt opened
    it), it is that text from its first line of code on, without the prose behind it. With a prompt, an answer
    that does not define the functions goes on where the prompt ends, and one that does comes after what
    stands before the prompt's last function (imports, helpers).

    Args:
        text: The answer; see `without_thought`.
        functions: Names that the code should define.
        prompt: The beginning of a program, which the model was to go on with.
    """
    text = without_thought(text)
    text = re.sub(r"^[ \t]*\[/?PYTHON\][ \t]*$", "```", text, flags=re.MULTILINE)
    text = re.sub(r"^([ \t]*```)\{\.?python\}", r"\1python", text, flags=re.MULTILINE)
    blocks = [
        textwrap.dedent(block.content) if not prompt else block.content
        for block in fenced_blocks(text)
        if block.language in _LANGUAGES
    ]
    complete = [block for block in blocks if _defines(block, functions)]
    before = re.split(r"^[ \t]*(?:```|~~~)", text, maxsplit=1, flags=re.MULTILINE)[0]
    if blocks and not complete and _defines(before, functions):
        blocks, text = [], before
    if blocks:
        code = complete[-1] if complete else "\n".join(blocks)
    elif prompt and not _defines(text, functions):
        code = text
    else:
        begins = [
            found.start() for found in (_CODE_BEGINS.search(text), _definition(text, functions)) if found
        ]
        if not begins:
            return None
        code = _without_prose(text[min(begins) :], functions)
    if not prompt:
        return code
    if _defines(code, functions):
        return f"{before_function(prompt)}\n{code}"
    return prompt + _body(code)


def _without_prose(code: str, functions: Sequence[str]) -> str:
    """Return code up to the first line of prose at the margin behind the functions, outside long strings."""
    if not functions or not _defines(code, functions):
        return code
    code = _without_last_words(code, functions)
    for found in _PROSE.finditer(code):
        before = code[: found.start()]
        if _defines(before, functions) and all(before.count(mark) % 2 == 0 for mark in ('"""', "'''")):
            return before
    return code


def _without_last_words(code: str, functions: Sequence[str]) -> str:
    """Return code without its last paragraphs at the margin, where only those keep Python from reading it."""
    ends = [gap.end() for gap in re.finditer(r"\n[ \t]*\n(?=[^\s#@])", code)]
    for end in [len(code), *reversed(ends[-_MOST_PARAGRAPHS:])]:
        shorter = code[:end]
        if not _defines(shorter, functions):
            return code
        try:
            tree = ast.parse(shorter)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        last = tree.body[-1]
        is_a_word = isinstance(last, ast.Expr) and isinstance(last.value, ast.Name)  # "Done"
        return code if end == len(code) and not is_a_word else shorter
    return code


def last_function(prompt: str) -> str | None:
    """Return the name of the last function at the margin of a program, or None."""
    found = list(_TOP_FUNCTION.finditer(prompt))
    return found[-1][1] if found else None


def before_function(prompt: str) -> str:
    """Return what stands before the last function at the margin of a program."""
    found = list(_TOP_FUNCTION.finditer(prompt))
    return prompt[: found[-1].start()] if found else prompt


def _defines(code: str, functions: Sequence[str]) -> bool:
    return bool(functions) and all(_definition(code, [name]) for name in functions)


def _definition(code: str, functions: Sequence[str]) -> re.Match[str] | None:
    """Return where the first of the functions is defined at the margin."""
    if not functions:
        return None
    names = "|".join(map(re.escape, functions))
    return re.search(
        rf"^(?:(?:async[ \t]+)?def|class)[ \t]+(?:{names})\b|^(?:{names})[ \t]*(?::[^\n=]*)?=(?!=)",
        code,
        re.MULTILINE,
    )


def _body(text: str) -> str:
    """Return a function's body as it must be indented to go on from the prompt's end."""
    lines = text.strip("\n").split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    rest = [line for line in lines[first + 1 :] if line.strip()]
    if lines[first][:1] not in (" ", "\t"):  # the answer's own margin was stripped
        if any(line[:1] in (" ", "\t") for line in rest) and not _opens_block(lines[first]):
            lines[first] = "    " + lines[first]
        else:
            lines = ["    " + line for line in lines]
    body = "\n".join(lines)
    end = _BODY_ENDS.search(body)
    return body[: end.start()] if end else body


def _opens_block(line: str) -> bool:
    return line.rstrip().endswith(":")
