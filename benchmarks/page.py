"""How long the HTML page of 5 checkpoints × 2,000 cases takes to build and to filter, and what it weighs.

Prints one JSON line. First paint and filter time are measured where Chromium and playwright are installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import random
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.exit_codes import most_severe
from harness.gate.decide import decide
from harness.gate.evidence import Evidence
from harness.gate.policy import Gate
from harness.gate.release import conditions_of, decide_releases
from harness.report.html import render_page
from harness.runs.record import RunRecord
from harness.runs.run_checkpoint import RunCheckpoint

WORDS = 20_000
"""Different words of the made-up answers: enough that they compress as prose does, or worse."""


def answers(count: int, words: int, draw: random.Random) -> list[str]:
    """Return made-up answers; frequent words are frequent as in prose (Zipf's law)."""
    vocabulary = [
        "".join(draw.choice("aeiounrtslmkd") for _ in range(draw.randint(2, 9))) for _ in range(WORDS)
    ]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    return [" ".join(draw.choices(vocabulary, weights, k=words)) for _ in range(count)]


def record(checkpoints: int, cases: int, words: int) -> RunRecord:
    """Return a comparison of several checkpoints with one baseline, most of whose answers differ."""
    draw = random.Random(0)
    questions, theirs = answers(cases, 40, draw), answers(cases, words, draw)
    baseline = [
        result(i, "base", Role.BASELINE, draw.random() < 0.8, questions[i], theirs[i]) for i in range(cases)
    ]
    evidence = []
    for number in range(checkpoints):
        ours = answers(cases, words, draw)
        candidate = [
            result(
                i,
                f"checkpoint-{number}",
                Role.CANDIDATE,
                draw.random() < 0.8 - number / 20,
                questions[i],
                ours[i],
            )
            for i in range(cases)
        ]
        evidence.append(
            Evidence(
                suite="support",
                golden="support/v1",
                checkpoint=f"checkpoint-{number}",
                gate=Gate(),
                candidate=candidate,
                baseline=baseline,
                baseline_name="base",
                planned=cases,
            )
        )
    verdicts, releases = decide_releases([(one, decide(one)) for one in evidence])
    conditions = conditions_of(releases)
    names = [("base", "baseline"), *((f"checkpoint-{i}", "candidate") for i in range(checkpoints))]
    return RunRecord(
        run="benchmark",
        created="2026-01-01T00:00:00Z",
        checkpoints=tuple(RunCheckpoint(spec=name, name=name, role=role) for name, role in names),  # type: ignore[arg-type]  # the two roles are literals above
        verdicts=verdicts,
        releases=releases,
        cases=tuple(case for one in evidence for case in one.candidate) + tuple(baseline),
        conditions=conditions,
        exit_code=most_severe([condition.code for condition in conditions] or [0]),
        complete=True,
    )


def result(number: int, checkpoint: str, role: Role, passed: bool, question: str, answer: str) -> CaseResult:
    """Return one case's result."""
    made = CaseResult(
        suite="support",
        golden="support/v1",
        test="test_reply",
        case_id=f"case-{number:05}",
        content_hash="0" * 64,
        checkpoint=checkpoint,
        role=role,
        outcome=Outcome.PASSED if passed else Outcome.MISSED,
        samples=(float(passed),),
        outputs=(answer,),
        tags=("hard",) if number % 4 == 0 else ("easy",),
        input=question,
        config_hash="1" * 64,
    )
    return made if passed else replace(made, explanation="contains: expected '30 days', found none")


def in_browser(path: Path) -> dict[str, float]:
    """Return seconds until the page is painted and ready, and the median of a filter by text."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        return {}
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page: Any = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        ready = page.evaluate("performance.now()")
        filtered = page.evaluate(
            """() => [...Array(9).keys()].map((i) => {
  const box = document.getElementById("search");
  box.value = "er " + "aeiounrts"[i];
  const start = performance.now();
  box.dispatchEvent(new Event("input", { bubbles: true }));
  return performance.now() - start;
}).sort((a, b) => a - b)[4]"""
        )
        browser.close()
    return {"first_paint_s": paint / 1000, "ready_s": ready / 1000, "filter_ms": filtered}


def main() -> None:
    """Build the page and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=5)
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--words", type=int, default=120, help="words per answer")
    asked = parser.parse_args()
    made = record(asked.checkpoints, asked.cases, asked.words)
    started = time.perf_counter()
    text = render_page(made)
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        measured = {
            **vars(asked),
            "build_s": seconds,
            "megabytes": path.stat().st_size / 1e6,
            **in_browser(path),
        }
    print(json.dumps({name: round(value, 3) for name, value in measured.items()}))


if __name__ == "__main__":
    main()
