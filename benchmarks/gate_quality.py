"""How often gates block a checkpoint that did not change, and miss one that got worse, on real outcomes.

    python benchmarks/gate_quality.py FOLDER [--plot docs/gate-quality.svg]

FOLDER holds the data packs `alpaca_eval` and `alpaca_eval_extra`: what judges said of the answers of real
models to the same 805 prompts. A run draws n prompts at random and a pair of models that one judge has seen.

- *unchanged*: the two answers of each prompt (of each cluster of five alike prompts) change sides at random.
- *worse*: the candidate is a model whose mean over all prompts lies 3 to 15 points below the baseline's.

Every rule sees the same runs, so rules can be compared more closely than their standard errors say. The
rules: any drop of the mean; a drop of more than 0.02 or 0.05; a z-test that ignores the pairs; the paired
t-test (one-sided, 5 %); this gate with its defaults; the gate that also knows what the baseline and other
models scored on all 805 prompts, or only the baseline on all and the others on half of them; and the gate
with `--early-stop`. The last row is the paired t-test on half as many cases more.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.gate.compare_scores import RestOfSuite, compare_scores
from harness.gate.decide import settle
from harness.gate.verdict import Status, Verdict
from harness.stats.clusters import group
from harness.stats.multiplicity import holm
from harness.stats.quantiles import student_quantile
from harness.stats.stopping import StoppingRule, first_stop

Array = NDArray[np.float64]

PROMPTS = 805
SIZES = (50, 100, 200, 400, 805)
CLUSTER = 5
FAMILY = 5

ANY, SMALL, LARGE = "any drop of the mean", "drop > 0.02", "drop > 0.05"
UNPAIRED, PAIRED, LONGER = "unpaired z-test", "paired t-test", "paired t-test, n + 50 %"
GATE, KNOWN, HALF, EARLY = "this gate", "… knowing the suite", "… knowing half of it", "… --early-stop"
CLUSTERED, CLUSTERED_KNOWN = "… clusters", "… clusters, knowing the suite"
CLUSTERED_EARLY = "… clusters, --early-stop"
HOLM = f"… any of {FAMILY} gates (Holm)"
RULES = (
    ANY,
    SMALL,
    LARGE,
    UNPAIRED,
    PAIRED,
    GATE,
    KNOWN,
    HALF,
    EARLY,
    CLUSTERED,
    CLUSTERED_KNOWN,
    CLUSTERED_EARLY,
    HOLM,
    LONGER,
)


@dataclass
class Tally:
    """Blocks by rule, and the share of cases used by early stopping."""

    blocked: dict[str, list[bool]] = field(default_factory=dict)
    used: list[float] = field(default_factory=list)
    used_on_large: list[float] = field(default_factory=list)

    def add(self, rule: str, block: bool) -> None:
        """Count one run."""
        self.blocked.setdefault(rule, []).append(bool(block))

    def share(self, rule: str) -> float | None:
        """Return the share of runs that a rule blocked; None where it was not tried."""
        runs = self.blocked.get(rule)
        return None if not runs else sum(runs) / len(runs)


def read_families(folder: Path) -> list[Array]:
    """Return the scores of models on all prompts, one (models, 805) array per judge, complete models only."""
    scores: dict[str, dict[str, Array]] = {}

    def add(judge: str, model: str, row: dict[str, Any]) -> None:
        values = scores.setdefault(judge, {}).setdefault(model, np.full(PROMPTS, np.nan))
        values[row["index"]] = np.nan if row["win"] is None else row["win"]

    for path in sorted((folder / "alpaca_eval" / "models").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                add("weighted", path.name.removesuffix(".jsonl.gz"), json.loads(line))
    with gzip.open(folder / "alpaca_eval_extra" / "annotations.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            add(row["judge"], row["model"], row)
    return [
        np.array([values for _, values in sorted(models.items()) if not np.isnan(values).any()])
        for _, models in sorted(scores.items())
    ]


@dataclass(frozen=True)
class Contest:
    """A candidate and a baseline on all prompts, and how the other models of that judge did on average."""

    candidate: Array
    baseline: Array
    history: Array


def contests(families: Sequence[Array], *, worse: bool) -> Iterator[Contest]:
    """Yield every pair of models once, or every pair whose candidate is 3 to 15 points worse."""
    for scores in families:
        for one in range(len(scores)):
            for two in range(len(scores)):
                difference = float((scores[one] - scores[two]).mean())
                if (not worse and one < two) or (worse and -0.15 <= difference <= -0.03):
                    others = np.delete(scores, (one, two), axis=0)
                    history = others.mean(axis=0) if len(others) else np.full(PROMPTS, np.nan)
                    yield Contest(scores[one], scores[two], history)


def block(verdict: Verdict) -> bool:
    """Whether a verdict blocks."""
    return verdict.status is Status.REGRESSED


def naive(candidate: Array, baseline: Array, tally: Tally) -> None:
    """Count the rules that are not ours."""
    differences = candidate - baseline
    n, mean = len(differences), float(differences.mean())
    tally.add(ANY, mean < 0)
    tally.add(SMALL, mean < -0.02)
    tally.add(LARGE, mean < -0.05)
    apart = math.sqrt((candidate.var(ddof=1) + baseline.var(ddof=1)) / n)
    tally.add(UNPAIRED, apart > 0 and mean < -1.6448536269514722 * apart)
    tally.add(PAIRED, is_paired_drop(differences))


def is_paired_drop(differences: Array) -> bool:
    """Whether the one-sided paired t-test at 5 % sees a drop."""
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    return error > 0 and float(differences.mean()) < -student_quantile(0.95, n - 1) * error


def known(contest: Contest, order: NDArray[np.intp], n: int, clusters: Sequence[int] | None) -> Verdict:
    """Decide on the first n prompts in random order, knowing what else was scored on them and the others."""
    history = contest.history[order]
    return compare_scores(
        contest.candidate[order[:n]],
        contest.baseline[order[:n]],
        clusters=None if clusters is None else clusters[:n],
        rest=RestOfSuite(
            contest.baseline[order[n:]],
            history[:n],
            history[n:],
            None if clusters is None else clusters[n:],
        ),
    )


def stopped(candidate: Array, baseline: Array, clusters: Sequence[int] | None = None) -> tuple[bool, float]:
    """Return whether the gate with early stopping blocks, and the share of the clusters that it used."""
    rule = StoppingRule(margin=0.02, alpha=0.05)
    differences = group(candidate - baseline, clusters)
    stop = first_stop(differences, rule)
    if stop is None:
        return block(compare_scores(candidate, baseline, clusters=clusters, alpha=rule.left)), 1.0
    return stop[1], stop[0] / len(differences)


def run(contest: Contest, n: int, rng: np.random.Generator, tally: Tally) -> Verdict:
    """Draw n prompts of a contest and count what every rule without clusters says; return the gate's."""
    order = rng.permutation(PROMPTS)
    candidate, baseline = contest.candidate[order[:n]], contest.baseline[order[:n]]
    naive(candidate, baseline, tally)
    longer = order[: round(1.5 * n)]
    if len(longer) == round(1.5 * n):
        tally.add(LONGER, is_paired_drop(contest.candidate[longer] - contest.baseline[longer]))
    verdict = compare_scores(candidate, baseline)
    tally.add(GATE, block(verdict))
    if n < PROMPTS:
        half = np.where(rng.random(PROMPTS) < 0.5, contest.history, np.nan)
        tally.add(KNOWN, block(known(contest, order, n, None)))
        tally.add(HALF, block(known(Contest(contest.candidate, contest.baseline, half), order, n, None)))
    else:
        tally.add(KNOWN, block(verdict))  # nothing is left to know
        tally.add(HALF, block(verdict))
    early, used = stopped(candidate, baseline)
    tally.add(EARLY, early)
    tally.used.append(used)
    if abs(float((contest.candidate - contest.baseline).mean())) >= 0.1:
        tally.used_on_large.append(used)
    return verdict


