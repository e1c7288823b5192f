"""Orders become the JSON that the warehouse takes: the schema, and every name and quantity."""

import pytest

import harness


@pytest.mark.suite("orders", gate=harness.Gate(margin=0.02))
def test_order_json(case, response):
    harness.check(case, response)
