"""Golden sets in the formats of other tools, there and back."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness import interchange
from harness.cases import Case, Message
from harness.cli.main import app
from harness.errors import ConfigurationError, GoldenSetError
from harness.golden_sets.case_row import parse_case
from harness.golden_sets.read import load_golden
from harness.interchange import FORMATS, Format, export_cases, import_rows
from harness.likelihood import Continuation

PLAIN = [
    Case("sum-1", (Message("user", "What is 1 + 1?"),), target="2", tags=("easy",)),
    Case("umlaut", (Message("user", 'Grüße, "Zitat", Zeile\nzwei'),), target="ja; nein"),
]


WRITTEN = sorted(name for name, form in FORMATS.items() if form.write is not None)


@pytest.mark.parametrize("name", WRITTEN)
def test_plain_cases_survive_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"cases{FORMATS[name].suffixes[0]}"
    path.write_text(export_cases(PLAIN, name), encoding="utf-8")
    if name == "lm-eval":  # reads logged samples and writes documents
        return
    read = [parse_case(row) for row in import_rows(path, name)]
    assert [(case.id, case.input) for case in read] == [(case.id, case.input) for case in PLAIN]
    wanted = [case.target for case in PLAIN]
    found = [case.target or next(iter(case.checks))["value"] for case in read]
    assert found == wanted


def test_choices_survive_inspect_by_their_letters(tmp_path: Path) -> None:
    made = Case(
        "c", (Message("user", "Which?"),), target=1, continuations=(Continuation("a"), Continuation("b"))
    )
    text = export_cases([made], "inspect")
    assert json.loads(text)["target"] == "B"
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    assert parse_case(import_rows(path, "inspect")[0]) == made


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("inspect", '{"input": ""}\n', "x:1: the input must be"),
        ("inspect", '{"input": "q", "choices": ["a"], "target": "C"}\n', "must be their letters"),
        ("openai-evals", '{"input": "q", "ideal": []}\n', "ideal must be"),
        ("deepeval", '{"input": "q"}', "expected one JSON array"),
        ("deepeval", '[{"input": 3}]', "golden 1 has no text input"),
        ("csv", "a,b\n1,2\n", "needs a column `input`"),
        ("csv", "input,target\nq\n", "x:2: has more or fewer fields"),
        ("promptfoo", "tests:\n  - vars: {a: b}\n", "which its vars lack"),
        (
            "promptfoo",
            "tests:\n  - vars: {input: b}\n    assert: [{type: javascript, value: x}]\n",
            "'javascript' is not read",
        ),
        ("promptfoo", "tests: []\n", "has no list of `tests`"),
        ("promptfoo", "tests: [a]\n", "test 1: expected a mapping"),
        ("promptfoo", "tests: [{vars: [a]}]\n", "test 1: vars must be names"),
        ("promptfoo", "tests: [{vars: {input: b}, assert: [x]}]\n", "an assertion: expected a mapping"),
        ("promptfoo", "tests: [{vars: {input: b}, options: {transform: x}}]\n", "`options` is not read"),
        (
            "promptfoo",
            "tests: [{vars: {input: b}, assert: [{type: contains, value: x, weight: 0}]}]\n",
            "`weight` is not read",
        ),
        ("promptfoo", "defaultTest: {}\ntests: [{vars: {input: b}}]\n", "`defaultTest` is not read"),
        (
            "promptfoo",
            "prompts: ['{{a | upper}}']\ntests: [{vars: {a: b}}]\n",
            "only {{name}} is filled in, not '{{a | upper}}'",
        ),
        ("deepeval", '[{"input": "q", "context": "abc"}]', "golden 1: its context must be a list"),
        (
            "deepeval",
            '[{"input": "q", "expected_output": 3}]',
            "golden 1: its expected_output must be a text",
        ),
        ("csv", "id,input\na b,q\na-b,r\n", "case 2 (a-b): its id is that of case 1"),
        ("lm-eval", '{"doc_id": 1, "arguments": []}\n', "has no arguments"),
        (
            "lm-eval",
            '{"doc_id": 1, "target": "z", "arguments": [["q", " a"], ["q", " b"]]}\n',
            "none of its 2 choices",
        ),
        ("harness", '{"id": "a"}\n', "found none of them"),
        ("harness", "", "holds no case"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(GoldenSetError) as raised:
        import_rows(path, name)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unknown_formats_and_missing_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean"):
        import_rows(tmp_path, "inspekt")
    with pytest.raises(GoldenSetError, match="no such file"):
        import_rows(tmp_path / "none", "csv")


def test_promptfoo_assertions_become_checks(tmp_path: Path) -> None:
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(
        "prompts: ['Translate {{text}} to {{ language }}.']\n"
        "tests:\n"
        "  - description: to french\n"
        "    vars: {text: cheese, language: French}\n"
        "    assert:\n"
        "      - {type: icontains, value: FROMAGE}\n"
        "      - {type: not-contains, value: '{{text}}'}\n"
        "      - {type: is-json}\n"
        "      - {type: contains-all, value: 'fromage, {{language}}'}\n"
        "      - {type: contains, value: 5}\n"
    )
    (row,) = import_rows(path, "promptfoo")
    assert row["id"] == "to-french"
    assert row["input"] == "Translate cheese to French."
    assert row["checks"] == [
        {"type": "contains", "value": "FROMAGE", "ignore_case": True},
        {"type": "not_contains", "values": ["cheese"]},
        {"type": "json_schema", "schema": {}, "strict": True},
        {"type": "contains_all", "values": ["fromage", "French"]},
        {"type": "contains", "value": "5"},
    ]


def test_lm_eval_samples_become_likelihood_cases(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    arguments = {"gen_args_0": {"arg_0": "Q", "arg_1": " a"}, "gen_args_1": {"arg_0": "Q", "arg_1": " b"}}
    two = {"doc_id": 1, "target": 0, "arguments": [["He", " ran"], ["She", " ran"]]}
    path.write_text(
        json.dumps({"doc_id": 0, "target": "1", "arguments": arguments}) + "\n" + json.dumps(two) + "\n"
    )
    first, second = (parse_case(row) for row in import_rows(path, "lm-eval"))
    assert first == Case(
        "doc-0",
        (Message("user", "Q"),),
        target=1,
        raw=True,
        continuations=(Continuation(" a"), Continuation(" b")),
    )
    assert second.continuations == (Continuation(" ran", "He"), Continuation(" ran", "She"))


def test_what_a_format_cannot_carry_is_refused() -> None:
    turns = Case("t", (Message("user", "a"),), turns=("b",), target="x")
    for name in sorted(set(WRITTEN) - {"harness"}):
        with pytest.raises(GoldenSetError, match="case t has further user turns"):
            export_cases([turns], name)
    odd = Case("o", (Message("user", "a"),), checks=({"type": "number", "value": 3},))
    with pytest.raises(GoldenSetError, match="no assertion like the check number"):
        export_cases([odd], "promptfoo")
    for name in ("csv", "lm-eval", "openai-evals"):
        with pytest.raises(GoldenSetError, match="case o has checks"):
            export_cases([odd], name)
    whole = {"type": "contains", "value": "x", "whole_words": True}
    with pytest.raises(GoldenSetError, match="contains has nothing like `whole_words`"):
        export_cases([Case("w", (Message("user", "a"),), checks=(whole,))], "promptfoo")
    with pytest.raises(GoldenSetError, match="a target that is no text"):
        export_cases([Case("n", (Message("user", "a"),), target=4)], "promptfoo")


def test_a_sample_that_a_file_holds_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    sample = json.dumps({"doc_id": 0, "target": "5", "arguments": [["Q", {}]]}) + "\n"
    path.write_text(sample * 2)  # lm-eval writes one line for each filter
    done = CliRunner().invoke(
        app,
        ["golden", "import", "qs", str(path), "-f", "lm-eval", "--golden", str(tmp_path / "g")],
        env={"CI": ""},
    )
    assert "1 added, 1 were there already" in done.output


def test_the_command_starts_a_set_from_a_file(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,question,answer,tags,region\nq1,What is it?,this,easy; lang:en,EU\n")
    options = ["--golden", str(tmp_path / "golden")]
    result = CliRunner().invoke(app, ["golden", "import", "mine", str(table), "-f", "csv", *options])
    assert result.exit_code == 0, result.output
    (case,) = load_golden("mine", roots=[tmp_path / "golden"])
    assert (case.input, case.target, case.tags, case.metadata) == (
        "What is it?",
        "this",
        ("easy", "lang:en"),
        {"region": "EU"},
    )
    stats = CliRunner().invoke(app, ["golden", "stats", "mine", *options])
    assert "1 cases in 1 clusters" in stats.output
    out = CliRunner().invoke(app, ["golden", "export", "mine", "-f", "inspect", *options])
    assert json.loads(out.output)["input"] == "What is it?"


def test_every_format_is_found_by_the_name_that_it_declares() -> None:
    """What is read from the text of the modules is what importing them declares."""
    declared = {}
    for module in pkgutil.walk_packages(interchange.__path__, "harness.interchange."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Format):
                declared[value.name] = value
    assert dict(FORMATS) == declared
    assert len(declared) > len(WRITTEN)  # benchmarks are only read


ACME = """
from harness.interchange import Format

