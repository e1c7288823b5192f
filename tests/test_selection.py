"""Which checkpoint is chosen, who may not be, and where the choice is kept."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from case_results import stored_record, two_sides
from tiny_models import save_model
from typer.testing import CliRunner

from harness.checkpoints.manifest import Manifest, Provenance, TrainingProgress, record_files, write_manifest
from harness.cli.main import app
from harness.engine.engine import Engine
from harness.errors import ConfigurationError, StoreError
from harness.gate.measurements import EarlySettlement
from harness.gate.policy import Gate
from harness.gate.policy_file import load_gate_file
from harness.gate.verdict import Status
from harness.protocols import BackendOptions
from harness.runs.best_link import point_to
from harness.runs.chosen_lead import chosen_lead
from harness.runs.record import RunRecord
from harness.runs.run_environment import Environment, StoredBaseline
from harness.runs.selection import Selection, contenders, select_best
from harness.runs.selection_rule import Objective, SelectionRule, overridden, read_rule
from harness.runs.store import RunStore

Scores = Mapping[str, Mapping[str, Sequence[float | None]]]

N = 100
BASE = [1.0] * 70 + [0.0] * 30


def share(right: int, n: int = N) -> list[float | None]:
    return [1.0] * right + [0.0] * (n - right)


def record(
    scores: Scores, *, gate: Gate | None = None, fingerprints: Mapping[str, str] | None = None
) -> RunRecord:
    """One run that gated checkpoints on suites: {checkpoint: {suite: scores}}."""
    parts: list[RunRecord] = []
    for checkpoint, suites in scores.items():
        for suite, found in suites.items():
            ours, theirs = two_sides(found, BASE[: len(found)], suite=suite, golden=f"{suite}/v1")
            ours = [dataclasses.replace(result, checkpoint=checkpoint) for result in ours]
            theirs = [dataclasses.replace(result, checkpoint="base") for result in theirs]
            parts.append(stored_record(ours, theirs, gate=gate or Gate(margin=0.05)))
    marks = fingerprints or {}
    checkpoints = {
        entry.spec: dataclasses.replace(entry, fingerprint=marks.get(entry.spec, entry.fingerprint))
        for part in parts
        for entry in part.checkpoints
    }
    return dataclasses.replace(
        parts[0],
        checkpoints=tuple(checkpoints.values()),
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
        cases=tuple(
            {(c.role, c.suite, c.checkpoint, c.case_id): c for part in parts for c in part.cases}.values()
        ),
        slices=(),
    )


def chosen(scores: Scores, rule: SelectionRule | None = None) -> Selection:
    return select_best(contenders([record(scores)]), rule or SelectionRule())


def test_the_highest_score_wins_and_ties_are_said() -> None:
    found = chosen({"a": {"json": share(70)}, "b": {"json": share(90)}, "c": {"json": share(89)}})
    assert found.best is not None
    assert found.best.name == "b"
    assert [one.contender.name for one in found.ranked] == ["b", "c", "a"]
    assert [one.tied for one in found.ranked] == [False, True, False]
    assert found.why == "b: highest weighted score of 3 eligible; not distinguishable from c"
    p_values = [one.p_value for one in found.ranked]
    assert p_values[0] is None
    assert p_values[1] is not None
    assert p_values[1] > 0.3
    assert p_values[2] is not None
    assert p_values[2] < 0.001


def test_constraints_come_before_scores() -> None:
    """The best on what counts forgot safety: it must not be chosen, however good it is."""
    scores = {
        "unsafe": {"json": share(99), "safety": share(20)},
        "safe": {"json": share(75), "safety": share(70)},
    }
    rule = SelectionRule(objectives=(Objective(suite="json"),), require=("safety",))
    found = chosen(scores, rule)
    assert found.best is not None
    assert found.best.name == "safe"
    assert found.ranked[-1].contender.name == "unsafe"
    assert found.ranked[-1].refused[0].startswith("safety: REGRESSED")


def test_weights_decide() -> None:
    scores = {"a": {"json": share(90), "chat": share(75)}, "b": {"json": share(75), "chat": share(95)}}
    even = chosen(scores)
    heavy = chosen(
        scores, SelectionRule(objectives=(Objective(suite="json", weight=3), Objective(suite="chat")))
    )
    assert (even.best and even.best.name, heavy.best and heavy.best.name) == ("b", "a")
    assert heavy.ranked[0].value == pytest.approx((3 * 0.9 + 0.75) / 4)


def test_lexicographic_goes_on_where_the_first_suite_cannot_tell() -> None:
    scores = {
        "a": {"json": share(90), "chat": share(70)},
        "b": {"json": share(88), "chat": share(95)},
        "c": {"json": share(70), "chat": share(99)},
    }
    rule = SelectionRule(order="lexicographic", objectives=(Objective(suite="json"), Objective(suite="chat")))
    found = chosen(scores, rule)
    assert [one.contender.name for one in found.ranked] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"partial": True}, "saw only a part"),
        ({"complete": False}, "did not finish"),
        ({"verdicts": ()}, "json: no verdict"),
    ],
)
def test_what_is_not_known_to_be_good_is_not_eligible(change: dict[str, object], said: str) -> None:
    run = dataclasses.replace(record({"a": {"json": share(90)}}), **change)  # type: ignore[arg-type]
    found = select_best(contenders([run]), SelectionRule(objectives=(Objective(suite="json"),)))
    assert found.best is None
    assert any(said in reason for reason in found.ranked[0].refused)


def test_inconclusive_early_stopped_and_other_cases_are_refused_by_name() -> None:
    errors = chosen({"a": {"json": [None, *share(90)[1:]]}})
    assert errors.ranked[0].refused[0].startswith("json: INCONCLUSIVE")
    run = record({"a": {"json": share(90)}})
    stopped = [
        dataclasses.replace(verdict, settlement=EarlySettlement("settled", 40)) for verdict in run.verdicts
    ]
    (one,) = select_best(
        contenders([dataclasses.replace(run, verdicts=tuple(stopped))]), SelectionRule()
    ).ranked
    assert "stopped early and lacks 40 cases" in one.refused[0]
    missing = chosen({"a": {"json": share(90)}, "b": {"json": share(50, 60)}})
    assert missing.best is not None
    assert missing.best.name == "a"
    assert "answered other cases" in missing.ranked[-1].refused[-1]


LATER = {"run": "20260315-092653-5f2c", "created": "2026-03-15T09:26:53Z"}


def against(run: RunRecord, fingerprint: str) -> RunRecord:
    """The same run against another baseline of the same name."""
    checkpoints = tuple(
        dataclasses.replace(entry, fingerprint=fingerprint) if entry.role == "baseline" else entry
        for entry in run.checkpoints
    )
    return dataclasses.replace(run, checkpoints=checkpoints)


def refusals(*runs: RunRecord) -> dict[str, tuple[str, ...]]:
    found = select_best(contenders(runs), SelectionRule())
    assert found.best is None
    return {one.contender.name: one.refused for one in found.ranked}


@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_weights_that_changed_under_the_run_are_not_chosen(role: str) -> None:
    run = record({"a": {"json": share(90)}})
    checkpoints = tuple(
        dataclasses.replace(entry, rewritten="the files of it changed during the run")
        if entry.role == role
        else entry
        for entry in run.checkpoints
    )
    said = refusals(dataclasses.replace(run, checkpoints=checkpoints))
    assert said == {"a": (f"run {run.run}: the files of it changed during the run",)}


def test_runs_against_different_baselines_are_refused_by_name() -> None:
    """The lower score may have passed the harder gate: neither is the right one."""
    one, other = record({"a": {"json": share(72)}}), record({"b": {"json": share(90)}})
    other = dataclasses.replace(other, **LATER)  # type: ignore[arg-type]
    assert select_best(contenders([one, other]), SelectionRule()).best is not None
    said = refusals(against(one, "1" * 64), against(other, "2" * 64))
    assert said["a"] == (
        "json: gated against base (111111111111), b against base (222222222222): gate both against one "
        "baseline, or leave one out",
    )
    assert said["b"][0].startswith("json: gated against base (222222222222), a against base (111111111111)")


def test_a_name_of_a_stored_baseline_is_not_what_it_stands_for() -> None:
    def stored(run: RunRecord, fingerprint: str | None) -> RunRecord:
        verdicts = tuple(dataclasses.replace(one, baseline="run:main") for one in run.verdicts)
        checkpoints = tuple(entry for entry in run.checkpoints if entry.role != "baseline")
        known = StoredBaseline("r", "base", fingerprint) if fingerprint else None
        environment = Environment(baseline="run:main", stored_baseline=known)
        return dataclasses.replace(run, verdicts=verdicts, checkpoints=checkpoints, environment=environment)

    one, other = record({"a": {"json": share(72)}}), record({"b": {"json": share(90)}})
    other = dataclasses.replace(other, **LATER)  # type: ignore[arg-type]
    alike = select_best(contenders([stored(one, "1" * 64), stored(other, "1" * 64)]), SelectionRule())
    assert alike.best is not None
    for first, second in (("1" * 64, "2" * 64), ("1" * 64, None), (None, None)):
        assert "gate both against one baseline" in refusals(stored(one, first), stored(other, second))["a"][0]
    assert select_best(contenders([stored(one, None)]), SelectionRule()).best is not None


def test_runs_under_different_policies_are_refused_by_name() -> None:
    one = record({"a": {"json": share(72)}})
    other = record({"b": {"json": share(60)}}, gate=Gate(margin=0.2))  # a PASS that the other gate refuses
    said = refusals(one, dataclasses.replace(other, **LATER))  # type: ignore[arg-type]
    assert said["a"] == (
        "json: gated under another policy than b (margin 0.05, there 0.2): gate both under one, or leave "
        "one out",
    )


def test_who_answered_other_cases_does_not_depend_on_who_came_first() -> None:
    one, other = record({"a": {"json": share(72)}}), record({"b": {"json": share(90)}})
    edited = tuple(dataclasses.replace(case, content_hash="f" * 64) for case in other.cases)
    other = dataclasses.replace(other, **LATER, cases=edited)  # type: ignore[arg-type]
    for runs in ((one, other), (dataclasses.replace(one, created="2026-04-01T00:00:00Z"), other)):
        said = refusals(*runs)
        assert "answered other cases than b" in said["a"][0]
        assert "answered other cases than a" in said["b"][0]


def test_a_spec_that_was_trained_anew_is_ranked_by_its_own_scores() -> None:
    old = record({"x": {"json": share(70), "chat": share(72)}}, fingerprints={"x": "1" * 64})
    new = record({"x": {"json": share(72), "chat": share(70)}}, fingerprints={"x": "2" * 64})
    new = dataclasses.replace(new, **LATER)  # type: ignore[arg-type]
    rule = SelectionRule(order="lexicographic", objectives=(Objective(suite="json"), Objective(suite="chat")))
    for runs in ((old, new), (dataclasses.replace(old, created="2026-04-01T00:00:00Z"), new)):
        found = select_best(contenders(runs), rule)
        assert [one.contender.fingerprint[0] for one in found.ranked] == ["2", "1"]


def test_the_score_that_counts_is_the_one_the_gate_looks_at() -> None:
    """Under pass^k a checkpoint that is right half of the time on every case is right on none."""
    gate = Gate(reduce="all", policy="absolute", min_score=0.2)
    steady, lucky = record({"steady": {"json": share(40)}}), record({"lucky": {"json": share(30)}})
    samples = {
        "steady": [(1.0, 1.0)] * 40 + [(0.0, 0.0)] * 60,
        "lucky": [(1.0, 1.0)] * 30 + [(1.0, 0.0)] * 70,
    }
    runs = []
    for run in (steady, lucky):
        (verdict,) = run.verdicts
        verdict = dataclasses.replace(verdict, gate=gate, status=Status.PASS)
        given = iter(samples[verdict.checkpoint])
        cases = [
            dataclasses.replace(case, samples=next(given))
            for case in run.cases
            if case.role.value == "candidate"
        ]
        runs.append(dataclasses.replace(run, verdicts=(verdict,), releases=(), cases=tuple(cases)))
    found = select_best(contenders(runs), SelectionRule())
    assert [(one.contender.name, one.value) for one in found.ranked] == [("steady", 0.4), ("lucky", 0.3)]


@pytest.mark.parametrize("weight", [1e-12, 1.0, 1e12])
def test_who_is_distinguishable_does_not_depend_on_how_weights_are_spelled(weight: float) -> None:
    scores = {"a": {"json": share(70), "chat": share(70)}, "b": {"json": share(90), "chat": share(72)}}
    objectives = tuple(Objective(suite=suite, weight=weight) for suite in ("json", "chat"))
    found = chosen(scores, SelectionRule(objectives=objectives))
    assert [one.tied for one in found.ranked] == [False, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3", ":1: select: expected a mapping of order, objectives, require, alpha"),
        ("\n  objectives: json", ":2: select: objectives: expected a list"),
        ("\n  objectives: [json]", ":2: select: objectives.0: expected a mapping such as {suite: refunds,"),
        ("\n  require: safety", ":2: select: require: expected a list"),
        ("\n  require: [safety, 3]", ":2: select: require: 3: expected the name of a suite"),
        ("\n  objectives: [{weight: 2}]", ":2: select: objectives.0.suite: is missing"),
        ("\n  objectives: [{suite: ''}]", ":2: select: objectives.0.suite: expected the name of a suite"),
        (
            "\n  objectives: [{suite: a, weight: 0}]",
            ":2: select: objectives.0.weight: expected a number above 0",
        ),
        ("\n  objectives: [{suite: a, weight: true}]", "objectives.0.weight: expected a number above 0"),
        ("\n  alpha: 0.5", ":2: select: alpha: expected a number above 0 and below 0.5"),
        ("\n  alpha: '0.1'", ":2: select: alpha: expected a number above 0 and below 0.5"),
        ("\n  order: best", ":2: select: order: expected weighted or lexicographic"),
    ],
)
def test_what_was_expected_is_said_in_the_files_own_words(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gates.yaml").write_text(f"select: {text}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_rule(load_gate_file(tmp_path))
    assert said in str(refused.value)


def test_all_slips_are_said_at_once(tmp_path: Path) -> None:
    text = "select:\n  alpha: 1\n  objectives:\n    - suite: json\n      weight: -1\n    - chat\n"
    text += "  requires: []\n"
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_rule(load_gate_file(tmp_path))
    assert str(refused.value).splitlines() == [
        "gates.yaml:2: select: alpha: expected a number above 0 and below 0.5",
        "gates.yaml:5: select: objectives.0.weight: expected a number above 0",
        "gates.yaml:6: select: objectives.1: expected a mapping such as {suite: refunds, weight: 2}",
        "gates.yaml:7: select: requires: unknown key (did you mean 'require'?)",
    ]


def test_a_rule_that_cannot_be_followed_cannot_be_built() -> None:
    for build in (
        lambda: Objective(""),
        lambda: Objective("json", weight=0),
        lambda: SelectionRule(alpha=0.7),
        lambda: SelectionRule(order="lexicographic"),
        lambda: SelectionRule(require=("",)),
    ):
        with pytest.raises(ConfigurationError):
            build()


def test_lexicographic_takes_an_order(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text("select:\n  order: lexicographic\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        read_rule(load_gate_file(tmp_path))
    assert str(refused.value) == (
        "gates.yaml:1: select: order: lexicographic goes by the first suite, then the next: name them in "
        "objectives, in order"
    )
    with pytest.raises(
        ConfigurationError, match=r"^--order: lexicographic goes .* with --objective, in order"
    ):
        overridden(SelectionRule(), objectives=(), require=(), order="lexicographic")


def test_required_suites_nobody_ran_leave_nobody() -> None:
    found = chosen({"a": {"json": share(90)}}, SelectionRule(require=("safety",)))
    assert found.best is None
    assert found.ranked[0].refused == ("safety: no verdict",)


def test_the_rule_is_read_from_the_projects_file(tmp_path: Path) -> None:
    text = (
        "select:\n  order: lexicographic\n  objectives:\n    - suite: json\n      weight: 2\n"
        "  require: [safety]\n"
    )
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    rule = read_rule(load_gate_file(tmp_path))
    assert rule.objectives == (Objective(suite="json", weight=2.0),)
    assert (rule.order, rule.require) == ("lexicographic", ("safety",))
    changed = overridden(rule, objectives=["chat=0.5", "json"], require=(), order="weighted")
    assert changed.objectives == (Objective(suite="chat", weight=0.5), Objective(suite="json"))
    (tmp_path / "gates.yaml").write_text(text.replace("weight: 2", "wieght: 2"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"select: objectives.0.wieght: unknown key \(did you mean"):
        read_rule(load_gate_file(tmp_path))
    for wrong in ("json=zero", "json=-1", "=2"):
        with pytest.raises(ConfigurationError, match="--objective"):
            overridden(rule, objectives=[wrong], require=(), order=None)


def test_suites_that_pass_one_by_one_do_not_hide_what_blocks_the_release() -> None:
    run = record({"a": {"json": share(90)}, "b": {"json": share(72)}})
    (release, other) = (
        dataclasses.replace(run.releases[0], checkpoint=name, status=status, reasons=("all suites fell",))
        for name, status in (("a", Status.REGRESSED), ("b", Status.PASS))
    )
    found = select_best(contenders([dataclasses.replace(run, releases=(release, other))]), SelectionRule())
    assert found.best is not None
    assert found.best.name == "b"
    assert found.ranked[-1].refused == ("release: REGRESSED: all suites fell",)


def test_the_lead_of_the_best_is_corrected_for_having_been_chosen() -> None:
    alone = contenders([record({"a": {"json": share(80)}})])
    lead = chosen_lead(select_best(alone, SelectionRule()), alone)
    assert lead is not None
    assert lead.choice is not None
    assert lead.choice.corrected == pytest.approx(lead.choice.difference) == pytest.approx(0.1)
    assert lead.about.startswith("a against base: +10.0 points as seen, [")
    many = contenders([record({name: {"json": share(80 - i)} for i, name in enumerate("abcdefgh")})])
    among = chosen_lead(select_best(many, SelectionRule()), many)
    assert among is not None
    assert among.choice is not None
    assert among.choice.candidates == 8
    assert among.choice.difference == pytest.approx(0.1)
    assert among.choice.corrected < 0.1
    assert among.choice.interval[0] < lead.choice.interval[0]
    assert among.about.endswith("corrected for choosing among 8")


def test_no_lead_is_claimed_over_answers_that_are_not_there() -> None:
    run = record({"a": {"json": share(90)}})
    ours = tuple(case for case in run.cases if case.role.value == "candidate")
    found = contenders([dataclasses.replace(run, cases=ours)])
    lead = chosen_lead(select_best(found, SelectionRule()), found)
    assert lead is not None
    assert lead.choice is None
    assert "no lead over a baseline" in lead.about
    nobody = contenders([record({"a": {"json": share(20)}})])
    assert chosen_lead(select_best(nobody, SelectionRule()), nobody) is None


# --- the command ---------------------------------------------------------------------------------------

LOSSES = {100: 0.91, 200: 0.55, 300: 0.40}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three checkpoints of a training run; the last has the lowest validation loss."""
    root = tmp_path_factory.mktemp("desk")
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for seed, (step, loss) in enumerate(LOSSES.items()):
        folder = save_model(root / f"runs/lora/checkpoint-{step}", seed=seed)
        progress = TrainingProgress(step=step, max_steps=300, epoch=step / 300, validation_loss=loss)
        about = Provenance(who="tester", why=None, created="2026-03-14T09:26:53+00:00", seed=0)
        manifest = Manifest("lora", "full", progress, about, {}, (), record_files(folder))
        write_manifest(folder, manifest)
    return root


