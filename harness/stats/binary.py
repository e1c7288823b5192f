"""Paired proportions and single proportions: one right-or-wrong answer per case, cases independent.

Of n pairs, `improved` were wrong under the baseline and right under the candidate, `worsened` the other
way round; the rest agree and say nothing about the direction.
"""

from __future__ import annotations

import math

from harness.stats.quantiles import normal_quantile, normal_tail

__all__ = [
    "SCORE_FROM",
    "exact_proportion_bound",
    "mcnemar_mid_p",
    "mcnemar_p",
    "tango_interval",
    "tango_statistic",
]

SCORE_FROM = 20
"""Pairs from which McNemar's score test is used; with fewer it blocks too often (docs/statistics.md)."""

_BISECTIONS = 60


def mcnemar_p(improved: int, worsened: int, n: int) -> float:
    """Return the one-sided p-value of McNemar's test for a drop among n pairs.

    From `SCORE_FROM` pairs on that of the score test, Φ((improved − worsened)/√discordant): it rejects at α
    exactly when Tango's one-sided bound lies below 0, at least as often as mid-p, and in the worst case over
    all shares of discordant pairs falsely as often as mid-p does. With fewer pairs mid-p.
    Without a discordant pair there is no evidence, and the value is 1.

    Source: McNemar, Psychometrika 12:153–157 (1947); Fagerland, Lydersen & Laake, BMC Med Res Methodol
    13:91 (2013), who recommend both.
    """
    discordant = improved + worsened
    if n < SCORE_FROM or discordant == 0:
        return mcnemar_mid_p(improved, worsened)
    return normal_tail((worsened - improved) / math.sqrt(discordant))


def mcnemar_mid_p(improved: int, worsened: int) -> float:
    """Return the one-sided mid-p of McNemar's exact test for a drop.

    P(X < improved) + ½ P(X = improved) with X ~ Binomial(improved + worsened, ½), summed in integers, so
    it is exact to the last bit. Without a discordant pair there is no evidence, and the value is 1.

    Source: Fagerland, Lydersen & Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Med Res Methodol 13:91 (2013).
    """
    discordant = improved + worsened
    if discordant == 0:
        return 1.0
    if improved > worsened:  # the two tails add up to one; the short one has fewer terms
        return 1.0 - mcnemar_mid_p(worsened, improved)
    below, term = 0, 1
    for successes in range(improved):
        below += term
        term = term * (discordant - successes) // (successes + 1)
    return (2 * below + term) / (1 << (discordant + 1))


def tango_statistic(improved: float, worsened: float, n: int, delta: float) -> float:
    """Return Tango's score statistic of the hypothesis that the difference of proportions is `delta`.

    The nuisance parameter is the constrained maximum-likelihood estimate of the probability that a pair
    worsens. Falls as `delta` rises. At `delta` = 0 it is McNemar's (improved − worsened)/√discordant.

    Source: Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17:891–908 (1998).
    """
    quadratic = 2.0 * n
    linear = -improved - worsened + (2.0 * n - improved + worsened) * delta
    constant = -worsened * delta * (1.0 - delta)
    root = math.sqrt(max(linear * linear - 4.0 * quadratic * constant, 0.0))
    # Of the two spellings of the larger root, the one that does not subtract nearly equal numbers.
    if linear <= 0.0:
        worse = (root - linear) / (2.0 * quadratic)
    else:
        worse = -2.0 * constant / (root + linear) if root + linear > 0.0 else 0.0
    variance = n * (2.0 * worse + delta * (1.0 - delta))
    distance = improved - worsened - n * delta
    if variance <= 0.0:
        return 0.0 if distance == 0.0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def tango_interval(improved: float, worsened: float, n: int, *, level: float) -> tuple[float, float]:
    """Return Tango's score interval for the difference of two paired proportions.

    Args:
        improved: Pairs that the candidate alone gets right; a fraction where changes were of less than
            full size.
        worsened: Pairs that the baseline alone gets right.
        n: All pairs, at least 1.
        level: Error probability on each side, in (0, ½).

    Returns:
        (lower, upper) in [−1, 1]; each bound alone is one-sided at `level`.
    """
    bound = normal_quantile(1.0 - level)
    estimate = (improved - worsened) / n

    def lower(b: float, c: float, centre: float) -> float:
        low, high = -1.0, centre
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            if tango_statistic(b, c, n, middle) > bound:
                low = middle
            else:
                high = middle
        return low

    # The upper bound is the mirrored lower one, so that swapping the sides mirrors the interval exactly.
    return lower(improved, worsened, estimate), -lower(worsened, improved, -estimate)


def exact_proportion_bound(successes: float, n: float, *, level: float) -> tuple[float, float]:
    """Return the Clopper–Pearson bounds of a proportion, each one-sided at `level`.

    Fractional successes are allowed: a sum of graded scores varies at most as much as a sum of hits with
    the same mean, so the bounds are on the safe side.

    Source: Clopper & Pearson, Biometrika 26:404–413 (1934), as quantiles of the beta distribution.
    """
    from scipy.special import betaincinv

    lower = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, level))
    upper = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1.0 - level))
    return lower, upper
