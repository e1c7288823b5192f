"""What a PASS rules out: how often wrongly at the border, and what the promise costs on real outcomes.

    python benchmarks/exclusion_rule.py FOLDER [--draws 2000] [--only border unchanged worse search]

FOLDER holds the data packs `alpaca_eval` and `alpaca_eval_extra`. A line of JSON for every promise:

- *border*: the true drop is exactly what is asked about, so every exclusion is false. Distributions that
  Student's t believes too much: rare collapses, alone or among jitter of a millionth, half collapses, small
  rises with a few collapses, two points, a constant drop, clusters that collapse whole, right-or-wrong
  answers that also improve.
- *unchanged*: real pairs of models whose answers changed sides at random: how often a drop of 10 points is
  excluded. What is not excluded is INCONCLUSIVE.
- *worse*: a real pair more than 10 points apart: every exclusion is false.
- *search*: distributions of two to four values made as bad for Gaffke's bound as random steps can make them;
  the level of each is computed over all outcomes. The largest seen, as a multiple of what is promised.

Beside this rule: the bounds that the gate had before (Tango's and sign flips', Hall's and a guard for few
changes), Student's t, betting (Waudby-Smith and Ramdas, the bounds of `--early-stop`) and the empirical
Bernstein bound (Maurer and Pontil 2009).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from gate_quality import PROMPTS, SIZES, read_families
from numpy.typing import NDArray
from release_rule import Pair, pairs
from scipy.special import gammaln

from harness.stats.anytime import Units, WholeSuite, anytime_lower
from harness.stats.bounded import mean_at_most_p
from harness.stats.clusters import Clusters
from harness.stats.exact_pairs import paired_drop_p
from harness.stats.paired import compare_pairs
from harness.stats.quantiles import student_quantile

Array = NDArray[np.float64]
Distribution = Callable[[np.random.Generator, int, float], Array]

ALPHA = 0.05
DROPS = (0.1, 0.02)
BORDER_SIZES = (20, 50, 100, 400)
GUARANTEED, BEFORE, STUDENT = "this rule", "before", "Student's t"
BETTING, BERNSTEIN = "betting", "empirical Bernstein"


def rare_collapse(rng: np.random.Generator, n: int, drop: float) -> Array:
    """One case in so many falls from right to wrong; nothing else changes."""
    return -(rng.random(n) < drop).astype(np.float64)


def collapse_among_jitter(rng: np.random.Generator, n: int, drop: float) -> Array:
    """The same among changes of a millionth."""
    return np.where(rng.random(n) < drop, -1.0, 1e-6 * rng.choice([-1.0, 1.0], n))


def half_collapse(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Twice as many cases fall by half."""
    return np.where(rng.random(n) < 2.0 * drop, -0.5, 0.0)


