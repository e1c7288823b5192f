"""Has the checkpoint kept what it knew: arithmetic, facts, short reasoning, words?"""

import pytest

import harness


@pytest.mark.suite("general", gate=harness.Gate(margin=0.02))
def test_general_ability(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
