"""What the decision over one release promises, on real outcomes: a line of JSON for every promise.

    python benchmarks/release_rule.py FOLDER [--draws 2000] [--only unchanged …] [--sizes 50 100]

FOLDER holds the data packs `alpaca_eval` and `alpaca_eval_extra`: what judges said of the answers of real
models to the same 805 prompts. A suite is n prompts at random and a pair of models that one judge has seen,
with right-or-wrong and with graded scores in turn. The rule's two numbers were chosen on the models of the
first pack (`chosen on`); the judges and nearly all models of the second had no part in it (`held out`).

- *unchanged*: the two answers of each prompt change sides at random. Every block is false. Suites are
  independent, or all ask the same prompts, which then change sides in all suites together.
- *drops*: which flips are kept is thinned until a drop of 10 points in a lone suite of 100 cases is caught in
  about 70 %; then each flip is a loss a little more often than a gain, so that the mean falls as it should.
  Beside this rule: Holm's, Hochberg's and Simes' on the same draws, and the best that any rule of this level
  can do if it knows what kind of drop it is looking for (the likelihood ratio of just that).
- *statistics*: other ways to make one question of many, each held to the same joint sign flips, so that only
  their power differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gate_quality import PROMPTS, SIZES, read_families
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from harness.stats.binary import mcnemar_p
from harness.stats.family import DROP_IN_ALL, DROP_IN_ONE, Question, decide_family
from harness.stats.flip_tail import flip_p_value
from harness.stats.joint_flips import joint_flips
from harness.stats.paired import compare_pairs

Array = NDArray[np.float64]
Statistic = Callable[[Array, Array, Array], Array]

ALPHA, MARGIN = 0.05, 0.02
SUITES = (1, 5, 10, 20)
SQUARE = 0.22  # mean square of a difference at which a drop of 10 points among 100 cases is caught in 70 %
CASES = 100


@dataclass(frozen=True)
class Pair:
    """Candidate minus baseline of two models on all prompts."""

    differences: Array
    single: bool

    @property
    def square(self) -> float:
        """Mean square of a difference."""
        return float((self.differences**2).mean())


@dataclass(frozen=True)
class Drop:
    """A kind of drop that is to be caught.

    Attributes:
        name: In words.
        drops: Of each suite, in [0, 1].
        shares: Of alpha by suite.
        caught: The share that is promised, in percent.
    """

    name: str
    drops: tuple[float, ...]
    shares: tuple[float, ...]
    caught: float


DROPS = (
    Drop("10 points in a lone suite", (0.1,), (1.0,), 0.0),
    Drop("10 points in one of 5", (0.1, *[0.0] * 4), (1.0,) * 5, 44.0),
    Drop("10 points in one of 20", (0.1, *[0.0] * 19), (1.0,) * 20, 27.0),
    Drop("10 points in the one of 20 with half of alpha", (0.1, *[0.0] * 19), (19.0, *[1.0] * 19), 55.0),
    Drop("5 points in each of 5", (0.05,) * 5, (1.0,) * 5, 62.0),
    Drop("3 points in each of 20", (0.03,) * 20, (1.0,) * 20, 75.0),
)


def pairs(families: Sequence[Array]) -> list[Pair]:
    """Return every pair of models that one judge has seen, right-or-wrong and graded in turn."""
    return [
        Pair(scores[one] - scores[two], single)
        for family in families
        for single, scores in ((True, (family > 0.5).astype(np.float64)), (False, family))
        for one, two in itertools.combinations(range(len(family)), 2)
    ]


def question(totals: Array, single: bool, units: Sequence[int] | None, share: float) -> Question:
    """Return what a gate with default settings asks of these differences."""
    if single:
        p_value = mcnemar_p(int((totals > 0).sum()), int((totals < 0).sum()), len(totals))
    else:
        p_value = flip_p_value(totals)
    is_below = True
    if p_value <= ALPHA and not single:  # the gate asks for the interval as well
        baseline = np.maximum(-totals, 0.0)
        is_below = compare_pairs(baseline + totals, baseline, alpha=ALPHA, single=False).bounds[1] < 0.0
    return Question(totals, np.ones(len(totals)), p_value, units, share, MARGIN, is_below_zero=is_below)


def unchanged(
    rng: np.random.Generator, found: Sequence[Pair], suites: int, cases: int, shared: bool
) -> list[Question]:
    """Return a release in which nothing changed."""
    single = bool(rng.random() < 0.5)
    pool = [pair for pair in found if pair.single == single]
    prompts, coins = rng.permutation(PROMPTS)[:cases], rng.choice([-1.0, 1.0], PROMPTS)
    release = []
    for _ in range(suites):
        pair = pool[rng.integers(len(pool))]
        if not shared:
            prompts, coins = rng.permutation(PROMPTS)[:cases], rng.choice([-1.0, 1.0], PROMPTS)
        totals = (pair.differences * coins)[prompts]
        release.append(question(totals, single, prompts.tolist() if shared else None, 1.0))
    return release


def worse(rng: np.random.Generator, noisy: Sequence[Pair], drop: Drop) -> list[Question]:
    """Return a release with a drop, at the noise that the promises are about."""
    single = bool(rng.random() < 0.5)
    pool = [pair for pair in noisy if pair.single == single]
    release = []
    for fall, share in zip(drop.drops, drop.shares, strict=True):
        pair = pool[rng.integers(len(pool))]
        kept = SQUARE / pair.square
        flips = np.abs(pair.differences)
        loss = 0.5 + fall / (2.0 * kept * float(flips.mean()))
        totals = flips[rng.permutation(PROMPTS)[:CASES]] * (rng.random(CASES) < kept)
        release.append(question(totals * np.where(rng.random(CASES) < loss, -1.0, 1.0), single, None, share))
    return release


def blocks(release: Sequence[Question]) -> bool:
    """Whether this rule blocks."""
    return decide_family(release, alpha=ALPHA).blocks


def blocks_by_holm(release: Sequence[Question]) -> bool:
    """Whether a suite beyond its margin holds after Holm's method, with the suites' shares."""
    total = sum(asked.share for asked in release)
    return any(asked.p_value * total / asked.share <= ALPHA and asked.is_beyond_margin for asked in release)


def percent(hits: Sequence[bool]) -> float:
    """Return a share in percent."""
    return round(100.0 * float(np.mean(hits)), 1)


def false_blocks(
    found: Sequence[Pair], draws: int, seed: int, sizes: Sequence[int]
) -> Iterator[dict[str, object]]:
    """Yield how often unchanged releases are blocked; each line has its own seed, whatever is left out."""
    allowed = 100.0 * (ALPHA + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / draws))
    for cases, suites, shared in itertools.product(sizes, SUITES, (False, True)):
        if suites == 1 and shared:
            continue
        rng = np.random.default_rng([seed, cases, suites, shared])
        releases = [unchanged(rng, found, suites, cases, shared) for _ in range(draws)]
        yield {
            "promise": "unchanged releases are blocked in at most 5 %",
            "suites": suites,
            "cases": cases,
            "same prompts": shared,
            "blocked": percent([blocks(release) for release in releases]),
            "allowed": round(allowed, 1),
            "holm": percent([blocks_by_holm(release) for release in releases]),
        }


def catches(noisy: Sequence[Pair], draws: int, seed: int, _: Sequence[int]) -> Iterator[dict[str, object]]:
    """Yield how often drops are caught."""
    for number, drop in enumerate(DROPS):
        rng = np.random.default_rng([seed, 1, number])
        ours, holms, hochberg, simes, best = [], [], [], [], []
        for _ in range(draws):
            release = worse(rng, noisy, drop)
            p_values = np.sort([asked.p_value for asked in release])
            ranks = np.arange(1, len(p_values) + 1)
            ours.append(blocks(release))
            holms.append(blocks_by_holm(release))
            hochberg.append(bool((p_values * (len(p_values) + 1 - ranks) <= ALPHA).any()))
            simes.append(bool((p_values * len(p_values) / ranks <= ALPHA).any()))
            best.append(calibrated(release, [oracle(drop)])[0])
        yield {
            "promise": f"caught: {drop.name}",
            "caught": percent(ours),
            "promised": drop.caught,
            "best possible": percent(best),
            "holm": percent(holms),
            "hochberg": percent(hochberg),
            "simes": percent(simes),
        }


def calibrated(release: Sequence[Question], statistics: Sequence[Statistic]) -> list[bool]:
    """Whether each statistic rejects at ALPHA, held to one batch of joint sign flips."""
    flips = joint_flips([asked.totals for asked in release], [asked.units for asked in release])
    scale = np.where(flips.deviations > 0.0, flips.deviations, 1.0)
    spread = math.sqrt(max(float(flips.covariance.sum()), 1e-300))
    shares = np.array([asked.share for asked in release])
    shares = shares / shares.sum()
    z = np.vstack([[-asked.totals.sum() for asked in release] / scale, next(flips.draws())])
    pooled = z @ (flips.deviations / spread)
    rejected = []
    for statistic in statistics:
        values = statistic(z, pooled, shares)
        close = np.abs(values - values[0]) <= 1e-9 * np.abs(values[0])
        rejected.append(bool(((values > values[0]) & ~close).mean() + 0.5 * close.mean() <= ALPHA))
    return rejected


def oracle(drop: Drop) -> Statistic:
    """Return the likelihood ratio of a drop whose kind is known: the best that a rule of its level can do."""
    sizes = np.array([fall * math.sqrt(CASES / SQUARE) for fall in drop.drops])
    if (sizes > 0.0).all():
        return lambda z, pooled, shares: pooled
    strength = float(sizes.max())
    return lambda z, pooled, shares: np.exp(strength * z) @ shares


def mixture(prior: float, one: float, everywhere: float) -> Statistic:
    """Return the likelihood ratio averaged over a drop in one suite and in all of them."""

    def statistic(z: Array, pooled: Array, shares: Array) -> Array:
        single = np.exp(one * z - one**2 / 2.0) @ shares
        return np.asarray((1.0 - prior) * single + prior * np.exp(everywhere * pooled - everywhere**2 / 2.0))

    return statistic


def smallest(prior: float) -> Statistic:
    """Return the smallest p-value by its share of alpha, that of all cases together among them."""

    def statistic(z: Array, pooled: Array, shares: Array) -> Array:
        single = (log_ndtr(-z) - np.log((1.0 - prior) * shares)).min(axis=1)
        if prior == 0.0:
            return np.asarray(-single)
        return np.asarray(-np.minimum(single, log_ndtr(-pooled) - math.log(prior)))

    return statistic


def harmonic(prior: float) -> Statistic:
    """Return the harmonic mean of p-values (Wilson 2019), that of all cases together among them."""

    def statistic(z: Array, pooled: Array, shares: Array) -> Array:
        return np.log((1.0 - prior) * (np.exp(-log_ndtr(-z)) @ shares) + prior * np.exp(-log_ndtr(-pooled)))

    return statistic


def cauchy(z: Array, pooled: Array, shares: Array) -> Array:
    """Cauchy's combination of p-values (Liu and Xie 2020)."""
    return np.asarray(np.tan((0.5 - np.clip(ndtr(-z), 1e-15, 1 - 1e-15)) * math.pi) @ shares)


