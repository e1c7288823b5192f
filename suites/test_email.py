"""Do replies to tickets begin with a subject, keep to the facts, and promise only what is allowed?"""

import pytest

import harness


@pytest.mark.suite("email", gate=harness.Gate(tier="supporting", margin=0.02))
def test_email_reply(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
