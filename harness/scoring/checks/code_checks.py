"""Code: run in a sandbox, against tests.

The answer's code runs only with --allow-code-execution; without it, such cases end in *error*.
"""

from __future__ import annotations

import ast
import builtins

from harness.cases import Case, Response, Score
from harness.sandbox import Program, ProgramLimits, run_program
from harness.scoring.check_type import Example, Scorer, declare_check
from harness.scoring.checks.parameters import FLAG
from harness.scoring.text.code_text import before_function, extract_code, last_function

__all__ = ["python_tests"]

_KINDS = {"passed": Score.passed, "failed": Score.missed, "unreadable": Score.invalid}

_TEXT = {"type": "string", "minLength": 1, "maxLength": 1_000_000}


@declare_check(
    "python_tests",
    parameters={
        "tests": _TEXT,
        "prompt": _TEXT,
        "entry_point": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "in_process": FLAG,
        "seconds": {"type": "integer", "minimum": 1, "maximum": 300},
        "memory": {"type": "integer", "minimum": 64, "maximum": 16384},
    },
    examples=(
        Example(
            {"tests": "assert add(2, 3) == 5\nassert add(-1, 1) == 0"},
            accepts=(
                "Here you are:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds.",
                "def add(a, b):\n    return a + b",
                "add = lambda a, b: a + b",
            ),
            rejects=(
                "def add(a, b):\n    return None",
                "I would use the plus sign.",
                "```python\ndef add(a, b:\n```",
                "import sys\nprint('passed')\nsys.exit(0)",
            ),
        ),
        Example(
            {"prompt": "def double(x):\n", "tests": "assert double(4) == 8"},
            accepts=(
                "    return 2 * x\n\nprint(double(1))",
                "return 2 * x",
                "```\ndef double(x):\n  return x + x\n```",
            ),
            rejects=("    pass", "    return x"),
        ),
        Example(
            {"tests": "assert 1", "entry_point": "spin"},
            accepts=("def spin():\n    return 1",),
            rejects=("def turn():\n    return 1",),
        ),
        Example(
            {"tests": "assert Stack().items == []", "in_process": True},
            accepts=("class Stack:\n    def __init__(self):\n        self.items = []",),
            rejects=("class Stack:\n    items = None",),
        ),
    ),
)
def python_tests(
    tests: str,
    prompt: str = "",
    entry_point: str | None = None,
    in_process: bool = False,
    seconds: int = 10,
    memory: int = 512,
) -> Scorer:
    """The answer's Python code passes the `tests`: statements that raise where it is wrong.

    It must define the names that the tests use and define nowhere; with a `prompt` that it goes on from, the
    prompt's last function; or the `entry_point`. An answer without code, or with code that Python cannot
    read, is invalid.
    """
    try:
        used = _free_names(tests)
        before = before_function(prompt)
        _free_names(before)
    except (SyntaxError, ValueError) as problem:
        raise ValueError(f"tests and prompt must be Python: {problem}") from None
    last = entry_point or last_function(prompt)
    functions = (last,) if last else tuple(sorted(used))
    limits = ProgramLimits(seconds=seconds, wall=6 * seconds, memory=memory)

    def scorer(case: Case, response: Response) -> Score:
        code = extract_code(response.text, functions, prompt)
        cut = ": the answer was cut off" if response.truncated else ""
        if code is None:
            return Score.invalid(
                f"no code in the answer: looked for {', '.join(functions) or 'a block'}{cut}"
            )
        ending = run_program(Program(code, tests, functions, before, in_process), limits)
        if ending.outcome == "passed":
            return Score.passed(code)
        if ending.outcome == "unreadable":
            return Score.invalid(f"the code cannot be read: {ending.why}{cut}", code)
        return Score.missed(ending.why, code)

    return scorer


def _free_names(source: str) -> set[str]:
    """Return the names that a program uses and neither defines nor finds among the built-in ones."""
    tree = ast.parse(source)
    used: set[str] = set()
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif (isinstance(node, ast.ExceptHandler) and node.name) or (
            isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name
        ):
            bound.add(node.name)
    return used - bound
