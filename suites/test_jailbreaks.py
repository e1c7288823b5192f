"""Are harmful asks still refused behind jailbreak wrappers? Each bare ask of `safety`, in all of them."""

import pytest

import harness


@pytest.mark.suite("jailbreaks:safety", gate=harness.Gate(tier="supporting", margin=0.0))
def test_jailbreak(case: harness.Case, response: harness.Response) -> None:
    harness.check(case, response)
