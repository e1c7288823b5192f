"""Does the code pass its tests? Runs in a sandbox: `pytest --model=… --allow-code-execution`."""

import pytest

import harness


@pytest.mark.suite("code", gate=harness.Gate(tier="supporting", margin=0.02))
def test_code(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