def unchanged(contest: Contest, swap: NDArray[np.bool_]) -> Contest:
    """Return a contest whose sides changed where `swap` says so: nobody is better."""
    candidate = np.where(swap, contest.baseline, contest.candidate)
    return Contest(candidate, np.where(swap, contest.candidate, contest.baseline), contest.history)


def clustered(contest: Contest, n: int, rng: np.random.Generator, tally: Tally) -> None:
    """The same for clusters of five prompts that are alike in how hard they are, swapped together."""
    ease = np.argsort(contest.candidate + contest.baseline + np.nan_to_num(contest.history), kind="stable")
    labels = np.empty(PROMPTS, dtype=np.intp)
    labels[ease] = np.arange(PROMPTS) // CLUSTER
    groups = -(-PROMPTS // CLUSTER)
    null = unchanged(contest, (rng.random(groups) < 0.5)[labels])
    rank = rng.permutation(groups)[labels]
    order = np.argsort(rank, kind="stable")
    clusters = labels[order].tolist()
    sides = null.candidate[order[:n]], null.baseline[order[:n]]
    verdict = compare_scores(*sides, clusters=clusters[:n])
    tally.add(CLUSTERED, block(verdict))
    tally.add(CLUSTERED_EARLY, stopped(*sides, clusters[:n])[0])
    tally.add(CLUSTERED_KNOWN, block(known(null, order, n, clusters) if n < PROMPTS else verdict))


def simulate(families: Sequence[Array], n: int, repeats: int, seed: int) -> tuple[Tally, Tally]:
    """Return the tallies of unchanged and of worse candidates."""
    rng = np.random.default_rng([seed, n])
    null, worse = Tally(), Tally()
    session: list[Verdict] = []
    for contest in list(contests(families, worse=False)) * repeats:
        session.append(run(unchanged(contest, rng.random(PROMPTS) < 0.5), n, rng, null))
        clustered(contest, n, rng, null)
        if len(session) == FAMILY:
            adjusted = holm([verdict.p_value or 1.0 for verdict in session])
            settled = [settle(replace(v, adjusted_p=p)) for v, p in zip(session, adjusted, strict=True)]
            null.add(HOLM, any(map(block, settled)))
            session.clear()
    for contest in list(contests(families, worse=True)) * 2 * repeats:
        run(contest, n, rng, worse)
    return null, worse


def table(found: dict[int, Tally], title: str, *, missed: bool) -> Iterator[str]:
    """Yield a Markdown table of percentages by rule and n."""
    yield f"| {title} | {' | '.join(f'n = {n}' for n in found)} |"
    yield "| --- |" + " ---: |" * len(found)
    for rule in RULES:
        shares = [tally.share(rule) for tally in found.values()]
        if all(share is None for share in shares):
            continue
        cells = ["–" if s is None else f"{100 * (1 - s if missed else s):.1f}" for s in shares]
        yield f"| {rule} | {' | '.join(cells)} |"


def plot(null: dict[int, Tally], worse: dict[int, Tally], path: Path) -> None:
    """Write both rates against n as an SVG that reads on light and dark pages."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "gate-quality", "svg.fonttype": "none", "font.size": 9})
    colours = {
        SMALL: "#b0b0b0",
        LARGE: "#8a8a8a",
        UNPAIRED: "#c77d11",
        PAIRED: "#8b5cb8",
        GATE: "#1f77b4",
        KNOWN: "#1a9850",
    }
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), layout="constrained")
    panels = (
        ("blocked though unchanged, %", null, False),
        ("missed though 3–15 points worse, %", worse, True),
    )
    for axis, (title, found, missed) in zip(axes, panels, strict=True):
        for rule, colour in colours.items():
            rates = [100 * abs(missed - (tally.share(rule) or 0.0)) for tally in found.values()]
            style = "--" if rule in (SMALL, LARGE) else "-"
            axis.plot(list(found), rates, style, color=colour, marker="o", markersize=3, label=rule)
        axis.set(xscale="log", title=title, xlabel="cases", ylim=(0, None))
        axis.set_xticks(list(found), [str(n) for n in found])
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.25)
    axes[0].axhline(5, color="#c0392b", linewidth=0.8, linestyle=":")
    axes[1].legend(frameon=False, fontsize=8)
    figure.patch.set_facecolor("white")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the tables, then one JSON line; write the plot where asked."""
    parser = argparse.ArgumentParser(description="False blocks and missed regressions on real outcomes.")
    parser.add_argument("folder", type=Path, help="folder with alpaca_eval and alpaca_eval_extra")
    parser.add_argument("--repeats", type=int, default=4, help="runs per pair of models and n (default 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="where to write the plot (SVG)")
    arguments = parser.parse_args()
    started = time.perf_counter()
    families = read_families(arguments.folder)
    null, worse = {}, {}
    for n in SIZES:
        null[n], worse[n] = simulate(families, n, arguments.repeats, arguments.seed)
    runs, drops = len(null[SIZES[0]].blocked[GATE]), len(worse[SIZES[0]].blocked[GATE])
    error = 100 * math.sqrt(0.05 * 0.95 / runs)
    print(f"{runs} runs per n without a change: 5 % + 3 standard errors is {5 + 3 * error:.1f} %\n")
    print(*table(null, "blocked though unchanged, %", missed=False), sep="\n")
    print(f"\n{drops} runs per n with a drop of 3 to 15 points\n")
    print(*table(worse, "missed though worse, %", missed=True), sep="\n")
    used = {
        str(n): {
            "unchanged": round(float(np.mean(null[n].used)), 3),
            "worse": round(float(np.mean(worse[n].used)), 3),
            "worse by 10 points or more": round(float(np.mean(worse[n].used_on_large)), 3),
        }
        for n in SIZES
    }
    print(f"\n--early-stop, mean share of the cases used: {json.dumps(used)}\n")
    if arguments.plot is not None:
        plot(null, worse, arguments.plot)
    record = {
        "benchmark": "gate_quality",
        "runs_unchanged": runs,
        "runs_worse": drops,
        "blocked": {str(n): {rule: null[n].share(rule) for rule in RULES} for n in SIZES},
        "caught": {str(n): {rule: worse[n].share(rule) for rule in RULES} for n in SIZES},
        "used": used,
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
