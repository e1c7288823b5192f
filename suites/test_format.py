"""Does the checkpoint write the form that is asked for: JSON, tool calls, verifiable instructions, tables?"""

import pytest

import harness


@pytest.mark.suite("format", gate=harness.Gate(tier="supporting", margin=0.02))
def test_format(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
