"""Tasks of lm-evaluation-harness as golden sets, and back; lm-eval is the reference where it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval_tasks import save_tasks
from typer.testing import CliRunner

from harness.cases import Case, Message, Outcome, Response, Sampling
from harness.cli.main import app
from harness.errors import ConfigurationError, GoldenSetError, MissingDependencyError
from harness.golden_sets.case_row import parse_case
from harness.golden_sets.read import load_golden
from harness.interchange import export_cases, export_files, import_rows
from harness.likelihood import Continuation
from harness.scoring import score

HEAD = "dataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\ntest_split: test\n"
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "q-1", "question": "2 + 2?", "answer": "4", "options": ["3", "4"], "gold": 1},
    {"id": "q-2", "question": "Ja?\n", "answer": "[ja]", "options": ["ja", "nein"], "gold": 0},
]


def task(folder: Path, text: str, documents: list[dict[str, Any]] | None = None, head: str = HEAD) -> Path:
    lines = [json.dumps(document) + "\n" for document in documents or DOCUMENTS]
    (folder / "docs.jsonl").write_text("".join(lines), encoding="utf-8")
    path = folder / "quiz.yaml"
    path.write_text(head + text, encoding="utf-8")
    return path


def cases(path: Path, **options: str | bool) -> list[Case]:
    return [parse_case(row) for row in import_rows(path, "lm-eval-task", **options)]


def test_answers_are_matched_as_exact_match_does(tmp_path: Path) -> None:
    path = task(
        tmp_path,
        'doc_to_text: "Q: {{question|trim}}\\nA:"\ndoc_to_target: answer\ndescription: "Be brief.\\n"\n'
        "metric_list: [{metric: exact_match, ignore_case: true}]\n",
        [DOCUMENTS[0], {**DOCUMENTS[1], "answer": "Ja"}],
    )
    first, second = cases(path)
    assert (first.id, first.input, first.target, first.raw) == ("q-1", "Be brief.\nQ: 2 + 2?\nA:", "4", True)
    assert score(second, Response(" ja\n")).outcome is Outcome.PASSED
    assert score(second, Response("ja.")).outcome is Outcome.MISSED
    (chat, _) = cases(path, chat_template=True)
    assert chat.messages == (Message("system", "Be brief.\n"), Message("user", "Q: 2 + 2?\nA:"))
    assert not chat.raw


def test_several_targets_are_one_of_them_and_an_index_names_a_choice(tmp_path: Path) -> None:
    first, _ = cases(task(tmp_path, "doc_to_text: question\ndoc_to_target: \"{{[answer, 'four']}}\"\n"))
    assert first.target == ["4", "four"]
    assert score(first, Response("four")).outcome is Outcome.PASSED
    _, second = cases(
        task(tmp_path, "doc_to_text: question\ndoc_to_target: gold\ndoc_to_choice: [nein, ja]\n")
    )
    assert second.target == "nein"


@pytest.mark.parametrize(
    ("metric", "checks"),
    [("acc", ()), ("acc_norm", ({"type": "choice", "normalize": "characters"},))],
)
def test_choices_follow_the_delimiter(
    tmp_path: Path, metric: str, checks: tuple[Mapping[str, Any], ...]
) -> None:
    path = task(
        tmp_path,
        'output_type: multiple_choice\ndoc_to_text: question\ndoc_to_choice: "{{options}}"\n'
        "doc_to_target: '{{gold}}'\nmetric_list: [{metric: acc}, {metric: acc_norm}]\n",
    )
    with pytest.raises(GoldenSetError, match=r"quiz\.yaml:8: metric_list: .* say which with --metric"):
        cases(path)
    first, second = cases(path, metric=metric)
    assert first.continuations == (Continuation(" 3"), Continuation(" 4"))
    assert (first.target, second.target, first.checks, first.raw) == (1, 0, checks, True)
    assert cases(path, metric=metric, chat_template=True)[0].continuations[0] == Continuation("3")


def test_a_blank_in_a_sentence_is_a_choice_of_prompts(tmp_path: Path) -> None:
    path = task(
        tmp_path,
        "output_type: multiple_choice\ndoc_to_text: gold\ndoc_to_target: question\n"
        "doc_to_choice: options\nmetric_list: [{metric: acc}]\n",
    )
    first, _ = cases(path)
    assert first.continuations == (Continuation(" 2 + 2?", "3"), Continuation(" 2 + 2?", "4"))
    assert (first.messages, first.target) == ((), 1)


def test_likelihoods_of_texts(tmp_path: Path) -> None:
    text = "doc_to_text: question\ndoc_to_target: \"{{' ' + answer}}\"\noutput_type: "
    path = task(tmp_path, f"{text}loglikelihood\nmetric_list: [{{metric: acc}}]\n")
    assert cases(path)[0].continuations == (Continuation(" 4"),)
    assert cases(path)[0].checks == ({"type": "exact_greedy"},)
    path = task(tmp_path, f"{text}loglikelihood_rolling\nmetric_list: [{{metric: bits_per_byte}}]\n")
    assert cases(path)[0].messages == ()
    assert cases(path)[0].checks == ({"type": "perplexity", "per": "byte"},)


def test_includes_give_what_a_task_leaves_out_and_places_stay_their_own(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("doc_to_text: nothing {{here}}\ndoc_to_target: answer\n")
    path = task(tmp_path, "include: base\ndoc_to_text: question\n")
    assert [case.input for case in cases(path)] == ["2 + 2?", "Ja?\n"]
    path = task(tmp_path, "include: [base]\n")
    with pytest.raises(GoldenSetError, match=r"base:1: doc_to_text: its template fails: UndefinedError"):
        cases(path)
    (tmp_path / "base").write_text("include: quiz.yaml\n")
    with pytest.raises(GoldenSetError, match="leads back to itself"):
        cases(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "process_docs: !function utils.shuffled\n",
            r"quiz.yaml:4: the tag !function is not allowed \(on 'utils.shuffled'\).*never run here",
        ),
        (
            "filter_list: [{name: x, filter: [{function: regex}]}]\n",
            r"quiz.yaml:4: filter_list: what it does",
        ),
        ("process_results: mine\n", r":4: process_results: this key cannot be carried over"),
        ("num_fewshot: 5\n", r":4: num_fewshot: 5 .*--log_samples"),
        ("repeats: 3\n", r":4: repeats: 3 cannot be carried over"),
        ("metric_list: [{metric: bleu}]\n", r":4: metric_list: the metric 'bleu'"),
        (
            "metric_list: [{metric: exact_match, regexes_to_ignore: [a]}]\n",
            r"regexes_to_ignore of exact_match",
        ),
        ("metric_list: [{metric: exact_match, higher_is_better: false}]\n", r"the direction of exact_match"),
        ("metric_list: [{metric: exact_match, aggregation: median}]\n", r"the aggregation 'median'"),
        ("output_type: winogrande\n", r":4: output_type: 'winogrande' is not read"),
        ("group: all\n", r":4: group: this is a group of tasks"),
        ("include: none.yaml\n", r":4: include: there is no file 'none.yaml'"),
        (
            "doc_to_text: '{{nothing}}'\n",
            r":4: doc_to_text: its template fails: UndefinedError.*docs.jsonl:1",
        ),
        ("doc_to_text: '{{question.__class__.__mro__}}'\n", r"template fails: SecurityError"),
        ("doc_to_text: '{{ \"a\" * 10000000 }}'\n", r"template fails: SecurityError"),
        ("doc_to_text: '{{ [1, 2] | random }}'\n", r"template fails: TemplateAssertionError.*random"),
        ("doc_to_text: gold\n", r":4: doc_to_text: must be a text, not 1"),
        ("doc_to_text: question\n", r"doc_to_target: says how a document is asked, and is missing"),
    ],
)
def test_what_cannot_be_carried_over_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    path = task(tmp_path, text)
    with pytest.raises(GoldenSetError, match=message) as raised:
        cases(path)
    assert "\n" not in str(raised.value)


def test_data_is_never_fetched(tmp_path: Path) -> None:
    path = task(
        tmp_path, "doc_to_text: question\n", head=HEAD.replace("docs.jsonl", "'https://host/docs.jsonl'")
    )
    with pytest.raises(GoldenSetError, match=r":2: dataset_kwargs: no file 'https://host/docs.jsonl' here"):
        cases(path)


def test_data_of_a_hub_is_read_from_a_file_beside_the_task(tmp_path: Path) -> None:
    text = "doc_to_text: question\ndoc_to_target: answer\n"
    path = task(tmp_path, text, head="dataset_path: org/quiz\n")
    with pytest.raises(GoldenSetError, match=r"'org/quiz' is not here: put .* as quiz\.jsonl"):
        cases(path)
    (tmp_path / "docs.jsonl").rename(tmp_path / "quiz.jsonl")
    assert [case.id for case in cases(path)] == ["q-1", "q-2"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_tables_and_arrays_are_read(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"docs.{kind}"
    if kind != "json":
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
    if kind == "csv":
        file.write_text("question,answer\n2 + 2?,4\n", encoding="utf-8")
    elif kind == "json":
        file.write_text(json.dumps(DOCUMENTS[:1]), encoding="utf-8")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(DOCUMENTS[:1]), file)
    head = HEAD.replace("json\n", f"{kind}\n", 1).replace("docs.jsonl", file.name)
    (case,) = cases(task(tmp_path, "doc_to_text: question\ndoc_to_target: answer\n", head=head))
    assert (case.input, case.target) == ("2 + 2?", "4")


@pytest.mark.parametrize(("kind", "package"), [("csv", "pandas"), ("parquet", "pyarrow")])
def test_a_table_without_its_reader_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    (tmp_path / f"docs.{kind}").write_text("question,answer\n2 + 2?,4\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, package, None)
    head = HEAD.replace("json\n", f"{kind}\n", 1).replace("docs.jsonl", f"docs.{kind}")
    with pytest.raises(MissingDependencyError, match=r"pip install 'checkpoint-harness\[dataframe\]'"):
        cases(task(tmp_path, "doc_to_text: question\ndoc_to_target: answer\n", head=head))


ANSWERS = [
    Case("sum-1", (Message("user", "What is {{1 + 1}}?\n"),), target="2", tags=("easy",)),
    Case("2020", (Message("user", 'Grüße, "Zitat", Zeile\nzwei'),), target="[ja; 'nein']"),
    Case("day", (Message("user", "Wann?"),), target="2020-01-01"),
]
SEVERAL = [
    Case("a", (Message("user", "A?"),), target="x", checks=({"type": "equals", "normalize": ["casefold"]},)),
    Case(
        "b",
        (Message("user", "B?"),),
        target=["y", "z"],
        checks=({"type": "one_of", "normalize": ["casefold"]},),
    ),
]
DATES = [Case(f"d{n}", (Message("user", f"{n}?"),), target=f"2020-01-0{n}") for n in (1, 2)]
CHOICES = [
    Case(
        name,
        (Message("user", f"{name}?"),),
        target=target,
        continuations=tuple(map(Continuation, texts)),
        raw=raw,
        checks=({"type": "choice", "normalize": "characters"},),
    )
    for name, target, texts, raw in [("c1", 1, (" a", " bc"), True), ("c2", " e", (" d", " e"), True)]
]
GREEDY = [
    Case(
        "g",
        (Message("user", "She had a"),),
        continuations=(Continuation(" key"),),
        raw=True,
        checks=({"type": "exact_greedy"},),
    )
]
SETS = {"answers": ANSWERS, "several": SEVERAL, "dates": DATES, "choices": CHOICES, "greedy": GREEDY}
IMPORTED = {"choices": "acc_norm", "last_word": "acc", "documents": "bits_per_byte"}
"""Tasks of `save_tasks`, and the metric that is imported."""
SAMPLING = Sampling(max_tokens=17, stop=("\n", "Q:"))


def save(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    for file, text in export_files(SETS[name.removesuffix("-set")], "lm-eval-task", path, SAMPLING).items():
        file.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SETS)
def test_a_set_comes_back_as_it_went(tmp_path: Path, name: str) -> None:
    back = cases(save(tmp_path, name))
    wanted = SETS[name]
    assert [(case.id, case.messages, case.raw, case.continuations) for case in back] == [
        (case.id, case.messages, case.raw, case.continuations) for case in wanted
    ]
    if name == "answers":
        assert [case.target for case in back] == ["2", "[ja; 'nein']", "2020-01-01"]
    if name == "several":
        assert [case.target for case in back] == [["x"], ["y", "z"]]
        assert score(back[1], Response("Z")).outcome is Outcome.PASSED
    if name == "choices":
        assert [(case.target, case.checks) for case in back] == [(1, wanted[0].checks)] * 2


REFERENCE = """
import json, sys

