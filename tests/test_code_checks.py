from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared_data

from harness.cases import Case, Message, Outcome, Response
from harness.errors import ConfigurationError, ScoringError
from harness.sandbox import code_allowed
from harness.scoring import score
from harness.scoring.text.code_text import extract_code, last_function


@pytest.fixture
def allowed() -> Iterator[None]:
    with code_allowed():
        yield


def case(**check: Any) -> Case:
    return Case("c", (Message("user", "?"),), checks=({"type": "python_tests", **check},))


# --- finding the code ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Sure:\n```python\ndef f():\n    return 1\n```\nDone.", "def f():\n    return 1"),
        ("~~~py\nf = 1\n~~~", "f = 1"),
        ("```python\ndef f(): 1\n```\nBetter:\n```python\ndef f(): 2\n```", "def f(): 2"),
        ("```python\ndef f(): 1\n```\nUse it:\n```python\nprint(f())\n```", "def f(): 1"),
        ("```python\ndef g(): 1\n```\nand\n```python\nx = g()\n```", "def g(): 1\nx = g()"),
        ("```bash\npip install f\n```\n```python\ndef f(): 1\n```", "def f(): 1"),
        ("```python\ndef f():\n    return 1", "def f():\n    return 1"),
        ("I think so.\n\nimport os\ndef f():\n    pass", "import os\ndef f():\n    pass"),
        ("f: int = 3", "f: int = 3"),
        ("<think>```python\ndef f(): 0\n```</think>\n```python\ndef f(): 1\n```", "def f(): 1"),
        ("def f():\n    return 1\n\nThis function returns one.", "def f():\n    return 1\n\n"),
        ("def f(): 1\n\nExample usage:\nprint(f())", "def f(): 1\n\n"),
        (
            'def f(): 1\nT = 1\n"""\nSome long text here.\n"""',
            'def f(): 1\nT = 1\n"""\nSome long text here.\n"""',
        ),
        ("def f(): 1\n```\nThis is all that it takes.", "def f(): 1\n"),
        ("It is:\n\ndef f():\n    return 1\n\nDone.", "def f():\n    return 1\n\n"),
        ("[PYTHON]\ndef f(): 1\n[/PYTHON]", "def f(): 1"),
        ("```{python}\ndef f(): 1\n```", "def f(): 1"),
        ("```python\n    def f(): 1\n```", "def f(): 1"),
        ("It cannot be done.", None),
        ("f == 3 is what I would test", None),
        ("", None),
    ],
)
def test_the_code_of_an_answer(answer: str, code: str | None) -> None:
    assert extract_code(answer, ["f"]) == code


PROMPT = 'import math\n\ndef half(x):\n    return x / 2\n\ndef f(x):\n    """Return it."""\n'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("    y = half(x)\n    return y\n", PROMPT + "    y = half(x)\n    return y"),
        ("y = 1\n    return y", PROMPT + "    y = 1\n    return y"),
        ("return x", PROMPT + "    return x"),
        ("if x:\n    return 1\nreturn 2", PROMPT + "    if x:\n        return 1\n    return 2"),
        ("    return x\n\n\ndef g():\n    pass", PROMPT + "    return x\n\n\n"),
        (
            "```\ndef f(x):\n  return x\n```",
            "import math\n\ndef half(x):\n    return x / 2\n\n\ndef f(x):\n  return x",
        ),
    ],
)
def test_an_answer_goes_on_from_its_prompt(answer: str, code: str) -> None:
    assert last_function(PROMPT) == "f"
    assert extract_code(answer, ["f"], PROMPT) == code


@given(st.text(), st.sampled_from(["", PROMPT]))
def test_any_answer_is_read(answer: str, prompt: str) -> None:
    extract_code(answer, ["f"], prompt)


@pytest.mark.parametrize(
    "answer", ["```" * 50_000, "@\n" * 50_000, "def " * 50_000, "\n" * 200_000, "f" * 500_000]
)
def test_long_answers_are_read(answer: str) -> None:
    extract_code(answer, ["f"])
    extract_code(answer, ["f"], PROMPT)


# --- scoring ---------------------------------------------------------------------------------------------


def test_without_permission_the_case_ends_in_error() -> None:
    with pytest.raises(ScoringError, match=r"python_tests: .* not allowed: give --allow-code-execution"):
        score(case(tests="assert f()"), Response("def f(): return 1"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("def f(): return True", Outcome.PASSED),
        ("def f(): return None", Outcome.MISSED),
        ("def g(): return True", Outcome.MISSED),
        ("```\ndef f(:\n```", Outcome.INVALID),
        ("```\ndef f(): return '\u202e\u05d0'\n```", Outcome.MISSED),
        ("def f(): return '\ud800'", Outcome.INVALID),
        ("def f(): return 1" + "0" * 200_000, Outcome.INVALID),
        ("def f(): return " + "(" * 5000 + "True" + ")" * 5000, Outcome.INVALID),
    ],
)
@pytest.mark.usefixtures("allowed")
def test_how_an_answer_ends(answer: str, outcome: Outcome) -> None:
    assert score(case(tests="assert f() is True"), Response(answer)).outcome is outcome


@pytest.mark.usefixtures("allowed")
def test_code_that_was_cut_off_says_so() -> None:
    found = score(case(tests="assert f()"), Response("```python\ndef f(:", finish_reason="length"))
    assert found.outcome is Outcome.INVALID
    assert "the answer was cut off" in (found.explanation or "")


@pytest.mark.parametrize("tests", ["assert f(", "assert f() == '\0'"])
def test_tests_that_are_no_python_are_the_authors_fault(tests: str) -> None:
    with pytest.raises(ConfigurationError, match="tests and prompt must be Python"):
        score(case(tests=tests), Response("def f(): pass"))


# --- HumanEval -------------------------------------------------------------------------------------------


def human_eval(step: int) -> None:
    """Canonical solutions pass as a completion and as a whole program; `return None` fails."""
    lines = (shared_data("humaneval") / "items.jsonl").read_text(encoding="utf-8").splitlines()

    def outcomes(line: str) -> tuple[str, list[Outcome]]:
        item = json.loads(line)
        tests = f"{item['test']}\ncheck({item['entry_point']})"
        one = case(prompt=item["prompt"], tests=tests)
        whole = f"```python\n{item['prompt']}{item['canonical_solution']}\n```"
        answers = (item["canonical_solution"], whole, "    return None\n")
        return item["task_id"], [score(one, Response(answer)).outcome for answer in answers]

    with code_allowed(), ThreadPoolExecutor(2) as workers:
        found = list(workers.map(outcomes, lines[::step]))
    wrong = [task for task, ended in found if ended != [Outcome.PASSED, Outcome.PASSED, Outcome.MISSED]]
    assert (len(found), wrong) == (len(lines[::step]), [])


def test_a_sample_of_humaneval() -> None:
    human_eval(step=8)


@pytest.mark.slow
def test_all_of_humaneval() -> None:
    human_eval(step=1)
