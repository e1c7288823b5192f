"""Whether a backend keeps its contract: for the tests of whoever writes one.

    from harness.conformance import check_backend

    def test_acme_keeps_its_contract(tmp_path):
        check_backend(AcmeBackend, "acme/tiny", root=tmp_path)

It builds the backend several times, resolves the checkpoint, asks a few short questions in different ways,
and says everything that is wrong at once. The contract is in `harness.protocols`; what a backend need not
have, such as likelihoods, is tried where it says that it has it. Nothing here knows any backend.
"""

from __future__ import annotations

from harness.conformance.check_backend import ConformanceError, check_backend
from harness.conformance.trial import LIKELIHOOD_QUESTIONS, QUESTIONS

__all__ = ["LIKELIHOOD_QUESTIONS", "QUESTIONS", "ConformanceError", "check_backend"]
