"""What a session prints for people: at 80 columns, in a log, in an ASCII locale."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from harness.plugins.deciding import terminal

from .conftest import Project, sums


def summary(done: pytest.RunResult) -> list[str]:
    start = next(i for i, line in enumerate(done.outlines) if " verdicts " in line)
    return done.outlines[start:]


def test_eighty_columns_hold_every_number(sums_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done, record = sums_project.recorded("--model=replay/bad.jsonl", "--baseline=replay/base.jsonl")
    lines = summary(done)
    assert max(map(len, lines)) <= 80
    (verdict,) = record["verdicts"]
    table = "\n".join(lines)
    low, high = (f"{100 * bound:+.1f}".replace("-", "−") for bound in verdict["interval"])
    for number in (" 60 ", " 90.0 ", " 50.0", "−40.0", f"[{low}, {high}]", "<0.0001", "+0/−24"):
        assert number in table, number
    assert not any("p_adjusted=" in line for line in lines)


def test_a_log_has_a_line_for_each_verdict(sums_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    done = sums_project.run("--model=replay/bad.jsonl", "--baseline=replay/base.jsonl")
    assert sum("p_adjusted=" in line for line in summary(done)) == 1


def test_every_verdict_with_flips_shows_the_worst_three(sums_project: Project) -> None:
    done = sums_project.run("--model=replay/good.jsonl", "--baseline=replay/base.jsonl")
    shown = "\n".join(summary(done))
    assert "0 worsened, 3 improved" in shown
    assert "base: replay/base.jsonl  no idea" in shown


def test_invalid_cases_show_reason_and_answer(project: Project) -> None:
    project.golden("forms", [case | {"checks": [{"type": "json_schema", "schema": {}}]} for case in sums(30)])
    project.suite("forms")
    project.outputs("base", {f"c{i}": json.dumps({"a": i}) for i in range(30)})
    project.outputs("prose", {f"c{i}": f"Sure! Here is {i}.\nMore." for i in range(30)})
    done = project.run("--model=replay/prose.jsonl", "--baseline=replay/base.jsonl")
    lines = summary(done)
    head = next(i for i, line in enumerate(lines) if "30 invalid" in line)
    assert lines[head] == "forms × replay/prose.jsonl: 30 invalid"
    assert lines[head + 1].startswith("  30 × ")
    assert "c0: Sure! Here is 0. …" in lines[head + 2]


def test_an_ascii_locale_reads_a_table_and_no_escapes(
    sums_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    done = sums_project.run_process("--model=replay/bad.jsonl", "--baseline=replay/base.jsonl", "-q")
    lines = summary(done)
    assert "\\n" not in "\n".join(lines)
    assert "\\u" not in "\n".join(lines)
    row = next(
        line for line in lines if line.startswith("REGRESSED") and "-40.0" in line and "suite=" not in line
    )
    assert "+0/-24" in row
    assert any("sums x replay/bad.jsonl: 24 worsened, 0 improved" in line for line in lines)


def test_answers_that_take_long_are_told_in_a_log(
    sums_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Reporter:
        isatty = False

        def write_line(self, line: str) -> None:
            told.append(line)

        def flush(self) -> None:
            told.append("flushed")

    with terminal._watcher(Reporter()) as progress:
        progress.waits_for(sums_project.path)
        progress.waits_for(sums_project.path)
    assert told == [f"harness: another session fills the cache; waiting for {sums_project.path}", "flushed"]


def test_a_suite_with_an_escape_in_its_name_leaves_junit_well_formed(project: Project) -> None:
    project.golden("sums", sums(4))
    project.suite("sums", 'name="su\\x1bms"')
    project.outputs("base", {f"c{i}": str(i + 1) for i in range(4)})
    project.run("--model=replay/base.jsonl", "--baseline=replay/base.jsonl", "--junitxml=junit.xml")
    names = [case.get("name") for case in ElementTree.parse(project.path / "junit.xml").iter("testcase")]
    assert any(name is not None and name.startswith("gate[") for name in names)


def test_a_mistyped_checkpoint_is_answered_with_what_there_is(project: Project) -> None:
    for folder in ("runs/refund-lora/checkpoint-300", "models/base"):
        (project.path / folder).mkdir(parents=True)
        (project.path / folder / "config.json").write_text("{}")
    project.golden("sums", sums(2))
    project.suite("sums")
    for typed, meant in (
        ("bse", "base"),
        ("refund-lora/checkpoint-400", "refund-lora/checkpoint-300"),
        ("chekpoint-300", "checkpoint-300"),
    ):
        done = project.run(f"--model={typed}")
        assert done.ret == 4
        done.stderr.fnmatch_lines([f"*no checkpoint '{typed}' (did you mean '{meant}'?)*"])
        done.stderr.fnmatch_lines(["*there are: refund-lora/checkpoint-300, base"])


def test_a_run_has_its_page_beside_it(sums_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_PAGE")
    done = sums_project.run("--model=replay/bad.jsonl", "--baseline=replay/base.jsonl")
    (page,) = (sums_project.path / ".harness" / "runs").glob("*/report.html")
    assert "A checkpoint regressed" in page.read_text(encoding="utf-8")
    done.stdout.fnmatch_lines(
        [f"read every case: harness show {page.parent.name}, or .harness/runs/*/report.html"]
    )
    assert done.ret == 1
    (sums_project.path / "pytest.ini").write_text("[pytest]\nharness_page = false\n")
    sums_project.run("--model=replay/bad.jsonl", "--baseline=replay/base.jsonl")
    assert len(list((sums_project.path / ".harness" / "runs").glob("*/report.html"))) == 1
