"""Gates as data in a run, and `harness gates` before one."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import ConfigurationError

from .conftest import Project, right_except, sums

BASE = "--baseline=replay/base.jsonl"
GOOD = "--model=replay/good.jsonl"
WORSE = "--model=replay/worse.jsonl"


@pytest.fixture
def desk(sums_project: Project) -> Project:
    sums_project.outputs("worse", right_except(lambda i: i % 10 == 0 or i in (3, 7, 11, 13, 17, 19)))
    return sums_project


def write(project: Project, text: str) -> None:
    (project.path / "gates.yaml").write_text(text, encoding="utf-8")


def test_the_file_wins_over_the_marker_and_the_record_says_so(desk: Project) -> None:
    assert desk.results(WORSE, BASE)[0] == 1
    desk.suite("sums", "gate=harness.Gate(alpha=0.04)")
    write(desk, "gates:\n  sums:\n    margin: 0.2\n")
    code, results = desk.results(WORSE, BASE)
    (verdict,) = results["verdicts"]
    assert (code, verdict["margin"], verdict["alpha"]) == (0, 0.2, 0.04)
    sources = results["environment"]["gates"]["sums"]
    assert (sources["margin"], sources["alpha"], sources["policy"]) == ("gates.yaml:3", "marker", "default")


def test_a_misspelt_suite_or_key_stops_the_run(desk: Project) -> None:
    write(desk, "gates:\n  smus:\n    margin: 0.2\n")
    done = desk.run(WORSE, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*gates.yaml:2: no suite 'smus' (did you mean 'sums'?)*"])
    write(desk, "gates:\n  sums:\n    magrin: 0.2\n")
    done = desk.run(WORSE, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*gates.yaml:3: sums: unknown key 'magrin'*"])


def test_two_files_stop_the_run(desk: Project) -> None:
    write(desk, "gates:\n  sums:\n    margin: 0.2\n")
    (desk.path / "pyproject.toml").write_text("[tool.harness.gates.sums]\nmargin = 0.1\n", encoding="utf-8")
    done = desk.run(WORSE, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["*gates are given twice*"])


def test_workers_use_the_file_too(desk: Project) -> None:
    write(desk, "gates:\n  sums:\n    margin: 0.2\n")
    path = desk.path / "results.json"
    done = desk.run_process(WORSE, BASE, "-n2", f"--harness-json={path}")
    assert done.ret == 0
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["environment"]["gates"]["sums"]["margin"] == "gates.yaml:3"


def test_harness_gates_needs_no_model(desk: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.path)
    write(desk, "gates:\n  default:\n    margin: 0.03\n")
    done = CliRunner().invoke(app, ["gates"])
    assert done.exit_code == 0, done.output
    assert "no-significant-drop" in done.output
    assert "margin = 0.03 from gates.yaml:3" in done.output
    assert "if 20 % of the cases change (no stored run yet)" in done.output
    (row,) = json.loads(CliRunner().invoke(app, ["gates", "--json"]).output)
    assert (row["suite"], row["golden"], row["cases"], row["must_pass"]) == ("sums", "sums/v1", 60, 0)
    assert 0.1 < row["minimum_detectable_drop"] < 0.25
    run = desk.results(GOOD, BASE)[1]["run"]
    (known,) = json.loads(CliRunner().invoke(app, ["gates", "--json"]).output)
    assert run in known["basis"]
    assert known["minimum_detectable_drop"] != row["minimum_detectable_drop"]


def test_harness_gates_says_what_is_wrong(desk: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.path)
    write(desk, "gates:\n  smus: {}\n")
    done = CliRunner().invoke(app, ["gates"])
    assert isinstance(done.exception, ConfigurationError)
    assert "no suite 'smus'" in str(done.exception)


def test_harness_gates_leaves_no_suite_out(desk: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be imported may hold the strictest gate of all."""
    monkeypatch.chdir(desk.path)
    assert CliRunner().invoke(app, ["gates"]).exit_code == 0
    desk.module("import no_such_module\n", "suites/test_broken.py")
    done = CliRunner().invoke(app, ["gates"])
    assert isinstance(done.exception, ConfigurationError)
    assert "No module named 'no_such_module'" in str(done.exception)
    done = CliRunner().invoke(app, ["gates", "suites/test_gone.py"])
    assert isinstance(done.exception, ConfigurationError)
    assert "not found: suites/test_gone.py" in str(done.exception)


def test_every_problem_has_its_own_line(desk: Project) -> None:
    write(desk, "gates:\n  sums:\n    magrin: 0.2\n    alpha: 2\n")
    wanted = [
        "gates.yaml:3: sums: unknown key 'magrin' (did you mean 'margin'?)*",
        "gates.yaml:4: sums: alpha must be a number in [[]1e-06, 0.5), not 2",
    ]
    done = desk.run(WORSE, BASE)
    assert done.ret == 4
    done.stderr.fnmatch_lines([f"ERROR: {line}" for line in wanted])
    told = subprocess.run(
        [sys.executable, "-m", "harness.cli", "gates"], cwd=desk.path, capture_output=True, text=True
    )
    assert told.returncode == 4
    assert fnmatch_all(told.stderr.splitlines()[1:], [f"harness: {line}" for line in wanted])


def fnmatch_all(lines: list[str], patterns: list[str]) -> bool:
    return len(lines) == len(patterns) and all(map(fnmatch.fnmatchcase, lines, patterns))


def test_harness_gates_reads_the_rule_of_choosing_too(desk: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.path)
    text = "select:\n  order: lexicographic\n  objectives: [{suite: sums}]\n  require: [smus]\n"
    write(desk, text)
    done = CliRunner().invoke(app, ["gates"])
    assert "select: lexicographic: sums; requires smus from gates.yaml:1" in done.output
    assert "select: no suite 'smus' here (did you mean 'sums'?)" in done.output
    write(desk, text + "  oder: x\n")
    done = CliRunner().invoke(app, ["gates"])
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception) == "gates.yaml:5: select: oder: unknown key (did you mean 'order'?)"


def test_the_desk_of_several_suites(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    project.golden("sums", [case | {"cluster": f"g{i % 12}"} for i, case in enumerate(sums())])
    project.golden("more", [case | {"must_pass": True} for case in sums(20)])
    project.suite("sums", 'gate=harness.Gate(policy="absolute", min_score=0.5)')
    project.suite("more")
    rows = json.loads(CliRunner().invoke(app, ["gates", "--json"]).output)
    by_name = {row["suite"]: row for row in rows}
    assert (by_name["sums"]["clusters"], by_name["sums"]["minimum_detectable_drop"]) == (12, None)
    assert by_name["more"]["must_pass"] == 20