def simes_statistic(prior: float) -> Statistic:
    """Return Simes' p-value beside that of all cases together."""

    def statistic(z: Array, pooled: Array, shares: Array) -> Array:
        ranked = np.sort(log_ndtr(-z), axis=1) - np.log(np.arange(1, z.shape[1] + 1) / z.shape[1])
        return np.asarray(
            -np.minimum(ranked.min(axis=1) - math.log(1.0 - prior), log_ndtr(-pooled) - math.log(prior))
        )

    return statistic


def fisher(z: Array, pooled: Array, shares: Array) -> Array:
    """Fisher's product of p-values."""
    return np.asarray(-log_ndtr(-z).sum(axis=1))


def higher_criticism(z: Array, pooled: Array, shares: Array) -> Array:
    """Donoho and Jin's higher criticism over the smaller half of the p-values."""
    ranked = np.sort(np.clip(ndtr(-z), 1e-12, 1 - 1e-12), axis=1)
    count = z.shape[1]
    excess = (np.arange(1, count + 1) / count - ranked) / np.sqrt(ranked * (1.0 - ranked) / count)
    return np.asarray(excess[:, : max(count // 2, 1)].max(axis=1))


STATISTICS: dict[str, Statistic] = {
    **{
        f"likelihood ratio, {prior:.0%} pooled": mixture(prior, DROP_IN_ONE, DROP_IN_ALL)
        for prior in (0.2, 0.25, 0.3)
    },
    "likelihood ratio, smaller drops": mixture(0.25, 2.2, 2.4),
    "likelihood ratio, larger drops": mixture(0.25, 3.0, 3.2),
    **{f"smallest p, {prior:.0%} pooled": smallest(prior) for prior in (0.0, 0.25)},
    "harmonic mean p, 25% pooled": harmonic(0.25),
    "Simes, 25% pooled": simes_statistic(0.25),
    "Cauchy": cauchy,
    "Fisher": fisher,
    "higher criticism": higher_criticism,
    "pooled alone": lambda z, pooled, shares: pooled,
}


def powers(noisy: Sequence[Pair], draws: int, seed: int, _: Sequence[int]) -> Iterator[dict[str, object]]:
    """Yield what each statistic catches of each drop."""
    caught: dict[str, dict[str, float]] = {name: {} for name in STATISTICS}
    for number, drop in enumerate(DROPS[1:]):
        rng = np.random.default_rng([seed, 2, number])
        hits = [calibrated(worse(rng, noisy, drop), list(STATISTICS.values())) for _ in range(draws)]
        for name, share in zip(STATISTICS, np.mean(hits, axis=0), strict=True):
            caught[name][drop.name] = round(100.0 * float(share), 1)
    for name, by_drop in caught.items():
        yield {"statistic": name, "caught": by_drop}


PARTS = {"unchanged": false_blocks, "drops": catches, "statistics": powers}


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description="What the decision over one release promises.")
    parser.add_argument("folder", type=Path, help="folder with alpaca_eval and alpaca_eval_extra")
    parser.add_argument("--draws", type=int, default=2_000, help="releases per line (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sizes", nargs="+", type=int, choices=SIZES, default=SIZES, help="cases per suite of `unchanged`"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    families = read_families(arguments.folder)
    chosen_on = max(families, key=lambda family: float((family % 0.5 != 0.0).mean()))  # judged in fractions
    held_out = [family for family in families if family is not chosen_on]
    for part in arguments.only:
        for models, group in (("chosen on", [chosen_on]), ("held out", held_out)):
            found = pairs(group)
            if part != "unchanged":
                found = [pair for pair in found if pair.square >= SQUARE]
            started = time.perf_counter()
            for line in PARTS[part](found, arguments.draws, arguments.seed, arguments.sizes):
                seconds = round(time.perf_counter() - started, 1)
                record = {"benchmark": "release_rule", "models": models, **line, "draws": arguments.draws}
                print(json.dumps(record | {"seconds": seconds}), flush=True)
                started = time.perf_counter()


if __name__ == "__main__":
    main()
