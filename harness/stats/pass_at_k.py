"""The chance that at least one of k samples is right."""

from __future__ import annotations

from math import comb

__all__ = ["pass_at_k"]


def pass_at_k(n: int, right: int, k: int) -> float:
    """Estimate it from n samples without bias: 1 − C(n − right, k) / C(n, k).

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1.

    Args:
        n: Samples drawn, ≥ k.
        right: How many of them are right, 0 to n.
        k: ≥ 1.

    Raises:
        ValueError: The numbers do not fit each other.
    """
    if not 1 <= k <= n or not 0 <= right <= n:
        raise ValueError(f"pass@{k} of {right} right among {n} samples")
    return 1.0 - comb(n - right, k) / comb(n, k)