def read(path):
    for number, line in enumerate(path.read_text().splitlines()):
        yield {"id": f"acme-{number}", "input": line, "target": line.upper()}

LINES = Format("acme-lines", "Acme's questions, a line each", (".txt",), read)
"""


def test_an_installed_package_adds_its_format(tmp_path: Path) -> None:
    (tmp_path / "acme_formats.py").write_text(ACME)
    (tmp_path / "questions.txt").write_text("one\ntwo\n")
    metadata = tmp_path / "acme_formats-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-formats\nVersion: 1.0\n")
    entries = "acme-lines = acme_formats:LINES\nother-name = acme_formats:LINES\n"
    (metadata / "entry_points.txt").write_text(f"[harness.formats]\n{entries}")

    def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness.cli", "golden", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    done = harness("import", "acme", "questions.txt", "-f", "acme-lines")
    assert (done.returncode, done.stderr) == (0, "")
    assert [case.target for case in load_golden("acme", roots=[tmp_path / "golden"]).cases] == ["ONE", "TWO"]
    done = harness("import", "acme", "questions.txt", "-f", "other-name")
    assert done.returncode == 4
    assert "'other-name' under harness.formats is no Format of that name" in done.stderr
    done = harness("import", "acme", "questions.txt", "-f", "acme-line")
    assert "unknown format 'acme-line' (did you mean 'acme-lines'?)" in done.stderr


def choice_sample(target: Any, texts: list[str], likeliest: int, acc: float) -> str:
    arguments = {f"gen_args_{n}": {"arg_0": "Q", "arg_1": f" {text}"} for n, text in enumerate(texts)}
    answers = [["-0.5" if n == likeliest else "-3.0", "False"] for n in range(len(texts))]
    sample = {"doc_id": 0, "target": target, "arguments": arguments, "filtered_resps": answers, "acc": acc}
    return json.dumps(sample) + "\n"


@pytest.mark.parametrize(
    ("target", "texts", "likeliest", "acc", "gold"),
    [
        ("2", ["1", "2", "3"], 2, 1.0, 2),
        ("2", ["1", "2", "3"], 1, 1.0, 1),
        ("2", ["1", "2", "3"], 1, 0.0, 2),
        (1, ["5", "6"], 0, 0.0, 1),
        ("no", ["yes", "no"], 1, 1.0, 1),
    ],
)
def test_the_score_tells_which_choice_a_logged_target_is(
    tmp_path: Path, target: Any, texts: list[str], likeliest: int, acc: float, gold: int
) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(choice_sample(target, texts, likeliest, acc), encoding="utf-8")
    (row,) = import_rows(path, "lm-eval")
    assert row["target"] == gold


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (choice_sample("2", ["1", "2", "3"], 0, 0.0), "by its number and another by its text"),
        (choice_sample("no", ["yes", "no"], 0, 1.0), "contradicts its `acc`"),
        (
            '{"target": "18", "arguments": [["Q", {}]], "metrics": ["exact_match"], "filter": "get"}\n',
            "behind the filter 'get'",
        ),
        ('{"target": "a b", "arguments": [["Q", {}]], "metrics": ["bleu"]}\n', "scored by 'bleu'"),
        (
            '{"target": "So 8.", "arguments": [["Q", {}]], "filtered_resps": ["8"], "exact_match": 1.0}\n',
            "exact_match 1 for an answer",
        ),
    ],
)
def test_a_sample_that_its_task_scores_otherwise_is_refused(
    tmp_path: Path, sample: str, problem: str
) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(sample, encoding="utf-8")
    with pytest.raises(GoldenSetError, match=rf"samples\.jsonl:1: .*{problem}"):
        import_rows(path, "lm-eval")


def test_the_number_at_the_end_of_a_logged_rationale_is_the_target(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    sample = {
        "target": "9*9=81\n#### 1,081",
        "arguments": [["Q", {"until": ["\n\n"]}]],
        "filter": "strict-match",
    }
    path.write_text(json.dumps(sample) + "\n", encoding="utf-8")
    (row,) = import_rows(path, "lm-eval")
    assert (row["target"], row["checks"]) == ("1081", [{"type": "number", "value": 1081.0}])


def promptfoo(tmp_path: Path, assertion: str, variables: str = "{q: Hi}", prompt: str = "{{q}}") -> Any:
    path = tmp_path / "tests.yaml"
    path.write_text(
        f"prompts: ['{prompt}']\ntests:\n  - vars: {variables}\n    assert: [{assertion}]\n", encoding="utf-8"
    )
    (row,) = import_rows(path, "promptfoo")
    return row["checks"][0]


def test_promptfoo_schemas_are_read_however_they_are_written(tmp_path: Path) -> None:
    wanted = {"type": "json_schema", "schema": {"required": ["a"]}, "strict": True}
    texts = ("{required: [a]}", """'{"required": ["a"]}'""", "'required: [a]'")
    for text in texts:
        assert promptfoo(tmp_path, f"{{type: is-json, value: {text}}}") == wanted
    from_variable = promptfoo(
        tmp_path, "{type: is-json, value: '{{s}}'}", """{q: Hi, s: '{"required": ["a"]}'}"""
    )
    assert from_variable == wanted
    listed = promptfoo(tmp_path, """{type: contains-all, value: '"a, b", c'}""")
    assert listed["values"] == ["a, b", "c"]


@pytest.mark.parametrize(
    ("assertion", "variables", "prompt"),
    [
        ("{type: is-json, value: file://s.json}", "{q: Hi}", "{{q}}"),
        ("{type: is-json, value: false}", "{q: Hi}", "{{q}}"),
        ("{type: is-json, value: [a]}", "{q: Hi}", "{{q}}"),
        ("{type: equals, value: file://e.txt}", "{q: Hi}", "{{q}}"),
        ("{type: contains-any, value: file://e.txt}", "{q: Hi}", "{{q}}"),
        ("{type: equals, value: true}", "{q: Hi}", "{{q}}"),
        ("{type: contains, value: ''}", "{q: Hi}", "{{q}}"),
        ("{type: contains, value: a}", "{q: file://q.txt}", "{{q}}"),
        ("{type: contains, value: a}", "{q: '{{other}}'}", "{{q}}"),
        ("{type: contains, value: a}", "{q: Hi}", "file://prompt.txt"),
        ("{type: contains, value: a}", "{q: Hi}", "prompts/first.txt"),
    ],
)
def test_what_promptfoo_reads_from_elsewhere_is_refused(
    tmp_path: Path, assertion: str, variables: str, prompt: str
) -> None:
    with pytest.raises(GoldenSetError, match=r"tests\.yaml: "):
        promptfoo(tmp_path, assertion, variables, prompt)


@pytest.mark.parametrize(
    ("name", "file", "text", "problem"),
    [
        ("inspect", "s.jsonl", '{"input": "Q", "target": "a", "sandbox": "docker"}', "`sandbox`"),
        (
            "inspect",
            "s.jsonl",
            '{"input": [{"role": "user", "content": "Q", "tool_calls": [1]}]}',
            "`tool_calls`",
        ),
        ("deepeval", "s.json", '[{"input": "Q", "expected_tools": [{"name": "f"}]}]', "`expected_tools`"),
        (
            "openai-evals",
            "s.jsonl",
            '{"input": [{"role": "system", "name": "example_user", "content": "Q"}], "ideal": "a"}',
            "`name`",
        ),
    ],
)
def test_what_other_formats_hold_beside_is_refused(
    tmp_path: Path, name: str, file: str, text: str, problem: str
) -> None:
    path = tmp_path / file
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(GoldenSetError, match=problem):
        import_rows(path, name)
