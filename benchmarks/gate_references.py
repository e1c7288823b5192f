"""The gate's statistics beside their references: statsmodels, scipy, published tables and standard errors.

    python benchmarks/gate_references.py [FOLDER]

Prints for each how many problems both sides solved and by how much they differ at most; with FOLDER, which
holds the data packs `alpaca_eval` and `alpaca_eval_extra`, also the standard errors that leaderboards have
published for them. Needs statsmodels (`pip install statsmodels`).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.stats
import statsmodels.api as sm  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]  # ships no types
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # ships no types
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]  # ships no types

from harness.stats.binary import exact_proportion_bound, mcnemar_mid_p, mcnemar_p, tango_interval
from harness.stats.clusters import cluster_standard_error, group
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.paired import compare_pairs
from harness.stats.sign_flips import sign_flips

Array = NDArray[np.float64]

TANGO = (
    # improved, worsened, n, level on each side, published bounds, where
    (0, 1, 44, 0.05, (-0.096, 0.037), "Tango 1998, contact lenses, 90 %"),
    (1, 7, 21, 0.025, (-0.517, -0.026), "Fagerland 2014, airways, 95 %"),
    (6, 16, 161, 0.025, (-0.124, -0.005), "Fagerland 2014, myeloma, 95 %"),
)


def mcnemar_rows() -> Iterator[float]:
    """Yield the differences of two-sided p-values from statsmodels' exact test, and of mid-p from its own.

    The exact p is the mid-p and the probability of the observed table on top; statsmodels has no mid-p.
    """
    for discordant in range(1, 81):
        for improved in range((discordant + 1) // 2):
            point = scipy.stats.binom.pmf(improved, discordant, 0.5)
            exact = mcnemar([[9, discordant - improved], [improved, 9]], exact=True).pvalue
            yield abs(2.0 * mcnemar_mid_p(improved, discordant - improved) + point - exact)


def score_rows() -> Iterator[float]:
    """Yield the differences of two-sided p-values of McNemar's score test from statsmodels'."""
    for discordant in range(1, 81):
        for improved in range((discordant + 1) // 2):
            table = [[9, discordant - improved], [improved, 9]]
            asymptotic = mcnemar(table, exact=False, correction=False).pvalue
            yield abs(2.0 * mcnemar_p(improved, discordant - improved, 20 + discordant) - asymptotic)


def adjusted_rows(rng: np.random.Generator, ours: object, method: str) -> Iterator[float]:
    """Yield the differences of adjusted p-values."""
    assert callable(ours)
    for _ in range(200):
        values = rng.beta(0.4, 2.0, rng.integers(1, 30))
        yield float(np.abs(ours(values.tolist()) - multipletests(values, method=method)[1]).max())


def cluster_rows(rng: np.random.Generator) -> Iterator[float]:
    """Yield the relative differences of cluster-robust standard errors."""
    for _ in range(200):
        groups, n = int(rng.integers(2, 40)), 200
        codes = np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)])
        values = rng.normal(size=n) + rng.normal(size=groups)[codes]
        reference = float(
            sm.OLS(values, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": codes}).bse[0]
        )
        yield abs((cluster_standard_error(group(values, codes.tolist())) or 0.0) / reference - 1.0)


def proportion_rows() -> Iterator[float]:
    """Yield the differences of Clopper–Pearson bounds."""
    for n in range(1, 60):
        for successes in range(1, n):
            reference = proportion_confint(successes, n, alpha=0.1, method="beta")
            ours = exact_proportion_bound(successes, n, level=0.05)
            yield max(abs(one - other) for one, other in zip(ours, reference, strict=True))


def permutation_rows(rng: np.random.Generator) -> Iterator[float]:
    """Yield the differences of p-values from scipy's permutation test over every pattern of 10 pairs."""
    for _ in range(50):
        ours, theirs = rng.random((2, 10))
        reference = scipy.stats.permutation_test(
            (ours, theirs),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            alternative="less",
            n_resamples=np.inf,
            vectorized=True,
        )
        yield abs(sign_flips(ours - theirs, np.ones(10)).p_value - float(reference.pvalue))


def bootstrap_rows(rng: np.random.Generator) -> Iterator[float]:
    """Yield the differences of two-sided 95 % bounds from scipy's BCa bootstrap, in standard errors."""
    for _ in range(20):
        base = rng.beta(2.0, 1.0, 200)
        ours = np.clip(base + rng.normal(-0.02, 0.15, 200), 0.0, 1.0)
        found = compare_pairs(ours, base, alpha=0.05)
        reference = scipy.stats.bootstrap(
            (ours - base,), np.mean, n_resamples=20_000, method="BCa", rng=rng
        ).confidence_interval
        assert found.standard_error is not None
        for one, other in zip(found.interval, reference, strict=True):
            yield abs(one - other) / found.standard_error


def published_rows(folder: Path) -> Iterator[float]:
    """Yield the differences from every published standard error of a mean score, in points."""
    scores: dict[tuple[str, str], list[float]] = {}
    for path in sorted((folder / "alpaca_eval" / "models").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            scores["", path.name.removesuffix(".jsonl.gz")] = [json.loads(line)["win"] for line in lines]
    with gzip.open(folder / "alpaca_eval_extra" / "annotations.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["win"] is not None:
                scores.setdefault((row["judge"], row["model"]), []).append(row["win"])
    for pack in ("alpaca_eval", "alpaca_eval_extra"):
        with (folder / pack / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row["standard_error"]:
                    values = np.array(scores[row.get("judge", ""), row["model"]])
                    error = cluster_standard_error(group(values, None))
                    yield abs(100.0 * (error or 0.0) - float(row["standard_error"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The gate's statistics beside their references.")
    parser.add_argument("folder", type=Path, nargs="?", help="folder with alpaca_eval and alpaca_eval_extra")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows: dict[str, Iterator[float]] = {
        "McNemar exact and mid-p | statsmodels `mcnemar(exact=True)` | p": mcnemar_rows(),
        "McNemar's score test | statsmodels `mcnemar(exact=False)` | p": score_rows(),
        "Holm | statsmodels `multipletests` | p": adjusted_rows(rng, holm, "holm"),
        "Benjamini–Hochberg | statsmodels `multipletests` | p": adjusted_rows(
            rng, benjamini_hochberg, "fdr_bh"
        ),
        "cluster-robust standard error | statsmodels `OLS(cov_type='cluster')` | relative": cluster_rows(rng),
        "Clopper–Pearson bounds | statsmodels `proportion_confint` | score": proportion_rows(),
        "sign flips, every pattern | scipy `permutation_test` | p": permutation_rows(rng),
        "interval of graded scores, n = 200 | scipy `bootstrap`, BCa | standard errors": bootstrap_rows(rng),
    }
    if arguments.folder is not None:
        rows["standard errors of leaderboards | as published | points"] = published_rows(arguments.folder)
    print("| what | reference | in | problems | largest difference |")
    print("| --- | --- | --- | ---: | ---: |")
    for name, differences in rows.items():
        found = list(differences)
        print(f"| {name} | {len(found)} | {max(found):.1e} |")
    print()
    for improved, worsened, n, level, bounds, where in TANGO:
        lower, upper = tango_interval(improved, worsened, n, level=level)
        print(f"Tango's interval, {where}: {lower:.3f} to {upper:.3f}, published {bounds[0]} to {bounds[1]}")


if __name__ == "__main__":
    main()