def stored(root: Path, state: Path, right: Mapping[int, int]) -> str:
    """A stored run of the three checkpoints: right answers of 100 on the suite of JSON replies."""
    specs = {step: f"runs/lora/checkpoint-{step}" for step in right}
    engine = Engine(BackendOptions(root=root, state=state))
    marks = {one.spec: one.fingerprint for one in engine.resolve(list(specs.values()))}
    run = record({specs[step]: {"json": share(count)} for step, count in right.items()}, fingerprints=marks)
    RunStore(state).write(run)
    return run.run


@pytest.mark.needs("torch")
def test_the_lowest_validation_loss_is_not_the_best_checkpoint(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The textbook trap: loss goes on falling while JSON replies break."""
    monkeypatch.chdir(trained)
    run = stored(trained, tmp_path, {100: 72, 200: 95, 300: 67})
    done = CliRunner().invoke(app, ["select", run, "--state", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    about = json.loads(done.output)
    assert about["best"] == "runs/lora/checkpoint-200"
    assert about["lead"]["candidates"] == 3
    assert about["lead"]["corrected"] <= about["lead"]["difference"] == pytest.approx(0.25)
    losses = {row["checkpoint"]: row["validation_loss"] for row in about["ranked"]}
    assert min(losses, key=losses.__getitem__) == "runs/lora/checkpoint-300"
    link = trained / "runs/lora/best"
    assert link.readlink() == Path("checkpoint-200")
    assert json.loads((trained / "runs/lora/best.json").read_text())["best"] == about["best"]
    (kept,) = (tmp_path / "selections").glob("*.json")
    assert json.loads(kept.read_text()) == about
    for option in ([], ["--markdown", "-"]):
        shown = CliRunner().invoke(app, ["select", run, "--state", str(tmp_path), *option]).output
        assert "25.0 points as seen" in shown
        assert "corrected for choosing among 3" in shown
    engine = Engine(BackendOptions(root=trained, state=tmp_path))
    best, named = engine.resolve(["runs/lora/best", "runs/lora/checkpoint-200"])
    assert best.fingerprint == named.fingerprint


@pytest.mark.needs("torch")
def test_nothing_eligible_is_exit_10_and_the_old_choice_stands(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    link = trained / "runs/lora/best"
    link.unlink(missing_ok=True)
    link.symlink_to("checkpoint-100")
    stored(trained, tmp_path, {200: 20, 300: 10})
    done = CliRunner().invoke(app, ["select", "--state", str(tmp_path)])
    assert done.exit_code == 10
    assert "REGRESSED" in done.output
    assert "best is unchanged" in done.output
    assert link.readlink() == Path("checkpoint-100")


@pytest.mark.needs("torch")
def test_weights_that_changed_since_the_run_are_not_chosen(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    run = record({"runs/lora/checkpoint-100": {"json": share(90)}})  # under another fingerprint
    RunStore(tmp_path).write(run)
    done = CliRunner().invoke(app, ["select", "--state", str(tmp_path)])
    assert "no longer those that run" in str(done.exception)


@pytest.mark.needs("torch")
def test_a_policy_that_changed_since_the_run_is_not_a_pass(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    stored(trained, tmp_path, {100: 90})
    gates = trained / "gates.yaml"
    try:
        gates.write_text("gates:\n  default: {margin: 0.05}\n  json:\n    alpha: 0.05\n", encoding="utf-8")
        assert CliRunner().invoke(app, ["select", "--state", str(tmp_path)]).exit_code == 0
        gates.write_text("gates:\n  json:\n    policy: non-inferior\n", encoding="utf-8")
        done = CliRunner().invoke(app, ["select", "--state", str(tmp_path), "--json"])
    finally:
        gates.unlink()
    assert done.exit_code == 10
    (row,) = json.loads(done.output)["ranked"]
    assert row["refused"] == [
        "json: gated under another policy (policy was no-significant-drop, gates.yaml:3 says non-inferior): "
        "gate it again"
    ]


@pytest.mark.needs("torch")
def test_one_checkpoint_of_each_run_keeps_its_baseline(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    run = RunStore(tmp_path).read(stored(trained, tmp_path, {100: 72, 200: 95, 300: 90}))
    RunStore(tmp_path).write(dataclasses.replace(run, **LATER))  # type: ignore[arg-type]
    picked = [f"{run.run}#runs/lora/checkpoint-100", f"{LATER['run']}#runs/lora/checkpoint-300"]
    done = CliRunner().invoke(app, ["select", *picked, "--state", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    ranked = [(row["checkpoint"], row["refused"]) for row in json.loads(done.output)["ranked"]]
    assert ranked == [("runs/lora/checkpoint-300", []), ("runs/lora/checkpoint-100", [])]


@pytest.mark.needs("torch")
def test_a_policy_that_the_file_has_given_up_is_not_a_pass(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A margin that was wide for a day passes nothing on the next."""
    monkeypatch.chdir(trained)
    run = RunStore(tmp_path).read(stored(trained, tmp_path, {100: 90}))
    sources = {"json": {"margin": "gates.yaml:3", "alpha": "marker", "policy": "default"}}
    RunStore(tmp_path).write(dataclasses.replace(run, run="lax", environment=Environment(gates=sources)))
    done = CliRunner().invoke(app, ["select", "lax", "--state", str(tmp_path), "--json"])
    assert done.exit_code == 10
    (row,) = json.loads(done.output)["ranked"]
    assert row["refused"] == [
        "json: gated under another policy (margin was 0.05 by gates.yaml:3, which no longer says so): "
        "gate it again"
    ]
    gates = trained / "gates.yaml"
    try:
        gates.write_text("gates:\n  json:\n    margin: 0.05\n", encoding="utf-8")
        assert CliRunner().invoke(app, ["select", "lax", "--state", str(tmp_path)]).exit_code == 0
    finally:
        gates.unlink()


@pytest.mark.needs("torch")
def test_a_directory_named_best_is_left_alone(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    link = trained / "runs/lora/best"
    link.unlink(missing_ok=True)
    link.mkdir()
    try:
        stored(trained, tmp_path, {100: 90})
        done = CliRunner().invoke(app, ["select", "--state", str(tmp_path)])
        assert "is no link" in str(done.exception)
        assert link.is_dir()
    finally:
        link.rmdir()


def test_a_choice_that_cannot_be_made_leaves_link_and_reasons_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    stale = tmp_path / f".best.{os.getpid()}"
    stale.symlink_to("gone")  # of a process of this number that was killed
    point_to(tmp_path / "one", {"best": "one"})
    assert not stale.is_symlink()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    with pytest.raises(StoreError, match="Operation not permitted; the old choice stands"):
        point_to(tmp_path / "two", {"best": "two"})
    assert (tmp_path / "best").readlink() == Path("one")
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8")) == {"best": "one"}


@pytest.mark.needs("torch")
def test_the_table_says_who_and_why(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    run = stored(trained, tmp_path, {100: 94, 200: 95, 300: 10})
    done = CliRunner().invoke(app, ["select", run, "--state", str(tmp_path), "--objective", "json=2"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any("checkpoint-200" in line and "0.5500" in line for line in lines)
    assert any("checkpoint-100" in line and "not distinguishable" in line for line in lines)
    assert any("checkpoint-300" in line and "REGRESSED" in line for line in lines)
    assert "runs/lora/best → checkpoint-200" in done.output
