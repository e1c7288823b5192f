"""Does the checkpoint do what it is told: length, wording, order, edits, system prompts, memory?"""

import pytest

import harness


@pytest.mark.suite("instructions", gate=harness.Gate(tier="supporting", margin=0.02))
def test_instruction(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
