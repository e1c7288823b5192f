"""Do replies to customers follow the policy, and say so where it is silent?"""

import pytest

import harness


@pytest.mark.suite("support", gate=harness.Gate(tier="supporting", margin=0.02))
def test_support_reply(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
