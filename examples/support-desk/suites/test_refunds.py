"""Refund replies follow this year's policy; they are what the fine-tuning is for."""

import pytest

import harness


@pytest.mark.suite("refunds", gate=harness.Gate(margin=0.02))
def test_refund_reply(case, response):
    harness.check(case, response)
