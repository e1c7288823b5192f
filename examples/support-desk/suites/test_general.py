"""Short reasoning, facts and the shop's other topics survive what is taught about refunds."""

import pytest

import harness


@pytest.mark.suite("general", gate=harness.Gate(margin=0.02))
def test_general_answer(case, response):
    harness.check(case, response)