from lm_eval.tasks import TaskManager

folder, *names = sys.argv[1:]
manager, said = TaskManager(include_path=folder, include_defaults=False), {}
for name in names:
    task = manager.load([name])["tasks"][name]
    task.build_all_requests()
    asked = {}
    for one in task.instances:
        asked.setdefault(one.doc_id, [one.doc.get("id"), task.doc_to_target(one.doc), []])[2].append(one.args)
        if one.request_type == "generate_until":
            right = asked[one.doc_id][1]
            one.resps = [f" {right[-1].upper() if isinstance(right, list) else right}\\n"]
    scores = []
    if task.OUTPUT_TYPE == "generate_until":
        task.apply_filters()
        scores = [
            task.process_results(one.doc, [one.filtered_resps["stripped"]])["exact_match"]
            for one in task.instances
        ]
    said[name] = {"asked": list(asked.values()), "scores": scores}
print(json.dumps(said, default=str))
"""


@pytest.fixture(scope="module")
def lm_eval(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Any]]:
    """A folder of tasks, and what lm-eval, offline, asks of each of their documents."""
    pytest.importorskip("lm_eval", reason="needs the extra [lm-eval]")
    folder = tmp_path_factory.mktemp("tasks")
    save_tasks(folder, documents=4)
    for name in SETS:
        save(folder, name + "-set")
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, str(folder), *(f"{name}-set" for name in SETS), *IMPORTED],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return folder, found


@pytest.mark.parametrize("name", SETS)
def test_lm_eval_asks_what_was_exported(lm_eval: tuple[Path, Mapping[str, Any]], name: str) -> None:
    said = lm_eval[1][f"{name}-set"]
    for case, (identity, target, requests) in zip(SETS[name], said["asked"], strict=True):
        assert identity == case.id
        assert {context for context, _ in requests} == {case.input}
        if case.continuations:
            assert [text for _, text in requests] == [one.text for one in case.continuations]
        else:
            assert requests[0][1] == {"until": ["\n", "Q:"], "max_gen_toks": 17, "do_sample": False}
            assert target in (case.target, [case.target])
    assert set(said["scores"]) <= {1.0}, "blanks at the ends and upper case are no mistakes"
    assert len(said["scores"]) == (0 if SETS[name][0].continuations else len(SETS[name]))


@pytest.mark.parametrize(("name", "metric"), IMPORTED.items())
def test_an_imported_case_asks_what_lm_eval_asks(
    lm_eval: tuple[Path, Mapping[str, Any]], name: str, metric: str
) -> None:
    folder, said = lm_eval
    found = cases(folder / f"{name}.yaml", metric=metric)
    for case, (_, target, requests) in zip(found, said[name]["asked"], strict=True):
        asked = [[case.input, one.text] if case.messages else [one.text] for one in case.continuations]
        assert asked == requests
        assert case.raw
        assert case.target in (target, None)


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=4))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    made = [
        Case(f"c{n}", (Message("user", question),), target=answer)
        for n, (question, answer) in enumerate(texts)
    ]
    for file, text in export_files(made, "lm-eval-task", folder / "t.yaml").items():
        file.write_text(text, encoding="utf-8", newline="\n")
    assert cases(folder / "t.yaml") == made


def test_what_a_task_cannot_carry_is_refused_by_case(tmp_path: Path) -> None:
    ask = (Message("user", "a"),)
    for made, message in (
        ([Case("t", ask, turns=("b",), target="x")], "case t has further user turns"),
        ([Case("n", ask, target=4)], "case n: its target is no text"),
        ([Case("n", ask)], "case n: its target is no text"),
        ([Case("s", (Message("system", "s"), *ask), target="x")], "case s is a conversation"),
        ([ANSWERS[0], CHOICES[0]], "case c1 asks for something else than case sum-1"),
        ([ANSWERS[0], SEVERAL[0]], "case a is compared otherwise"),
        ([ANSWERS[0], Case("r", ask, target="x", raw=True)], "case r is asked otherwise"),
        (
            [Case("p", (), continuations=(Continuation("x", "q"), Continuation("y", "q")), target=0)],
            "case p has choices with prompts of their own",
        ),
        ([Case("l", ask, continuations=(Continuation("x"),))], "case l: lm-eval has no perplexity per token"),
        (
            [Case("w", ask, target="x", checks=({"type": "equals", "normalize": ["articles"]},))],
            "nothing like normalize: articles",
        ),
    ):
        with pytest.raises(GoldenSetError, match=message):
            export_files(made, "lm-eval-task", tmp_path / "t.yaml")
    with pytest.raises(ConfigurationError, match=r"name the first with --output FILE\.yaml"):
        export_cases(ANSWERS, "lm-eval-task")
    with pytest.raises(ConfigurationError, match=r"files end in \.yaml or \.yml"):
        export_files(ANSWERS, "lm-eval-task", tmp_path / "t.jsonl")


def test_the_command_keeps_how_answers_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    path = task(
        tmp_path,
        "doc_to_text: question\ndoc_to_target: answer\n"
        'generation_kwargs: {until: ["\\n", "Q:"], max_gen_toks: 17, do_sample: false}\n',
    )

    def harness(*arguments: str) -> str:
        return CliRunner().invoke(app, ["golden", *arguments]).output

    assert "2 added" in harness("import", "quiz", str(path), "-f", "lm-eval-task")
    assert load_golden("quiz", roots=["golden"]).sampling == SAMPLING
    path.write_text(path.read_text().replace("17", "18"))
    again = CliRunner().invoke(app, ["golden", "import", "quiz", str(path), "-f", "lm-eval-task"])
    assert "answers of one set are drawn in one way" in str(again.exception)
    chat = tmp_path / "golden" / "quiz" / "v1" / "cases.jsonl"
    chat.write_text('{"id": "x", "input": "Q?", "target": "A"}\n', encoding="utf-8")
    assert "out.yaml, out.jsonl" in harness("export", "quiz", "-f", "lm-eval-task", "-o", "out.yaml")
    assert "max_gen_toks: 17" in (tmp_path / "out.yaml").read_text()
    (tmp_path / "other.jsonl").write_text("mine")
    harness("export", "quiz", "-f", "lm-eval-task", "-o", "other.yaml")
    assert (tmp_path / "other.jsonl").read_text() == "mine"