def rises_and_collapses(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Nearly all rise a little, a few collapse."""
    return np.where(rng.random(n) < (0.05 + drop) / 1.05, -1.0, 0.05)


def two_points(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Half lie above the mean and half below."""
    return np.where(rng.random(n) < 0.5, -0.3, 0.3) - drop


def constant(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Every case falls by just that much, but for jitter."""
    return 1e-6 * rng.choice([-1.0, 1.0], n) - drop


def skewed(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Graded falls, most of them small."""
    return -rng.beta(0.3, 0.3 * (1.0 - drop) / drop, n)


def answers(rng: np.random.Generator, n: int, drop: float) -> Array:
    """Right-or-wrong answers: 5 in 100 improve, and so many more get lost."""
    return rng.choice([-1.0, 0.0, 1.0], n, p=[0.05 + drop, 0.9 - drop, 0.05])


BORDER: dict[str, tuple[Distribution, bool]] = {
    "rare collapse, right or wrong": (rare_collapse, True),
    "answers that also improve": (answers, True),
    "rare collapse": (rare_collapse, False),
    "collapse among jitter": (collapse_among_jitter, False),
    "half collapse": (half_collapse, False),
    "small rises and collapses": (rises_and_collapses, False),
    "two points": (two_points, False),
    "constant": (constant, False),
    "skewed": (skewed, False),
}


def is_excluded(differences: Array, drop: float, single: bool, sizes: Array | None = None) -> bool:
    """Whether this rule excludes a drop."""
    if single:
        improved, worsened = int((differences > 0).sum()), int((differences < 0).sum())
        return paired_drop_p(improved, worsened, len(differences), drop) <= ALPHA
    weights = np.ones(len(differences)) if sizes is None else sizes
    return mean_at_most_p(differences, weights, -drop, low=-1.0) <= ALPHA


def before(differences: Array, drop: float, single: bool) -> bool:
    """Whether the bounds exclude it that `compare_pairs` gives."""
    baseline = np.maximum(-differences, 0.0)
    return compare_pairs(baseline + differences, baseline, alpha=ALPHA, single=single).bounds[0] > -drop


def student(differences: Array, drop: float) -> bool:
    """Whether Student's bound excludes it."""
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    return float(differences.mean()) - student_quantile(1.0 - ALPHA, n - 1) * error > -drop


def betting(differences: Array, drop: float) -> bool:
    """Whether the confidence sequence excludes it."""
    n = len(differences)
    units = Units(Clusters(differences, np.ones(n)), WholeSuite(n, n), low=-1.0, high=1.0)
    return anytime_lower(units, level=ALPHA) > -drop


def bernstein(differences: Array, drop: float) -> bool:
    """Whether the empirical Bernstein bound excludes it."""
    n, logarithm = len(differences), math.log(2.0 / ALPHA)
    spread = math.sqrt(2.0 * float(differences.var(ddof=1)) * logarithm / n)
    return float(differences.mean()) - spread - 14.0 * logarithm / (3.0 * (n - 1)) > -drop


def verdicts(differences: Array, drop: float, single: bool) -> dict[str, bool]:
    """Return what every rule says."""
    return {
        GUARANTEED: is_excluded(differences, drop, single),
        BEFORE: before(differences, drop, single),
        STUDENT: student(differences, drop),
        BETTING: betting(differences, drop),
        BERNSTEIN: bernstein(differences, drop),
    }


def shares(found: Sequence[dict[str, bool]]) -> dict[str, float]:
    """Return how often each rule excludes, in percent."""
    return {rule: round(100.0 * float(np.mean([one[rule] for one in found])), 1) for rule in found[0]}


def border(found: Sequence[Pair], draws: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield how often the drop that is there is excluded."""
    allowed = round(100.0 * (ALPHA + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / draws)), 1)
    for (name, (distribution, single)), n, drop in itertools.product(BORDER.items(), BORDER_SIZES, DROPS):
        rng = np.random.default_rng([seed, n, round(100 * drop)])
        runs = []
        for _ in range(draws):
            differences = distribution(rng, n, drop)
            runs.append(
                {GUARANTEED: is_excluded(differences, drop, single), STUDENT: student(differences, drop)}
            )
        yield {
            "promise": "the drop that is there is excluded in at most 5 %",
            "distribution": name,
            "cases": n,
            "drop": drop,
            "excluded": shares(runs),
            "allowed": allowed,
        }
    for n, drop in itertools.product(BORDER_SIZES, DROPS):
        rng = np.random.default_rng([seed, n, round(100 * drop), 1])
        wrong = []
        for _ in range(draws):
            sizes = rng.choice([1.0, 2.0, 5.0], n, p=[0.6, 0.3, 0.1])
            totals = -sizes * (rng.random(n) < drop)
            wrong.append(is_excluded(totals, drop, single=False, sizes=sizes))
        yield {
            "promise": "the drop that is there is excluded in at most 5 %",
            "distribution": "clusters of 1, 2 and 5 cases collapse whole",
            "clusters": n,
            "drop": drop,
            "excluded": {GUARANTEED: round(100.0 * float(np.mean(wrong)), 1)},
            "allowed": allowed,
        }


def unchanged(found: Sequence[Pair], draws: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield how often 10 points are excluded where nothing changed."""
    for n, single in itertools.product(SIZES, (True, False)):
        rng = np.random.default_rng([seed, n, single])
        pool = [pair for pair in found if pair.single == single]
        runs = []
        for _ in range(draws):
            differences = pool[rng.integers(len(pool))].differences[rng.permutation(PROMPTS)[:n]]
            runs.append(verdicts(differences * rng.choice([-1.0, 1.0], n), 0.1, single))
        yield {
            "cost": "10 points are excluded though nothing changed",
            "scores": "right or wrong" if single else "graded",
            "cases": n,
            "excluded": shares(runs),
        }


def worse(found: Sequence[Pair], draws: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield how often 10 points are excluded where more were lost, and where 8 to 10 were."""
    allowed = round(100.0 * (ALPHA + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / draws)), 1)
    for (least, most), n in itertools.product(((0.1, 0.2), (0.08, 0.1)), SIZES):
        rng = np.random.default_rng([seed, n, round(100 * least)])
        pool = [pair for pair in found if least < abs(float(pair.differences.mean())) <= most]
        runs = []
        for _ in range(draws):
            pair = pool[rng.integers(len(pool))]
            towards_loss = -math.copysign(1.0, float(pair.differences.mean()))
            runs.append(
                verdicts(towards_loss * pair.differences[rng.permutation(PROMPTS)[:n]], 0.1, pair.single)
            )
        yield {
            "promise": "a drop of more than 10 points is excluded in at most 5 %"
            if least >= 0.1
            else "no promise: 8 to 10 points were lost, 10 are excluded",
            "cases": n,
            "excluded": shares(runs),
            "allowed": allowed,
        }


def search(found: Sequence[Pair], draws: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield the largest level of Gaffke's bound that a search found, as a multiple of what is promised."""
    rng = np.random.default_rng(seed)
    for n, size in ((4, 3), (8, 3), (8, 4), (15, 2), (15, 3)):
        table = np.array([row for row in itertools.product(range(n + 1), repeat=size) if sum(row) == n])
        ways = gammaln(n + 1.0) - gammaln(table + 1.0).sum(axis=1)
        largest, worst = 0.0, None
        for level in (0.05, 0.2):
            for _ in range(max(draws // 400, 1)):
                values, chances, reached = rng.uniform(-1.0, 1.0, size), rng.dirichlet(np.ones(size)), -1.0
                for step in range(40):
                    width = 0.0 if step == 0 else 0.2 if step < 20 else 0.05
                    other = np.clip(values + width * rng.normal(size=size), -1.0, 1.0)
                    share = chances * np.exp(2.0 * width * rng.normal(size=size))
                    share = share / share.sum()
                    logarithms = ways + table @ np.log(np.maximum(share, 1e-300))
                    likely = np.flatnonzero(logarithms > math.log(1e-7))
                    mean = float(other @ share)
                    missed = math.fsum(
                        math.exp(logarithms[row])
                        for row in likely
                        if mean_at_most_p(np.repeat(other, table[row]), np.ones(n), mean, low=-1.0) <= level
                    )
                    if missed / level > reached:
                        values, chances, reached = other, share, missed / level
                if reached > largest:
                    largest, worst = reached, (values.round(3).tolist(), chances.round(4).tolist(), level)
        yield {
            "promise": "no distribution breaks Gaffke's bound: at most 1",
            "cases": n,
            "values": size,
            "largest": round(largest, 4),
            "at": worst,
        }


PARTS = {"border": border, "unchanged": unchanged, "worse": worse, "search": search}


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description="What a PASS rules out, and what that costs.")
    parser.add_argument("folder", type=Path, help="folder with alpaca_eval and alpaca_eval_extra")
    parser.add_argument("--draws", type=int, default=2_000, help="suites per line (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    found = pairs(read_families(arguments.folder))
    for part in arguments.only:
        started = time.perf_counter()
        for line in PARTS[part](found, arguments.draws, arguments.seed):
            seconds = round(time.perf_counter() - started, 1)
            record = {"benchmark": "exclusion_rule", **line, "draws": arguments.draws, "seconds": seconds}
            print(json.dumps(record), flush=True)
            started = time.perf_counter()


if __name__ == "__main__":
    main()
