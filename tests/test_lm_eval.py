"""Tasks of lm-evaluation-harness as suites, and our engine as one of its models: its own numbers."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lm_eval_tasks import KINDS, save_tasks
from tiny_models import save_model

import harness
from harness.errors import ConfigurationError, GoldenSetError, ScoringError, TrustError, UsageError
from harness.golden_sets.source import load_case_sets
from harness.interchange.lm_eval.decoding import sampling_of
from harness.likelihood import Likelihood
from harness.plugins.lm_eval.spec import parse_task_spec

pytest.importorskip("lm_eval", reason="needs the extra [lm-eval]")

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

SHUFFLING = """
import random

import datasets


def shuffled(rows):
    return datasets.Dataset.from_list([{**row, "options": random.sample(row["options"], 4)} for row in rows])
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | OFFLINE | {"HF_HOME": str(folder / "hf")},
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, another one, and tasks of each kind."""
    folder = tmp_path_factory.mktemp("lm-eval")
    save_model(folder / "model")
    save_model(folder / "other", seed=1)
    save_tasks(folder / "tasks")
    text = (folder / "tasks" / "choices.yaml").read_text(encoding="utf-8")
    (folder / "drawn").mkdir()
    (folder / "drawn" / "shuffled.yaml").write_text(
        text.replace("task: choices", "task: shuffled\nprocess_docs: !function shuffling.shuffled")
    )
    (folder / "drawn" / "shuffling.py").write_text(SHUFFLING, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reference(place: Path) -> Mapping[str, Any]:
    """What lm-eval says of the model, by its own model class and by ours."""
    script = str(Path(__file__).with_name("lm_eval_reference.py"))
    kinds = ("hf", "harness", "chat:hf", "chat:harness", "prompts:shots", "prompts:shuffled")
    done = run(place, script, "model", "tasks,drawn", *kinds)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def gated(place: Path, reference: Mapping[str, Any]) -> Mapping[str, Any]:
    """Results of gates over all tasks."""
    done = run(
        place,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--model=model", "--baseline=other"),
        *("--lm-eval-tasks=tasks", "--harness-json=results.json"),
    )
    assert done.returncode in (0, 1, 10), done.stdout + done.stderr
    found: dict[str, Any] = json.loads((place / "results.json").read_text())
    return found


@pytest.mark.parametrize("chat", ["", "chat:"], ids=["plain", "chat"])
def test_our_engine_answers_as_lm_evals_own_model_does(reference: Mapping[str, Any], chat: str) -> None:
    theirs, ours = reference[f"{chat}hf"]["samples"], reference[f"{chat}harness"]["samples"]
    assert set(theirs) == (set(KINDS) if not chat else {"answers", "choices"})
    for task, rows in theirs.items():
        for row, other in zip(rows, ours[task], strict=True):
            assert row["doc_id"] == other["doc_id"]
            for (answer,), (found,) in zip(row["resps"], other["resps"], strict=True):
                if isinstance(answer, str):
                    assert found == answer, task
                elif isinstance(answer, list):
                    assert found[0] == pytest.approx(answer[0], abs=1e-4), task
                    assert found[1] == answer[1]
                else:
                    assert found == pytest.approx(answer, abs=1e-4), task
    texts = {row["resps"][0][0] for row in theirs["answers"]}
    assert len(texts) >= 3, "the answers must differ, or equal texts prove nothing"


@pytest.mark.parametrize("task", ["choices", "shots", "blanks", "answers", "last_word"])
def test_a_gates_mean_is_lm_evals_own(
    reference: Mapping[str, Any], gated: Mapping[str, Any], task: str
) -> None:
    (verdict,) = (one for one in gated["verdicts"] if one["suite"] == task)
    metric, pipeline = {"answers": ("exact_match", "first")}.get(task, ("acc", "none"))
    assert verdict["mean"] == reference["hf"]["results"][task][f"{metric},{pipeline}"]
    assert verdict["n"] == 24
    assert verdict["errors"] == verdict["invalid"] == 0
    assert verdict["baseline_mean"] is not None
    rows = [row for row in reference["hf"]["samples"][task] if row["filter"] == pipeline]
    scores = {
        int(case["id"].split("-")[0]): case["score"] for case in gated["cases"] if case["suite"] == task
    }
    assert scores == {row["doc_id"]: row[metric] for row in rows}


def test_perplexity_is_scored_document_by_document(
    reference: Mapping[str, Any], gated: Mapping[str, Any]
) -> None:
    rows = reference["hf"]["samples"]["documents"]
    expected = {
        row["doc_id"]: math.exp(row["word_perplexity"][0] / row["word_perplexity"][1]) for row in rows
    }
    scores = {
        int(case["id"].split("-")[0]): case["score"]
        for case in gated["cases"]
        if case["suite"] == "documents"
    }
    assert scores == pytest.approx(expected, rel=1e-4)


def test_the_stored_run_holds_the_paired_scores(place: Path, gated: Mapping[str, Any]) -> None:
    stored = harness.load_runs(place / ".harness")
    rows = stored[stored["suite"] == "choices"]
    assert sorted(rows["role"]) == ["baseline"] * 24 + ["candidate"] * 24
    (verdict,) = (one for one in gated["verdicts"] if one["suite"] == "choices")
    means = rows.groupby("role")["score"].mean()
    assert means["candidate"] == pytest.approx(verdict["mean"])
    assert means["baseline"] == pytest.approx(verdict["baseline_mean"])
    assert set(rows["golden"]) == {"lm_eval:choices/v2.0/0-shot"}


def test_other_accuracies_are_not_all_the_same(reference: Mapping[str, Any]) -> None:
    """Equal numbers prove something only where they could differ."""
    found = reference["hf"]["results"]
    accuracies = {found[task]["acc,none"] for task in ("choices", "shots", "blanks")}
    assert len(accuracies) > 1
    assert 0 < found["answers"]["exact_match,first"] < 1


def test_cases_are_the_same_in_every_process(place: Path, gated: Mapping[str, Any]) -> None:
    sets = load_case_sets("lm_eval:tasks", root=place)
    assert [found.name for found in sets] == sorted(KINDS)
    recorded = {(case["suite"], case["id"]) for case in gated["cases"]}
    assert {(found.name, case.id) for found in sets for case in found.cases} == recorded
    again = load_case_sets("lm_eval:tasks", root=place)
    assert [found.digest for found in again] == [found.digest for found in sets]
    assert {found.label for found in sets} >= {"lm_eval:choices/v2.0/0-shot", "lm_eval:shots/v2.0/3-shot"}


def test_a_picked_metric_a_seed_and_a_number_of_examples_make_another_set(place: Path) -> None:
    (plain,) = load_case_sets("lm_eval:tasks/shots.yaml", root=place)
    (seeded,) = load_case_sets("lm_eval:tasks/shots.yaml?fewshot_seed=5", root=place)
    (longer,) = load_case_sets("lm_eval:tasks/shots.yaml?num_fewshot=4", root=place)
    (choices,) = load_case_sets("lm_eval:tasks/choices.yaml", root=place)
    (normed,) = load_case_sets("lm_eval:tasks/choices.yaml#acc_norm", root=place)
    assert plain.cases[0].messages != seeded.cases[0].messages
    assert longer.label.endswith("/4-shot")
    assert normed.name == "choices#acc_norm"
    hashes = [found.cases[0].content_hash for found in (plain, seeded, longer, choices, normed)]
    assert len(set(hashes)) == 5


def test_what_is_asked_of_each_kind(place: Path) -> None:
    sets = {found.name: found for found in load_case_sets("lm_eval:tasks", root=place)}
    choice = sets["choices"].cases[0]
    assert choice.raw
    assert choice.messages[0].content.startswith("please help\n")
    assert len(choice.continuations) == 4
    blank = sets["blanks"].cases[0]
    assert len({text.text for text in blank.continuations}) == 1
    assert blank.continuations[1].prompt is not None
    assert sets["documents"].cases[0].continuations[0].prompt == ""
    assert sets["answers"].sampling == harness.Sampling(max_tokens=6, stop=("\n\n", "now"))
    assert len({case.cluster for case in sets["choices"].cases[:6]}) == 1, "they share a passage"
    assert sets["choices"].cases[6].cluster is None


def test_a_chat_template_asks_with_messages(place: Path) -> None:
    (found,) = load_case_sets("lm_eval:tasks/choices.yaml?apply_chat_template=true", root=place)
    assert [message.role for message in found.cases[0].messages] == ["system", "user"]
    assert not found.cases[0].raw
    with pytest.raises(ConfigurationError, match="leave out apply_chat_template"):
        load_case_sets("lm_eval:tasks/blanks.yaml?apply_chat_template=true", root=place)


REFUSED = {
    "unknown option": ("tasks/choices.yaml?shots=1", ConfigurationError, "no option 'shots'"),
    "wrong value": (
        "tasks/choices.yaml?num_fewshot=x",
        ConfigurationError,
        "num_fewshot=x: expected a whole",
    ),
    "unknown metric": ("tasks/choices.yaml#bleu", ConfigurationError, "no metric 'bleu'; it has acc"),
    "unknown filter": ("tasks/answers.yaml#exact_match:z", ConfigurationError, "it has first, whole"),
    "no file": ("tasks/gone.yaml", GoldenSetError, "no such file"),
    "no name": ("?num_fewshot=1", ConfigurationError, "names no task"),
    "no task": ("tasks/empty", GoldenSetError, "no lm-eval task in this folder"),
    "corpus metric": ("own/corpus.yaml", ConfigurationError, "f1 is computed over all documents.*#acc"),
    "no trust": ("tasks/choices.yaml?trust_remote_code=true", ConfigurationError, "no option 'trust_re"),
    "code of a dataset": ("own/script.yaml", GoldenSetError, "Dataset scripts are no longer supported"),
    "runs code": (
        "own/unsafe.yaml",
        TrustError,
        r"runs the code that the model writes.*confirm_run_unsafe_code",
    ),
    "repeats": ("own/repeats.yaml", ConfigurationError, "wants 8 samples per document"),
    "beams": ("own/beams.yaml", ConfigurationError, "generation_kwargs num_beams"),
    "missing data": ("own/missing.yaml", GoldenSetError, "not here and cannot be fetched"),
    "broken template": ("own/template.yaml", GoldenSetError, "own/template.yaml: template: cannot be loaded"),
}
CHANGES = {
    "corpus": ("choices", "{metric: acc,", "{metric: f1, aggregation: f1}\n  - {metric: acc,"),
    "remote": ("choices", "dataset_kwargs: {", "dataset_kwargs: {trust_remote_code: true, "),
    "script": ("choices", "dataset_path: json", "dataset_path: own/script.py"),
    "hub": ("choices", "dataset_path: json", "dataset_path: nobody/nothing"),
    "scoring": ("choices", "output_type", "process_results: !function scoring.fails\noutput_type"),
    "unsafe": ("answers", "output_type:", "unsafe_code: true\noutput_type:"),
    "repeats": ("answers", "output_type:", "repeats: 8\noutput_type:"),
    "beams": ("answers", "do_sample: false", "num_beams: 4"),
    "missing": ("choices", "questions.jsonl", "gone.jsonl"),
    "template": ("choices", "{{question}}", "{{question"),
}


@pytest.fixture(scope="module")
def own(place: Path) -> Path:
    (place / "tasks" / "empty").mkdir()
    (place / "own").mkdir()
    for name, (task, old, new) in CHANGES.items():
        text = (place / "tasks" / f"{task}.yaml").read_text(encoding="utf-8")
        assert old in text
        changed = text.replace(old, new, 1).replace(f"task: {task}", f"task: {name}")
        changed = changed.replace("own/script.py", (place / "own" / "script.py").as_posix())
        (place / "own" / f"{name}.yaml").write_text(changed, encoding="utf-8")
    (place / "own" / "script.py").write_text("open(__file__ + '.ran', 'w').close()\n", encoding="utf-8")
    (place / "own" / "scoring.py").write_text(
        "def fails(doc, results):\n    raise KeyError('gone')\n", encoding="utf-8"
    )
    return place


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_gated_is_refused_in_one_line(own: Path, fault: str) -> None:
    spec, kind, message = REFUSED[fault]
    with pytest.raises(kind, match=message) as raised:
        load_case_sets(f"lm_eval:{spec}", root=own)
    assert "\n" not in str(raised.value)
    assert not list(own.rglob("*.ran"))


def test_what_is_allowed_is_loaded(own: Path) -> None:
    (found,) = load_case_sets("lm_eval:own/unsafe.yaml?confirm_run_unsafe_code=true", root=own)
    assert found.name == "unsafe"
    (found,) = load_case_sets("lm_eval:own/remote.yaml", root=own)
    assert found.name == "remote", "no dataset can run code any more, so asking for it means nothing"


def test_a_tasks_own_scoring_that_fails_is_an_error_of_the_case(own: Path) -> None:
    (found,) = load_case_sets("lm_eval:own/scoring.yaml", root=own)
    likelihoods = tuple(Likelihood(-1.0, 1, False) for _ in found.cases[0].continuations)
    with pytest.raises(ScoringError, match="the scoring of scoring itself failed: KeyError: 'gone'"):
        harness.check(found.cases[0], harness.Response("a", likelihoods=likelihoods))


def test_prompts_are_drawn_as_lm_eval_draws_them(place: Path, reference: Mapping[str, Any]) -> None:
    """Examples under another seed, and choices that a task shuffles when it is loaded."""
    before = random.getstate()
    (shuffled,) = load_case_sets("lm_eval:drawn/shuffled.yaml", root=place)
    assert random.getstate() == before
    ours = [[[case.messages[0].content, text.text] for text in case.continuations] for case in shuffled.cases]
    assert ours == reference["prompts:shuffled"]
    plain = load_case_sets("lm_eval:tasks/choices.yaml", root=place)[0].cases
    assert [case.continuations for case in plain] != [case.continuations for case in shuffled.cases]

    theirs = reference["prompts:shots"]
    (shots,) = load_case_sets("lm_eval:tasks/shots.yaml?num_fewshot=4&fewshot_seed=5", root=place)
    assert [case.messages[0].content for case in shots.cases] == [asked[0][0] for asked in theirs]


def test_an_unknown_name_says_what_is_near() -> None:
    with pytest.raises(ConfigurationError, match=r"no 'lm_evil' is registered .*did you mean 'lm_eval'"):
        load_case_sets("lm_evil:arc_easy")


@pytest.mark.slow
def test_lm_evals_own_names_are_found() -> None:
    """Reads the whole index of lm-eval: some ten thousand files."""
    with pytest.raises(UsageError, match="did you mean 'arc_easy'"):
        load_case_sets("lm_eval:arc_esy")


def test_generation_kwargs_become_sampling() -> None:
    drawn = sampling_of({"until": "a", "do_sample": True, "temperature": 0.7, "top_p": 0.9}, "task x", seed=3)
    assert drawn == harness.Sampling(256, 0.7, 0.9, ("a",), 3)
    greedy = sampling_of({"until": ["a", ""], "do_sample": False, "temperature": 0.7, "top_k": 5}, "task x")
    assert greedy == harness.Sampling(256, 0.0, 1.0, ("a",))
    assert sampling_of({"temperature": 0.0, "max_new_tokens": 9}, "task x") == harness.Sampling(9)
    assert sampling_of({"do_sample": True}, "task x").temperature == 1.0
    with pytest.raises(ConfigurationError, match="task x: generation_kwargs top_k"):
        sampling_of({"do_sample": True, "top_k": 5}, "task x")


def test_a_spec_is_read() -> None:
    spec = parse_task_spec("a/b.yaml?num_fewshot=5&apply_chat_template=true#exact_match:strict")
    assert (spec.task, spec.num_fewshot, spec.apply_chat_template) == ("a/b.yaml", 5, True)
    assert (spec.metric, spec.filter) == ("exact_match", "strict")


def test_a_module_of_ones_own_gates_a_task_under_its_policy_with_workers(place: Path) -> None:
    (place / "suites").mkdir(exist_ok=True)
    (place / "suites" / "test_tasks.py").write_text(
        "import pytest, harness\n"
        "@pytest.mark.suite('lm_eval:tasks/choices.yaml', gate=harness.Gate(margin=0.5), name='mine')\n"
        "def test_task(case, response):\n"
        "    harness.check(case, response)\n",
        encoding="utf-8",
    )
    sides = ("--model=model", "--baseline=model", "--allow-same")
    command = ("-m", "pytest", "-q", "-n2", *sides, "--harness-json=own.json")
    done = run(place, *command)
    assert done.returncode == 10, done.stdout + done.stderr
    (verdict,) = json.loads((place / "own.json").read_text())["verdicts"]
    assert (verdict["suite"], verdict["golden"], verdict["margin"]) == (
        "mine",
        "lm_eval:choices/v2.0/0-shot",
        0.5,
    )


def test_without_a_model_a_name_or_data_nothing_runs(place: Path, own: Path) -> None:
    for arguments, message in (
        (["--lm-eval-tasks=tasks"], "--lm-eval-tasks is given without --model"),
        (["--lm-eval-tasks=,", "--model=model"], "--lm-eval-tasks names nothing"),
        (["--lm-eval-tasks=tasks/gone.yaml", "--model=model"], "there is no such file"),
        (["--lm-eval-tasks=own/hub.yaml", "--model=model"], "'nobody/nothing') is not here and cannot be"),
    ):
        done = run(place, "-m", "pytest", *arguments)
        assert done.returncode == 4
        assert message in done.stderr + done.stdout


def test_lm_evals_command_line_knows_our_model(place: Path) -> None:
    command = str(Path(sys.executable).with_name("harness-lm-eval"))
    given = ("--model", "harness", "--tasks", "choices", "--include_path", "tasks", "--limit", "4")
    done = run(place, command, *given, "--model_args", "pretrained=model")
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr)
    assert "harness ({'pretrained': 'model'})" in done.stdout


@pytest.mark.slow
def test_what_our_model_refuses_ends_lm_evals_command_line_in_one_line(place: Path) -> None:
    command = str(Path(sys.executable).with_name("harness-lm-eval"))
    given = ("--model", "harness", "--tasks", "choices", "--include_path", "tasks")
    refused = run(place, command, *given, "--model_args", "pretrained=gone")
    assert refused.returncode == 4
    assert refused.stderr.splitlines()[-1].startswith("harness: no checkpoint 'gone'")
