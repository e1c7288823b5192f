"""Alpha over reruns of the same candidate: who asks until the answer suits must pay for each time.

Eight runs of an unchanged model at temperature 1, each at alpha = 5 %, block at least once in up to a third
of such series, and a drop that blocks half of the time passes in 99.6 % of them. Sharing alpha over the runs
keeps the chance that an unchanged candidate is ever blocked; that a pass after a block says so is for whoever
shows it.

With an open end the k-th run gets alpha · 6/(π²k²): 61, 15, 7, 4 % of it and so on, which add up to alpha.
With a planned number of runs each gets the same.
"""

from __future__ import annotations

import math

__all__ = ["alpha_of_run", "chance_of_a_pass"]


def alpha_of_run(alpha: float, run: int, *, planned: int | None = None) -> float:
    """Return the level at which the k-th run of the same candidate under the same policy is decided.

    Args:
        alpha: Over all runs together, in (0, 1).
        run: 1 for the first.
        planned: How many runs there will be at most; None: nobody knows.

    Raises:
        ValueError: The run is not one of those planned.

    Source: Bonferroni's inequality; Σ 1/k² = π²/6 (Euler), the usual choice where the number of looks is
        open.
    """
    if run < 1 or (planned is not None and run > planned):
        raise ValueError(f"run {run} of {'any number' if planned is None else planned}")
    return alpha * 6.0 / (math.pi * run) ** 2 if planned is None else alpha / planned


def chance_of_a_pass(power: float, runs: int) -> float:
    """Return the chance that one of so many independent runs passes, if each is blocked with `power`."""
    return 1.0 - power**runs
