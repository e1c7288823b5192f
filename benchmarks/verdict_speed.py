"""How long all verdicts and slices of a large session take.

    python benchmarks/verdict_speed.py [--cases 10000] [--checkpoints 5] [--rounds 5]

A suite of 10,000 cases was answered by a baseline and by 5 candidates; each case has two of 20 tags. Timed is
what a session does when the last answer is in: pairing, tests, intervals, Holm's adjustment and every slice,
for right-or-wrong scores, for graded scores, and for graded scores in clusters of three. Prints one line of
JSON with medians in seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import numpy as np

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.gate.decide import decide
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate
from harness.gate.release import decide_releases
from harness.gate.slices import slices

SUITE, GOLDEN = "large", "large/v1"
TAGS, CLUSTER = 20, 3
KINDS = ("right or wrong", "graded", "graded, clusters")


def side(checkpoint: str, role: Role, kind: str, cases: int, seed: int) -> list[CaseResult]:
    """Return what one checkpoint scored; cases differ in how hard they are."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(0).beta(2.0, 1.0, cases)
    if kind == "right or wrong":
        scores = (rng.random(cases) < ease).astype(float)
    else:
        scores = np.round(np.clip(rng.normal(ease, 0.1), 0.0, 1.0), 2)
    return [
        CaseResult(
            suite=SUITE,
            golden=GOLDEN,
            test="test_large",
            case_id=f"case-{i:05}",
            content_hash="0" * 64,
            config_hash="1" * 64,
            checkpoint=checkpoint,
            role=role,
            outcome=Outcome.PASSED if score >= 0.5 else Outcome.MISSED,
            samples=(score,),
            cluster=f"document-{i // CLUSTER}" if kind.endswith("clusters") else None,
            tags=(f"topic:{i % (TAGS // 2)}", f"hard:{i // 7 % (TAGS // 2)}"),
        )
        for i, score in enumerate(scores.tolist())
    ]


def session(candidates: dict[str, list[CaseResult]], baseline: Sequence[CaseResult]) -> int:
    """Decide everything that a session decides; return how many verdicts and slices there are."""
    gate = Gate()
    known = [
        Evidence(
            suite=SUITE,
            golden=GOLDEN,
            checkpoint=name,
            gate=gate,
            candidate=results,
            baseline=baseline,
            baseline_name="base",
            planned=len(results),
        )
        for name, results in candidates.items()
    ]
    verdicts, _ = decide_releases([(evidence, decide(evidence)) for evidence in known])
    return len(verdicts) + sum(len(slices(evidence)) for evidence in known)


def main() -> None:
    """Time it; the first round, which imports scipy, is shown on its own."""
    parser = argparse.ArgumentParser(description="All verdicts and slices of a large session.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--checkpoints", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    seconds: dict[str, dict[str, float | int]] = {}
    for kind in KINDS:
        baseline = side("base", Role.BASELINE, kind, arguments.cases, 1)
        candidates = {
            f"checkpoint-{k}": side(f"checkpoint-{k}", Role.CANDIDATE, kind, arguments.cases, 2 + k)
            for k in range(arguments.checkpoints)
        }
        rounds: list[float] = []
        decided = 0
        for _ in range(arguments.rounds):
            started = time.perf_counter()
            decided = session(candidates, baseline)
            rounds.append(time.perf_counter() - started)
        seconds[kind] = {
            "first": round(rounds[0], 3),
            "median": round(statistics.median(rounds), 3),
            "verdicts_and_slices": decided,
        }
    print(
        json.dumps(
            {
                "benchmark": "verdict_speed",
                "cases": arguments.cases,
                "checkpoints": arguments.checkpoints,
                "seconds": seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
