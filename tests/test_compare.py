"""`harness compare` over stored runs, and `harness baseline`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_results import stored_record, two_sides
from typer.testing import CliRunner, Result

from harness.case_result import CaseResult
from harness.cli.main import app
from harness.errors import StoreError, UsageError
from harness.gate.policy import Gate
from harness.gate.verdict import Status
from harness.runs.compare import Side, compare_runs, find_side
from harness.runs.record import RunRecord
from harness.runs.store import RunStore

GOOD, BAD = [1.0] * 100, [1.0] * 80 + [0.0] * 20


def record(run: str, scores: Sequence[float | None], **fields: Any) -> RunRecord:
    """A run of one candidate without a baseline."""
    spec = fields.pop("spec", f"checkpoint-{run}")
    ours, _ = two_sides(scores, [], **fields.pop("case", {}))
    return stored_record([replace(r, checkpoint=spec) for r in ours], [], run=run, **fields)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.chdir(tmp_path)
    store = RunStore(".harness")
    store.write(record("aaaa-good", GOOD))
    store.write(record("bbbb-bad", BAD))
    return store


def run(*arguments: str, columns: int = 160) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns), "NO_COLOR": "1"})


def usage_error(*arguments: str) -> str:
    found = run(*arguments).exception
    assert isinstance(found, UsageError)
    assert "\n" not in str(found)
    return str(found)


# --- what is compared ----------------------------------------------------------------------------------


def test_stored_runs_are_paired_and_decided_anew(store: RunStore) -> None:
    found = compare_runs(Side(store.read("aaaa-good")), [Side(store.read("bbbb-bad"))])
    (verdict,) = found.verdicts
    assert verdict.status is Status.REGRESSED
    assert (verdict.checkpoint, verdict.baseline) == ("checkpoint-bbbb-bad", "checkpoint-aaaa-good")
    assert (verdict.n, verdict.delta, verdict.worsened) == (100, -0.2, 20)
    assert found.exit_code == 1
    assert found.complete
    assert RunRecord.from_json(found.to_json()) == found
    mirrored = compare_runs(Side(store.read("bbbb-bad")), [Side(store.read("aaaa-good"))])
    assert mirrored.verdicts[0].status is Status.PASS
    assert mirrored.verdicts[0].delta == 0.2


def test_each_suite_keeps_its_gate(store: RunStore) -> None:
    gate = Gate(policy="non-inferior", margin=0.3, min_cases=50)
    store.write(record("cccc", BAD, gate=gate))
    (verdict,) = compare_runs(Side(store.read("aaaa")), [Side(store.read("cccc"))]).verdicts
    assert verdict.gate == gate
    assert verdict.status is Status.PASS


def test_candidates_do_not_change_each_other(store: RunStore) -> None:
    for number in range(5):
        store.write(record(f"drop{number}", [1.0] * 95 + [0.0] * 5))
    base = Side(store.read("aaaa"))
    drops = [Side(store.read(f"drop{number}")) for number in range(5)]
    alone, together = compare_runs(base, drops[:1]), compare_runs(base, drops)
    assert alone.verdicts[0].status is Status.REGRESSED
    assert {verdict.status for verdict in together.verdicts} == {Status.REGRESSED}
    assert {verdict.adjusted_p for verdict in together.verdicts} == {alone.verdicts[0].adjusted_p}


def inconclusive(base: RunRecord, candidate: RunRecord) -> str:
    found = compare_runs(Side(base), [Side(candidate)])
    assert found.exit_code == 10
    assert [condition.code for condition in found.conditions] == [10] * len(found.conditions)
    return "; ".join(reason for verdict in found.verdicts for reason in verdict.reasons)


def test_runs_that_cannot_be_compared_do_not_pass(store: RunStore) -> None:
    good = store.read("aaaa")
    other = tuple(replace(c, numerics={"device": "cpu", "dtype": "bfloat16"}) for c in good.checkpoints)
    assert "dtype bfloat16 → float32" in inconclusive(replace(good, checkpoints=other), good)
    assert "saw only a part" in inconclusive(replace(good, partial=True), good)
    assert "did not finish" in inconclusive(replace(good, complete=False), good)
    assert "only a part" in inconclusive(good, replace(good, partial=True))
    assert "only a part" in inconclusive(good, replace(good, complete=False))
    assert "nothing to compare" in inconclusive(good, record("x", GOOD, case={"suite": "other"}))
    assert "refunds/v2" in inconclusive(good, record("x", GOOD, case={"golden": "refunds/v2"}))
    assert "sampling" in inconclusive(good, record("x", GOOD, case={"config_hash": "2" * 64}))
    assert "ended in error" in inconclusive(good, record("x", [None, *GOOD[1:]]))
    assert "not in this run" in inconclusive(good, record("x", GOOD[:-1]))


def test_a_spec_that_several_runs_gated_is_told_apart(store: RunStore) -> None:
    """The same path trained anew: each verdict goes with its own answers."""
    base = Side(record("base", GOOD, spec="base"))
    worse, same = Side(record("one", BAD, spec="x")), Side(record("two", GOOD, spec="x"))
    found = compare_runs(base, [worse, same, same])
    assert [(v.checkpoint, v.status, v.worsened) for v in found.verdicts] == [
        ("one#x", Status.REGRESSED, 20),
        ("two#x", Status.PASS, 0),
    ]
    for verdict, scores in zip(found.verdicts, (BAD, GOOD), strict=True):
        assert [result.score for result in found.results(verdict)] == scores
    assert RunRecord.from_json(found.to_json()) == found
    assert compare_runs(base, [worse]).verdicts[0].checkpoint == "x"


def test_what_is_no_evidence_stays_none_in_whatever_it_is_compared_with(store: RunStore) -> None:
    """A judge that could not be trusted, or weights that changed under the run, do not pass afterwards."""
    good = store.read("aaaa")
    (verdict,) = good.verdicts
    judged = replace(
        good, verdicts=(replace(verdict, distrusted=("the judge cannot be trusted: it obeys",)),)
    )
    moved = tuple(replace(c, rewritten="the files of x changed during the run") for c in good.checkpoints)
    rewritten = replace(good, checkpoints=moved)
    for bad, said in (
        (judged, "run aaaa-good: the judge cannot"),
        (rewritten, "run aaaa-good: the files of x"),
    ):
        assert said in inconclusive(good, bad)
        assert said in inconclusive(bad, good)
        spoilt = replace(bad, run=f"spoilt-{said[15:24].strip().replace(' ', '-')}")
        store.write(spoilt)
        with pytest.raises(UsageError, match=r"^run spoilt-\S+: the .*: run it again, then accept$"):
            store.accept(spoilt.run)
        assert RunRecord.from_json(bad.to_json()) == bad


def test_other_backends_have_other_numerics_and_may_be_compared(store: RunStore) -> None:
    good = store.read("aaaa")
    served = tuple(replace(c, backend="openai", numerics={}) for c in good.checkpoints)
    other = Side(replace(good, checkpoints=served))
    assert compare_runs(other, [Side(good)]).exit_code == 10, "the same weights"
    assert compare_runs(other, [Side(good)], allow_same=True).exit_code == 0


def several(run_id: str) -> RunRecord:
    first, second = record(run_id, GOOD, spec="one"), record(run_id, BAD, spec="two")
    cases: tuple[CaseResult, ...] = (*first.cases, *second.cases)
    return replace(first, cases=cases, checkpoints=(*first.checkpoints, *second.checkpoints))


def test_arguments_are_runs_baselines_or_checkpoints(store: RunStore) -> None:
    store.write(several("many"))
    store.accept("bbbb", "release")

    def found(text: str) -> tuple[str, str | None] | None:
        side = find_side(text, store)
        return None if side is None else (side.record.run, side.checkpoint)

    assert found("aaaa-good") == ("aaaa-good", None)
    assert found("aaaa") == ("aaaa-good", None)
    assert found("run:aa") == ("aaaa-good", None)
    assert found("run:release") == ("bbbb-bad", "checkpoint-bbbb-bad")
    assert found("many#two") == ("many", "two")
    assert found("aa") is None
    assert found("checkpoint-300") is None
    assert found("openai/gpt-x") is None
    Path("aaaa").mkdir()
    assert found("aaaa") is None
    assert found("run:aaaa") == ("aaaa-good", None)
    with pytest.raises(UsageError, match="no run 'nope'"):
        find_side("run:nope", store)
    with pytest.raises(UsageError, match="no candidate 'x'"):
        find_side("many#x", store)
    with pytest.raises(UsageError, match="one, two: name one"):
        compare_runs(Side(store.read("many")), [Side(store.read("aaaa"))])
    both = compare_runs(Side(store.read("aaaa")), [Side(store.read("many"))])
    assert [verdict.status for verdict in both.verdicts] == [Status.PASS, Status.REGRESSED]


# --- the command ---------------------------------------------------------------------------------------


def test_the_command_prints_the_verdict_and_exits_with_it(store: RunStore) -> None:
    worse = run("compare", "aaaa", "bbbb", columns=40)
    assert worse.exit_code == 1
    table = [line for line in worse.stdout.splitlines() if line.startswith("REGRESSED")]
    assert "checkpoint-bbbb-bad" in table[0]
    assert "−20.0" in table[0]
    assert "fell by more than the margin of 2 %: −20.0 points" in worse.stdout
    assert "20 worsened, 0 improved" in worse.stdout
    better = run("compare", "bbbb", "aaaa", "--flips", "0")
    assert better.exit_code == 0
    assert "worsened" not in better.stdout


def test_the_command_writes_pages(store: RunStore) -> None:
    done = run(
        "compare", "aaaa", "bbbb", "--html", "out/page.html", "--markdown", "page.md", "--json", "page.json"
    )
    assert done.exit_code == 1
    assert "A checkpoint regressed" in Path("out/page.html").read_text(encoding="utf-8")
    assert "**REGRESSED**" in Path("page.md").read_text(encoding="utf-8")
    assert json.loads(Path("page.json").read_text(encoding="utf-8"))["exit_code"] == 1
    assert sorted(path.name for path in Path().iterdir()) == [".harness", "out", "page.json", "page.md"]


def test_a_page_on_the_standard_output_is_all_there_is(store: RunStore) -> None:
    assert run("compare", "aaaa", "bbbb", "--markdown", "-").stdout.startswith("## Checkpoint Harness")
    assert json.loads(run("compare", "aaaa", "bbbb", "--json", "-").stdout)["exit_code"] == 1
    assert "into each other" in usage_error("compare", "aaaa", "bbbb", "--markdown", "-", "--json", "-")


def test_a_page_that_cannot_be_written_is_no_success(store: RunStore) -> None:
    Path("file").write_text("", encoding="utf-8")
    done = run("compare", "bbbb", "aaaa", "--html", "file/page.html")
    assert isinstance(done.exception, StoreError)
    assert "cannot be written" in str(done.exception)


def test_stored_runs_and_checkpoints_do_not_mix(store: RunStore) -> None:
    assert "bbbb is a stored run" in usage_error("compare", "aaaa", "bbbb", "checkpoint-300")
    assert "no run 'zzz'" in usage_error("compare", "aaaa", "run:zzz")


# --- baselines -----------------------------------------------------------------------------------------


def test_a_baseline_is_accepted_listed_and_shown(store: RunStore) -> None:
    assert "no baseline yet" in run("baseline", "list").stdout
    done = run("baseline", "accept", "aaaa")
    assert done.exit_code == 0
    assert "baseline main: checkpoint-aaaa-good of run aaaa-good, 100 cases" in done.stdout
    listed = run("baseline", "list").stdout
    assert "main" in listed
    assert "refunds × checkpoint-bbbb-bad INCONCLUSIVE" in listed
    shown = run("baseline", "show").stdout
    assert "checkpoint-aaaa-good" in shown
    assert "refunds/v1" in shown
    assert "100.0" in shown
    assert run("compare", "run:main", "bbbb").exit_code == 1


def test_a_damaged_baseline_is_listed_as_such(store: RunStore) -> None:
    run("baseline", "accept", "aaaa")
    (store.path / "runs" / "aaaa-good" / "cases.parquet").write_bytes(b"")
    listed = run("baseline", "list")
    assert listed.exit_code == 0
    assert "damaged" in listed.stdout


@pytest.mark.parametrize(("value", "refused"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_is_read_from_the_environment(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, value: str, refused: bool
) -> None:
    monkeypatch.setenv("CI", value)
    if refused:
        assert "CI is set" in usage_error("baseline", "accept", "aaaa")
        assert store.baselines() == ()
        assert run("baseline", "accept", "aaaa", "--force").exit_code == 0
    else:
        assert run("baseline", "accept", "aaaa").exit_code == 0


def test_names_of_baselines_cannot_leave_the_store(store: RunStore) -> None:
    assert "no name for a baseline" in usage_error("baseline", "accept", "aaaa", "--name", "../x")
    assert "no baseline 'gone'" in usage_error("baseline", "show", "gone")
