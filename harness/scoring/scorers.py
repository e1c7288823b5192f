"""Every check type as a function, under the name that cases give it.

    from harness.scoring import scorers

    similar = scorers.rouge(value="The cat sat.", at_least=0.5)
    record_score(similar(case, response))

Each takes the parameters of its check (docs/scoring.md) and returns a pure function from a case and a
response to a `Score`. Called so, it judges whatever it is given: that an empty answer is invalid, and that a
parameter left out is the case's `target`, are rules of `harness.check` and `harness.scoring.score`.

The functions stand where their checks are declared. For type checkers and editors, a wheel has their
signatures in a stub beside this module; `harness.scoring.scorers_stub` writes it when the wheel is built.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.scoring.built_in import BUILT_IN
from harness.scoring.check_type import Scorer

__all__ = sorted(BUILT_IN)


def __getattr__(name: str) -> Callable[..., Scorer]:
    if name not in BUILT_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    factory = globals()[name] = BUILT_IN[name].build
    return factory


def __dir__() -> list[str]:
    return __all__
